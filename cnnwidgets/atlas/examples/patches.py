"""Patches of the strongest responses of all layers, cut out of pictures that are opened once, into a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples.example_store import SIDE
from cnnwidgets.atlas.examples.responses import NOBODY, STRONGEST, Responses
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.dependence import Box, follow, follow_together
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import fed_size
from cnnwidgets.pictures import displayable, to_uint8

SHAPE = STRONGEST, SIDE, SIDE, 3  # of the patches of a unit
BYTES = SIDE * SIDE * 3  # of a patch
PICTURE_SIDE = 224  # of the picture, where the network takes any
TOGETHER = 8  # layers that are followed together: each takes as much memory as a picture in the network


def cut(
    net: Network, pictures: Sequence[Any], layers: Mapping[str, StoredLayer], responses: Responses, file: BinaryIO
) -> Iterator[None]:
    """Cut the patches of all layers, one layer's units after the other's; yields where it can be stopped.

    Each picture is opened once, and patches go to the file at once, so that memory grows neither with the pictures nor
    with the units.

    Args:
        net: the network.
        pictures: not yet read.
        layers: by their paths.
        responses: of their units.
        file: open for writing and unbuffered; what is not written in it is black.
    """
    file.truncate(responses.pictures.size * BYTES)
    parts = []
    for part in seen_parts(net, list(layers)):
        parts.append(part)
        yield
    part_of = np.repeat(np.arange(len(parts)), [stored.units * STRONGEST for stored in layers.values()])
    cells = responses.cells.reshape(-1, 2)
    wanted = list(_by_picture(responses.pictures).items())
    with ThreadPoolExecutor(1, "cnnwidgets-pictures") as reader:
        coming = [reader.submit(_shown, net, pictures[number]) for number, _ in wanted[:1]]
        for at, (_, slots) in enumerate(wanted, 1):
            shown, fed = coming.pop().result()
            coming += [reader.submit(_shown, net, pictures[number]) for number, _ in wanted[at : at + 1]]
            given = shown.height, shown.width
            boxes = [parts[part_of[slot]].square(cells[slot].tolist(), fed, given) for slot in slots]
            patches = {box: _patch(shown, box) for box in set(boxes)}  # many cells deep in a network see all of it
            for slot, box in zip(slots.tolist(), boxes, strict=True):
                file.seek(slot * BYTES)
                file.write(patches[box])
            yield


def _shown(net: Network, picture: object) -> tuple[Image.Image, tuple[int, int]]:
    """A picture at its own size, and the (height, width) that it has in the network."""
    which = net.picture_inputs[0]
    opened = net.opened(picture)[which]
    fed = fed_size(opened.shape[:2], net.inputs[which], net.checked_size(None))
    return Image.fromarray(to_uint8(displayable(opened))), fed


def patches_in(file: BinaryIO, first: int, units: int) -> NDArray[np.uint8]:
    """The patches [units, STRONGEST, SIDE, SIDE, 3] of so many units from this one on."""
    file.seek(first * STRONGEST * BYTES)
    return np.frombuffer(file.read(units * STRONGEST * BYTES), np.uint8).reshape(units, *SHAPE)


def _by_picture(pictures: NDArray[np.int32]) -> dict[int, NDArray[np.intp]]:
    """Where each picture is among the strongest: flat indices."""
    order = np.argsort(pictures, None, kind="stable")
    numbers, starts = np.unique(pictures.ravel()[order], return_index=True)
    pairs = np.split(order, starts[1:])
    return {int(number): own for number, own in zip(numbers, pairs, strict=True) if number != NOBODY}


def _patch(picture: Image.Image, box: Box) -> bytes:
    top, left, bottom, right = box
    return picture.crop((left, top, right, bottom)).resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()


class SeenPart(NamedTuple):
    """What cells see, in pixels of the network's input; each pair is (down, across).

    Attributes:
        size: of the part.
        first: middle of what cell (0, 0) sees.
        stride: how far the middle moves from a cell to the next.
        is_transposed: whether the map's rows run across the picture.
    """

    size: tuple[float, float]
    first: tuple[float, float]
    stride: tuple[float, float]
    is_transposed: bool

    def square(self, cell: Sequence[int], fed: tuple[int, int], given: tuple[int, int]) -> Box:
        """A square around what a cell sees, as large as that or as the picture allows.

        Args:
            cell: (row, column) on the map.
            fed: (height, width) of the picture as the network gets it.
            given: (height, width) of the picture as it was given.
        """
        scales = given[0] / fed[0], given[1] / fed[1]
        at = cell[::-1] if self.is_transposed else cell
        side = max(round(size * scale) for size, scale in zip(self.size, scales, strict=True))
        side = max(1, min(side, *given))
        edges = []
        for axis in (0, 1):
            middle = (self.first[axis] + self.stride[axis] * at[axis]) * scales[axis]
            edges.append(min(max(round(middle - side / 2), 0), given[axis] - side))
        return edges[0], edges[1], edges[0] + side, edges[1] + side


WHOLE = SeenPart((np.inf, np.inf), (0.0, 0.0), (0.0, 0.0), False)


def seen_parts(net: Network, paths: Sequence[str]) -> Iterator[SeenPart]:
    """What the cells of the first call of each layer see; the whole picture where that cannot be followed."""
    for start in range(0, len(paths), TOGETHER):
        some = paths[start : start + TOGETHER]
        found = _seen_together(net, tuple(path for path in some if net.layer(path).is_spatial))
        for path in some:
            yield found.get(path) or seen_part(net, path)


def _seen_together(net: Network, paths: tuple[str, ...]) -> dict[str, SeenPart]:
    """Those of layers that can be followed together."""
    if len(net.picture_inputs) > 1 or len(paths) < 2:
        return {}
    feed = [tf.repeat(tensor, len(paths), 0) for tensor in _feed(net)]
    try:
        followed = follow_together(net, paths, [tensor.shape for tensor in feed])
    except BadTarget:
        return {}
    places = zip(*map(_places, followed.cells), strict=True)  # of all layers: the middle, above it, and beside it
    boxes = zip(*(followed.boxes(feed, tf.constant(place)).numpy().tolist() for place in places), strict=True)
    extent = net.inputs[net.picture_inputs[0]].full_size(PICTURE_SIDE, PICTURE_SIDE)
    return {
        path: _part(cells, own, extent)
        for path, cells, own in zip(paths, followed.cells, boxes, strict=True)
        if all(map(any, own))  # no picture is seen where the graph is cut
    }


def seen_part(net: Network, path: str) -> SeenPart:
    """What the cells of a layer's first call see; the whole picture where that cannot be followed."""
    if not net.layer(path).is_spatial:
        return WHOLE
    feed = _feed(net)
    try:
        followed = follow(net, path, 0, [tensor.shape for tensor in feed])
    except BadTarget:
        return WHOLE

    def look(row: int, column: int) -> list[Any]:
        return [found.numpy().tolist() for found in followed.box(feed, tf.constant([row, column, -1], tf.int32))]

    cells = look(0, 0)[1]
    boxes = [look(*place)[0] for place in _places(cells)]
    return _part(cells, boxes, net.inputs[followed.which].full_size(PICTURE_SIDE, PICTURE_SIDE))


