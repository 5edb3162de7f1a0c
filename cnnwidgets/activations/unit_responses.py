"""How strongly a unit responds in many pictures: a histogram over all positions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import answers
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit, pictures_in
from cnnwidgets.model.network import Network, as_network

BINS = 24


@dataclass(frozen=True, eq=False)
class Responses:
    """The responses of a unit at every position of some pictures.

    Attributes:
        counts: [BINS], how many positions lie in each bin.
        edges: [BINS + 1], from the lowest to the highest response.
        active: the share of positions where it is above 0.
        pictures: how many pictures these are.
    """

    counts: Array
    edges: Array
    active: float
    pictures: int


def unit_responses(
    net: Network | Any, pictures: Iterable[object], layer: str, unit: int, *, call: int = 0
) -> Iterator[Responses]:
    """The responses of a unit so far, after each picture.

    Args:
        net: a Network or a bare Keras model.
        pictures: many of what `load_picture` takes; for a model of several inputs lists or dicts of them.
        layer: a path; an unambiguous last part is enough.
        unit: its index.
        call: which call of a shared layer.

    Raises:
        BadPicture: for something that is not a picture, or one picture instead of many.
        BadTarget: for a layer, unit or call that does not exist.
    """
    net = as_network(net)
    info = net.layer(layer)
    unit, call = check_unit(info, unit), check_call(info, call)
    found: list[Array] = []
    for picture in pictures_in(pictures):
        (maps,) = answers(net, (info.path,), call, net.arrays(picture))
        found.append(maps[..., unit].ravel())
        every = np.concatenate(found)
        counts, edges = np.histogram(every, BINS)
        yield Responses(counts, edges, float((every > 0).mean()), len(found))
