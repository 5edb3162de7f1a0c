"""A comparison of a unit's picture with photographs, as frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from cnnwidgets.activations.patches_run import smaller
from cnnwidgets.activations.path_similarity import PathSimilarity, path_similarity
from cnnwidgets.model.network import Network


@dataclass(frozen=True, eq=False)
class PathFrame:
    """What is known after some of the photographs."""

    found: PathSimilarity
    step: int
    steps: int
    values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    notes: tuple[str, ...] = ()
    is_step: bool = False


def compare_paths(
    net: Network, layer: str, unit: int, call: int, picture: np.ndarray, photographs: Iterable[np.ndarray], count: int
) -> Iterator[PathFrame]:
    """Do a unit's picture and photographs excite the same units on the way to it: runs on the worker's thread."""
    every = path_similarity(net, layer, unit, picture, map(smaller, photographs), call=call)
    for step, found in enumerate(every, 1):
        yield PathFrame(found, min(step, count), count)