def _feed(net: Network) -> list[Any]:
    numbers = np.random.default_rng(0)
    side = PICTURE_SIDE
    sizes = [
        (*info.full_size(side, side), info.channels) if info.is_picture else tuple(n or 1 for n in info.shape)
        for info in net.inputs
    ]
    return [tf.constant(numbers.random((1, *size), np.float32)) for size in sizes]


def _places(cells: Sequence[int]) -> list[tuple[int, int]]:
    """The cells that are looked at: the middle one, one above it, and one beside it."""
    row, column = cells[0] // 2, cells[1] // 2
    return [(row, column), (row // 2, column), (row, column // 2)]


def _part(cells: Sequence[int], boxes: Sequence[Sequence[int]], extent: tuple[int, int]) -> SeenPart:
    """What cells see, by what those of `_places` do.

    Args:
        cells: how many (rows, columns) there are.
        boxes: of each of these cells.
        extent: (height, width) of the picture.
    """
    (rows, columns), (middle, above, beside) = cells, boxes
    row, column = rows // 2, columns // 2
    is_transposed = above[1] != middle[1] and above[0] == middle[0]
    if is_transposed:
        (row, column), (rows, columns), (above, beside) = (column, row), (columns, rows), (beside, above)
    sides = [
        _along(extent[0], rows, (row // 2, above[0], above[2]), (row, middle[0], middle[2])),
        _along(extent[1], columns, (column // 2, beside[1], beside[3]), (column, middle[1], middle[3])),
    ]
    sizes, firsts, strides = zip(*sides, strict=True)
    return SeenPart(sizes, firsts, strides, is_transposed)


def _along(
    extent: int, cells: int, one: tuple[int, int, int], other: tuple[int, int, int]
) -> tuple[float, float, float]:
    """(size, first middle, stride) along an axis, from (cell, start, end) of two cells.

    Where the picture's border cuts both off, cells are taken to lie evenly over the picture.
    """
    size = float(max(one[2] - one[1], other[2] - other[1]))
    steps = other[0] - one[0]
    if steps and one[1] > 0:  # neither starts before the picture
        stride = (other[1] - one[1]) / steps
        return size, one[1] + size / 2 - stride * one[0], stride
    if steps and other[2] < extent:  # neither ends after it
        stride = (other[2] - one[2]) / steps
        return size, one[2] - size / 2 - stride * one[0], stride
    stride = extent / cells
    return size, stride / 2, stride
