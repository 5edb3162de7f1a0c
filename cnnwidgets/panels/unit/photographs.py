"""The photographs that a UnitPanel shows and searches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets import pictures, samples
from cnnwidgets.model.arguments import pictures_in
from cnnwidgets.model.network import Network


@dataclass(frozen=True, eq=False)
class Photographs:
    """The photographs to search: samples are read one by one, where they are needed.

    Attributes:
        names: of all of them.
        given: those of the user; `None` for the samples.
    """

    names: list[str]
    given: list[np.ndarray] | None

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from map(samples.sample, self.names) if self.given is None else self.given


def photographs(given: Iterable[object] | None) -> Photographs:
    """Those of the user, or else the samples.

    Raises:
        BadPicture: for something that is not a picture, or one picture instead of many.
    """
    if given is None:
        return Photographs(list(samples.sample_names()), None)
    loaded = [pictures.load_picture(one) for one in pictures_in(given)]
    return Photographs([f"picture {i}" for i in range(len(loaded))], loaded)


def sample_for(net: Network) -> Any:
    """A sample photograph, for each input that takes one."""
    photograph = samples.sample(samples.sample_names()[0])
    if len(net.inputs) == 1:
        return photograph
    return {net.inputs[i].name: photograph for i in net.picture_inputs}
