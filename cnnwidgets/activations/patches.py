"""Top patches of a unit: the regions of real pictures that activate it most, to check its optimized picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import answers, shapes
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.arguments import check_call, check_unit, pictures_in
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.dependence import Box, Followed, follow
from cnnwidgets.model.geometry.placement import scaled
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.pictures import displayable

Place = tuple[int, int]  # row, column


@dataclass(frozen=True, eq=False)
class Patch:
    """A place of a picture that excites a unit.

    Attributes:
        picture: the index of the picture.
        value: what the unit answers there.
        place: (row, column) on the layer's map; (0, 0) for a layer without rows and columns.
        box: (top, left, bottom, right) in the given picture's pixels: what the cell there sees, inside the picture.
        pixels: [h, w, 3] float32, 0..1: the box cut out of the given picture.
    """

    picture: int
    value: float
    place: Place
    box: Box
    pixels: Array = field(repr=False)


def top_patches(
    net: Network | Any,
    pictures: Iterable[object],
    layer: str,
    unit: int,
    count: int = 9,
    *,
    per_picture: int = 1,
    call: int = 0,
    size: Size | None = None,
) -> list[Patch]:
    """The places of pictures that a unit answers most to, best first (Zeiler & Fergus, arXiv:1311.2901).

    A patch is what the unit's cell there sees, its receptive field: a whole picture deep in a network. A picture in
    which the unit answers the same everywhere, such as 0, has no such place.

    Args:
        net: a Network or a bare Keras model.
        pictures: many of what `load_picture` takes, read one by one; for a model of several inputs lists or dicts of
            them.
        layer: a path; an unambiguous last part is enough.
        unit: its index.
        count: how many patches, at most.
        per_picture: how many of them may come from one picture. None lies in the middle of a better one.
        call: which call of a shared layer.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.

    Raises:
        BadPicture: for what is not a picture, is too small for the network, or for one picture instead of many.
        BadTarget: for a layer, unit, call or count that does not exist, or a layer that sees no picture.

    Example:
        >>> top_patches(net, ["cat.jpg", "dog.jpg"], "fire5_concat", 12)[0].pixels.shape
        (127, 126, 3)
    """
    return last_of(PatchesSettings.given(locals()).check(net).search(pictures))


@dataclass(frozen=True, eq=False)
class PatchesSettings(Settings):
    """The settings of `top_patches`."""

    layer: str
    unit: int
    count: int = setting(9, Whole(1))
    per_picture: int = setting(1, Whole(1))
    call: int = 0
    size: Size | None = None

    def check(self, net: Network | Any) -> PatchesPlan:
        """Check a search; a layer that sees no picture is refused before any is read.

        Raises:
            BadTarget: what `top_patches` raises.
        """
        net = as_network(net)
        info, found = net.layer(self.layer), self.checked()
        call, unit = check_call(info, self.call), check_unit(info, self.unit)
        searched = _Unit(net, info.path, call, unit, net.checked_size(self.size))
        searched.followed()
        return PatchesPlan(found, searched)


@dataclass(frozen=True, eq=False)
class PatchesPlan:
    """A checked search."""

    settings: PatchesSettings
    searched: _Unit

    def search(self, pictures: Iterable[object]) -> Iterator[list[Patch]]:
        """The best patches so far, after each picture."""
        best: list[Patch] = []
        count, per_picture = self.settings.count, self.settings.per_picture
        for index, picture in enumerate(pictures_in(pictures)):
            worst = best[-1].value if len(best) == count else -np.inf
            best += self.searched.patches(index, picture, per_picture, worst)
            best = sorted(best, key=lambda patch: -patch.value)[:count]
            yield list(best)


@dataclass(frozen=True, eq=False)
class _Unit:
    """The unit that patches are searched for."""

    net: Network
    path: str
    call: int
    unit: int
    size: Size | None

    def followed(self) -> Followed:
        """The graph that leads from its cells back to the pixels that they see."""
        return follow(self.net, self.path, self.call, shapes(self.net))

    def patches(self, index: int, picture: object, most: int, worst: float) -> Iterator[Patch]:
        """The best places of one picture, as long as they are better than the worst of those known."""
        opened = self.net.opened(picture)
        arrays = self.net.fitted(opened, self.size)
        (answer,) = answers(self.net, (self.path,), self.call, arrays)
        cells = answer[..., self.unit]  # [h, w]
        cells = cells if cells.ndim == 2 else cells.max().reshape(1, 1)
        follow_back, which = self.followed()
        feed = [tf.constant(array) for array in arrays]
        given, fed = opened[which], arrays[which].shape[1:3]  # [H, W, C], (H, W)

        def box_at(place: Place) -> Box:
            box, _ = follow_back(feed, tf.constant((*place, self.unit), tf.int32))
            return scaled([int(edge) for edge in box], fed, given.shape)

        for place, box in _places(cells, box_at, given.shape, most, worst):
            top, left, bottom, right = box
            pixels = displayable(given[top:bottom, left:right]).copy()  # a copy, so that the whole picture is not kept
            yield Patch(index, float(cells[place]), place, box, pixels)


def _places(
    cells: Array, box_at: Callable[[Place], Box], size: Sequence[int], most: int, worst: float
) -> Iterator[tuple[Place, Box]]:
    """The highest cells [h, w], best first, each with its box; none in the middle half of a better one's box."""
    left = cells.copy()
    lowest = cells.min() if cells.size > 1 else -np.inf
    found = 0
    while found < most:
        row, column = (int(i) for i in np.unravel_index(np.argmax(left), left.shape))
        if left[row, column] <= max(lowest, worst):
            return
        box = box_at((row, column))
        if box[2] <= box[0] or box[3] <= box[1]:  # a cell of padding sees nothing
            left[row, column] = -np.inf
            continue
        found += 1
        yield (row, column), box
        high, wide = ((box[a + 2] - box[a]) * cells.shape[a] / size[a] for a in (0, 1))  # of the box, in cells
        rows, columns = np.ogrid[: cells.shape[0], : cells.shape[1]]
        left[(abs(rows - row) < high / 2) & (abs(columns - column) < wide / 2)] = lowest
