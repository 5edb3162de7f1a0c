"""The effect of hiding a region of the picture from the network."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.explain import targets
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.probabilities import probabilities
from cnnwidgets.explain.regions import Region
from cnnwidgets.frame import Array
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import Size

Square = tuple[float, float, float, float]
SHARE = 1 / 6  # of the picture's shorter side


@dataclass(frozen=True)
class Hidden:
    """A target with and without a region of the picture.

    Attributes:
        before: of the whole picture: a probability 0..1 (of a region its mean there), or the value of a function.
        after: of the picture with the gray square.
        name: of the class; "" for a target function.
        top: the class then predicted (in the region), by name; "" for a target function.
        square: (left, top, right, bottom) of what was hidden, as shares 0..1 of the picture.
    """

    before: float
    after: float
    name: str
    top: str
    square: Square


def hide_region(
    net: Network | Any,
    picture: object,
    place: tuple[float, float],
    target: int | str | Region | Callable[[Any], Any] | None = None,
    *,
    output: int | str | None = None,
    which: int | None = None,
    size: Size | None = None,
) -> Hidden:
    """Cover a region with a gray square, a sixth of the picture's shorter side, and predict again.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list or a dict.
        place: (x, y) of the square's middle, shares 0..1 of the picture; near the edge it is moved inside.
        target: a class index or name, a region, or a function of the output; the top class of the whole picture if not
            given.
        output: of a model with several, its index or name.
        which: the index of the picture input; the first one, if not given.
        size: at which the network looks, as in `Network.predict`.

    Raises:
        BadTarget, BadPicture, BadModel: the errors of `class_activation_map`.
    """
    probe = Probe(net, picture, size)
    which = probe.net.picture_inputs[0] if which is None else which
    wanted = probe.named(target, output)
    mask, square = _with_square(probe.pictures[which].shape[1:3], place)
    copies = probe.behind({which: mask[None]})  # [1, H, W, C] each
    if wanted.function is not None or not probe.net.outputs[wanted.output].is_class_scores:
        values = (float(probe.values(wanted).value[0]), float(probe.values(wanted, copies).value[0]))
        return Hidden(*values, "", "", square)
    if wanted.region is not None:
        return _in_region(probe, wanted, copies, square)
    before, after = (_probabilities(probe, pictures, output) for pictures in (probe.pictures, copies))
    unit = wanted.unit if wanted.unit != targets.TOP else max(before, key=before.__getitem__)
    top = probe.net.class_name(max(after, key=after.__getitem__), wanted.output)
    return Hidden(before[unit], after[unit], probe.net.class_name(unit, wanted.output), top, square)


def _in_region(probe: Probe, wanted: targets.Target, copies: dict[int, Array], square: Square) -> Hidden:
    """A class inside a region of the picture, which stays the same class when a part of the picture is covered."""
    settled = targets.settled(wanted, probe.values(wanted))
    before, after = (float(probabilities(probe, settled, every)[0]) for every in (None, copies))
    top = int(probe.values(replace(wanted, unit=targets.TOP), copies).unit[0])
    name, top_name = (probe.net.class_name(unit, wanted.output) for unit in (settled.unit, top))
    return Hidden(before, after, name, top_name, square)


def _probabilities(probe: Probe, pictures: dict[int, Array], output: int | str | None) -> dict[int, float]:
    net = probe.net
    given = [pictures[i] if i in pictures else tensor.numpy() for i, tensor in enumerate(probe.feed)]
    found = net.predictions(given, 10**9, output)
    return {line.index: line.probability for line in found}


def _with_square(size: tuple[int, int], place: tuple[float, float]) -> tuple[Array, Square]:
    """A mask [H, W] that is 0 in the square, and the square as shares of the picture."""
    height, width = size
    side = max(1, round(SHARE * min(size)))
    left, top = (
        int(np.clip(math.floor(share * length - side / 2), 0, length - side))
        for share, length in zip(place, (width, height), strict=True)
    )
    mask = np.ones(size, np.float32)
    mask[top : top + side, left : left + side] = 0
    return mask, (left / width, top / height, (left + side) / width, (top + side) / height)
