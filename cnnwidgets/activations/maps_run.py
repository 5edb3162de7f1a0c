"""A run for one layer: its feature maps first, then the receptive field of their cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.activations.receptive_field import ReceptiveField, receptive_field
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.geometry.placement import scaled
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import LARGEST_SIDE
from cnnwidgets.model.sizes.picture_size import Size

SMALLEST = 8  # pixels: the receptive field is not computed for a smaller picture


class Photographs(Protocol):
    """A picture as it was given, with its photographs for each picture input."""

    given: Any
    photos: list[np.ndarray]
    digest: str

    def looked_at(self, net: Network, size: Size | None) -> str:
        """The sizes at which a network looks at the photographs, in a sentence."""


@dataclass(frozen=True, eq=False)
class MapsFrame:
    """The maps of a layer, and then the receptive field of its cells.

    Attributes:
        run: the run that made it.
        photograph: [H, W, 3], 0..1: the one that the layer sees.
        maps: [h, w, units] float32.
        units: in the order in which they are shown.
        step: 1, and 2 when the receptive field is known.
        steps: 2.
        values: the highest activation of each unit shown.
        field: what a cell sees, in pixels of what the network was fed; `None` in the first frame, and if it cannot be
            computed.
        fed: the (height, width) of that; `None` in the first frame.
        notes: none.
    """

    run: MapsRun
    photograph: np.ndarray
    maps: np.ndarray
    units: tuple[int, ...]
    step: int
    steps: int
    values: np.ndarray
    field: ReceptiveField | None = None
    fed: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_step(self) -> bool:
        """Only the maps are a point of the curve."""
        return self.step == 1

    def __repr__(self) -> str:
        return f"MapsFrame({self.run.layer!r}, {list(self.maps.shape)})"

    def seen_by(self, row: int, column: int) -> Box | None:
        """What a cell sees of the photograph: (top, left, bottom, right) in its pixels."""
        if self.field is None or self.fed is None:
            return None
        box = self.field.box(row, column)
        is_empty = box[2] <= box[0] or box[3] <= box[1]  # a cell of padding
        return None if is_empty else scaled(box, self.fed, self.photograph.shape[:2])

    def center_of(self, row: int, column: int) -> tuple[int, int]:
        """The pixel (row, column) of the photograph in the middle of what a cell sees."""
        height, width = self.photograph.shape[:2]
        seen = self.seen_by(row, column)
        if seen is None:  # not known: the maps lie over the whole photograph
            rows, columns = self.maps.shape[:2]
            return int((row + 0.5) * height / rows), int((column + 0.5) * width / columns)
        top, left, bottom, right = seen
        return min((top + bottom) // 2, height - 1), min((left + right) // 2, width - 1)

    def cell_at(self, row: int, column: int) -> tuple[int, int]:
        """The cell (row, column) of the maps whose middle is nearest to a pixel of the photograph."""
        rows, columns = self.maps.shape[:2]
        down = [abs(self.center_of(i, columns // 2)[0] - row) for i in range(rows)]
        across = [abs(self.center_of(rows // 2, i)[1] - column) for i in range(columns)]
        return int(np.argmin(down)), int(np.argmin(across))


@dataclass(frozen=True, eq=False)
class MapsRun:
    """A checked request for the maps of a layer.

    Attributes:
        net: the network.
        picture: what it sees.
        layer: a path.
        call: which of its calls.
        is_sorted: whether the units with the strongest activation come first.
        size: at which the network looks, as in `feature_maps`.
    """

    net: Network
    picture: Photographs
    layer: str
    call: int
    is_sorted: bool
    size: Size | None

    def frames(self) -> Iterator[MapsFrame]:
        """The maps at once, and the receptive field after them."""
        net, given = self.net, self.picture.given
        which = (net.sees(self.layer, self.call) or net.picture_inputs)[0]
        maps = feature_maps(net, given, [self.layer], call=self.call, size=self.size)[self.layer]
        highest = maps.max((0, 1))
        units = np.argsort(-highest, kind="stable") if self.is_sorted else np.arange(maps.shape[-1])
        photograph = self.picture.photos[net.picture_inputs.index(which)]
        shown = self, photograph, maps, tuple(map(int, units))
        yield MapsFrame(*shown, 1, 2, highest[units])
        height, width = net.arrays(given, self.size)[which].shape[1:3]
        is_possible = min(height, width) >= SMALLEST and max(height, width) <= LARGEST_SIDE
        field = receptive_field(net, self.layer, size=(height, width), call=self.call) if is_possible else None
        yield MapsFrame(*shown, 2, 2, highest[units], field, (height, width))
