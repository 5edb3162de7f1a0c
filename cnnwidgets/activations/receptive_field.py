"""The receptive field of a layer: the part of the picture that one cell of its map sees.

picture    . . . # # # # # . . .      size 5, stride 2:
map          .   .   X   .   .        from a cell to the next, the box moves by 2 pixels
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit, whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.dependence import Box, follow
from cnnwidgets.model.geometry.locations import GRID, Location, locate
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.canvas import picture_shape

SIDE = 224  # of the picture, where the network takes any


@dataclass(frozen=True)
class ReceptiveField:
    """What the cells of a map see of a picture; each pair is (down, across), in pixels of the network's input.

    Attributes:
        size: of the box that a cell sees, borders of the picture aside: it may be larger than the picture. Where
            hardly a box has its edges inside the picture, it is at least this; a larger picture tells more.
        stride: how far the box moves from a cell to the next; a fraction after upsampling, 0 where it does not move.
        start: top and left of the box of cell (0, 0); negative where padding lies there.
        picture: the size of the picture.
        cells: (rows, columns) of the map.
        is_transposed: whether the map's rows run across the picture; the other pairs are those of the picture.
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    start: tuple[int, int]
    picture: tuple[int, int]
    cells: tuple[int, int]
    is_transposed: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every cell sees the whole picture."""
        return self.stride == (0, 0) and self.box(0, 0) == (0, 0, *self.picture)

    def box(self, row: int, column: int) -> Box:
        """(top, left, bottom, right) of what a cell sees: `picture[top:bottom, left:right]`, empty for padding alone.

        Raises:
            BadTarget: for a cell that the map does not have.
        """
        row = whole_number("row", row, 0, self.cells[0] - 1)
        column = whole_number("column", column, 0, self.cells[1] - 1)
        across_and_down = (column, row) if self.is_transposed else (row, column)
        (top, bottom), (left, right) = (self._side(axis, cell) for axis, cell in enumerate(across_and_down))
        return top, left, bottom, right

    def _side(self, axis: int, cell: int) -> tuple[int, int]:
        first = self.start[axis] + self.stride[axis] * cell
        end = max(0, min(self.picture[axis], math.ceil(first + self.size[axis])))
        return min(max(0, math.floor(first)), end), end

    def __str__(self) -> str:
        """For a caption: "a cell sees 15 x 15 pixels, 4 apart"."""
        sees = f"a cell sees {self.size[0]} x {self.size[1]}"
        if self.is_whole:
            return "every cell sees the whole picture"
        if self.stride == (0, 0):
            return f"{sees} of the {self.picture[0]} x {self.picture[1]} pixels"
        return f"{sees} pixels, {' x '.join(dict.fromkeys(f'{step:g}' for step in self.stride))} apart"


def receptive_field(
    net: Network | Any,
    layer: str,
    unit: int | None = None,
    *,
    size: int | tuple[int, int] | None = None,
    call: int = 0,
) -> ReceptiveField:
    """What the cells of a layer's map see of the picture (Araujo et al., "Computing Receptive Fields", Distill 2019).

    It is found on the network's own graph, nested, shared and subclassed models alike, from what pixels can matter to
    the first, middle and last cells. Unlike a gradient's numbers, this hides no pixel behind a ReLU that is off, a
    maximum that was not chosen or a weight of zero. Squeeze-and-excitation, global pooling and dense layers see the
    whole picture, and so does all that comes after them. Where boxes are not all alike (after upsampling; at the
    border, under the holes of a dilated convolution), they hold at least what the cell sees.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; an unambiguous last part is enough.
        unit: one of its units: in a concatenation, those of a narrow branch see less. All together if not given.
        size: of the picture, pixels or (height, width): padding and so `start` depend on it. 224, or a fixed network's
            own size, if not given.
        call: which call of a shared layer.

    Raises:
        BadTarget: for a layer, unit, call or size that does not exist, or a layer that sees no picture.

    Example:
        >>> receptive_field(net, "fire2_expand3x3").size
        (15, 15)
    """
    net = as_network(net)
    info = net.layer(layer)
    call = check_call(info, call)
    unit = -1 if unit is None else check_unit(info, unit)
    height, width, _ = picture_shape(net, size, SIDE, net.picture_inputs[0])
    feed = _noise(net, height, width)
    with enough_room(height, width, BadTarget):
        followed = follow(net, info.path, call, [tensor.shape for tensor in feed])

    def seen(cell: tuple[int, ...]) -> tuple[list[int], list[int]]:
        box, cells = followed.box(feed, tf.constant((*cell, unit), tf.int32))
        return box.numpy().tolist(), cells.numpy().tolist()

    rows, columns = seen((0, 0))[1]
    picture = net.inputs[followed.which].full_size(height, width)
    boxes = {cell: seen(cell)[0] for cell in zip(_probes(range(rows)), _probes(range(columns)), strict=True)}
    location = locate(net, info.path, call, followed.which, picture)
    if not all(map(any, boxes.values())):  # some see padding alone
        boxes = {cell: seen(cell)[0] for cell in _inside(location)} | boxes
    boxes = {cell[::-1] if location.is_transposed else cell: box for cell, box in boxes.items() if any(box)}
    if not boxes:
        raise BadTarget(f"No cell of the layer {quoted(info.path)} sees a pixel of a {height} x {width} picture.")
    (down, high, top), (across, wide, left) = (_along(axis, boxes, picture[axis]) for axis in (0, 1))
    stride, start = (down, across), (top, left)
    return ReceptiveField((high, wide), stride, start, picture, (rows, columns), location.is_transposed)


def _inside(location: Location) -> list[tuple[int, int]]:
    """Cells whose middles lie inside the picture, to be tried where others see padding alone."""
    lines = [np.flatnonzero(np.isfinite(middles)) for middles in (location.rows, location.columns)]
    if location.kind != GRID or not all(map(len, lines)):
        return []
    down, across = (_probes(line) for line in lines)
    return [(c, r) if location.is_transposed else (r, c) for r, c in zip(down, across, strict=True)]


def _noise(net: Network, height: int, width: int) -> list[Any]:
    """Inputs on which nothing is exactly 0, for the operations that are followed by their true gradient."""
    numbers = np.random.default_rng(0)
    shapes = [
        (*i.full_size(height, width), i.channels) if i.is_picture else [n or 1 for n in i.shape] for i in net.inputs
    ]
    return [tf.constant(numbers.random((1, *shape), np.float32)) for shape in shapes]


def _probes(cells: Sequence[int] | Array) -> tuple[int, ...]:
    """Neighbors at both ends and in the middle of a row of cells."""
    count, middle = len(cells), len(cells) // 2
    return tuple(int(cells[min(max(i, 0), count - 1)]) for i in (0, 1, middle, middle + 1, count - 2, count - 1))


def _along(axis: int, boxes: Mapping[tuple[int, int], Sequence[int]], extent: int) -> tuple[float, int, int]:
    """(stride, size, start) along one axis: the narrowest moving window that holds the boxes of some cells.

    The picture's border cuts boxes off, and the holes of a dilated convolution let them begin later there, so no edge
    is trusted by itself: the stride is the one with which the window exceeds the boxes least.
    """
    cells = np.array([cell[axis] for cell in boxes])
    firsts, ends = (np.array([box[side] for box in boxes.values()]) for side in (axis, axis + 2))

    def window(stride: float) -> tuple[int, int, float, int]:
        start, end = math.floor(min(firsts - stride * cells)), math.ceil(max(ends - stride * cells))
        too_early = firsts - np.maximum(np.floor(start + stride * cells), 0)
        too_late = np.minimum(np.ceil(end + stride * cells), extent) - ends
        return int(sum(too_early + too_late)), end - start, stride, start

    pairs = [(i, j) for i in range(len(cells)) for j in range(i) if cells[i] != cells[j]]
    slopes = {float((edges[i] - edges[j]) / (cells[i] - cells[j])) for edges in (firsts, ends) for i, j in pairs}
    _, size, stride, start = min(window(slope) for slope in slopes | {0.0})
    return stride, size, start
