"""Square crops of pictures at two scales, and the activation of a layer for each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadModel
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import PICTURE, Size
from cnnwidgets.model.tracing.compiled import compiled

SHARES = (1 / 2, 1 / 3)  # of a picture's shorter side: the sides of its crops
OVERLAP = 0.2  # of neighboring crops, at least
BATCH = 8  # crops in one device call


class Crop(NamedTuple):
    """A square part of a picture.

    Attributes:
        picture: the index of the picture.
        top: the first row.
        left: the first column.
        side: in pixels.
    """

    picture: int
    top: int
    left: int
    side: int

    def of(self, array: Array) -> Array:  # [H, W, C] -> [side, side, C]
        """The part of that picture."""
        return array[self.top : self.top + self.side, self.left : self.left + self.side]


def crops_of(picture: int, height: int, width: int) -> list[Crop]:
    """All crops of a picture, in a grid at each scale."""
    found = []
    for share in SHARES:
        side = max(1, round(share * min(height, width)))
        tops, lefts = (_starts(length, side) for length in (height, width))
        found += [Crop(picture, top, left, side) for top in tops for left in lefts]
    return found


def _starts(length: int, side: int) -> list[int]:
    count = 1 + -(-(length - side) // max(1, int(side * (1 - OVERLAP))))
    return [round(start) for start in np.linspace(0, length - side, count)]


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads what one call of a layer gives for crops."""

    net: Network
    path: str
    call: int
    which: int
    size: Size | None

    def activations(self, opened: dict[int, Array], crops: Sequence[Crop]) -> Array:
        """[n, 2 k] float32: for each crop the means of the positive and of the negative parts of each channel.

        Raises:
            BadModel: where the layer's numbers are not finite.
        """
        batch = BATCH if self.net.takes_batches else 1
        parts = [crops[start : start + batch] for start in range(0, len(crops), batch)]
        found = np.concatenate([self._of_batch(opened, part) for part in parts])
        if not np.isfinite(found).all():
            raise BadModel(self.net.why_not_finite())
        return found

    def _of_batch(self, opened: dict[int, Array], crops: Sequence[Crop]) -> Array:
        fitted = [
            self.net.fitted({**opened, self.which: crop.of(opened[self.which])}, self._size_for(opened))
            for crop in crops
        ]
        feed = [tf.constant(np.concatenate(arrays)) for arrays in zip(*fitted, strict=True)]
        self.net.check_room(feed)
        shapes = [tuple(info.fed_shape) for info in self.net.inputs]
        build = functools.partial(_graph, self.net, self.path, self.call, shapes)
        return np.asarray(self.net.traces.get(build)(feed))

    def _size_for(self, opened: dict[int, Array]) -> Size | None:
        """The network's size; where it has none, a crop is brought to the longer side of its picture."""
        info = self.net.inputs[self.which]
        if info.size != (None, None) or self.net.checked_size(self.size) not in (None, PICTURE):
            return self.size
        return int(max(self.net.fitted(opened, self.size)[self.which].shape[1:3]))


def _graph(net: Network, path: str, call: int, shapes: Sequence[tuple[int | None, ...]]) -> Callable[..., Any]:
    def run(feed: Any) -> Any:
        with net.record([path], until=[(path, call)]) as recording:
            net.call(feed)
        activation = recording.activation(path, call)
        axes = list(range(1, activation.shape.rank - 1))
        parts = tf.concat([tf.nn.relu(activation), tf.nn.relu(-activation)], -1)
        return tf.reduce_mean(parts, axes) if axes else parts

    return compiled(run).get_concrete_function([tf.TensorSpec([None, *shape]) for shape in shapes])


def tile(crop: Crop, opened: Array, side: int) -> Array:
    """The crop as a picture [side, side, 3] in whole gray levels of 255."""
    shown = pictures_.resize(pictures_.displayable(crop.of(opened)), (side, side))
    return pictures_.to_uint8(shown).astype(np.float32) / np.float32(255)


def chosen_of(crops: list[Crop], most: int, seed: int) -> Iterator[Crop]:
    """At most so many of a picture's crops, drawn without replacement, in their order."""
    if len(crops) <= most:
        return iter(crops)
    drawn = np.random.default_rng([seed & 0x7FFFFFFF, crops[0].picture]).choice(len(crops), most, replace=False)
    return (crops[index] for index in sorted(drawn))
