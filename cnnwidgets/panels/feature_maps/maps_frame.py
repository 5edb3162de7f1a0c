"""The run of a FeatureMapPanel: the maps first, then the receptive field of a cell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.activations.receptive_field import ReceptiveField, receptive_field
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.geometry.placement import scaled
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import LARGEST_SIDE
from cnnwidgets.model.sizes.picture_size import Size

SMALLEST = 8  # pixels: of a smaller picture the receptive field is not asked for


@dataclass(frozen=True, eq=False)
class MapsFrame:
    """The maps of a layer, and then the receptive field of its cells.

    Attributes:
        layer: its path.
        call: which of its calls.
        picture: what was given.
        size: at which the network looked, as it was asked for.
        photograph: [H, W, 3], 0..1: the one that the layer sees.
        maps: [h, w, units] float32.
        units: in the order in which they are shown.
        step: 1, and 2 when the receptive field is known.
        steps: 2.
        values: the highest answer of each unit shown.
        field: what a cell sees, in pixels of what the network was fed; `None` in the first frame, and where it cannot
            be told.
        fed: the (height, width) of that.
        notes: none.
    """

    layer: str
    call: int
    picture: HeldPicture
    size: Size | None
    photograph: np.ndarray
    maps: np.ndarray
    units: tuple[int, ...]
    step: int
    steps: int
    values: np.ndarray
    field: ReceptiveField | None = None
    fed: tuple[int, int] = (0, 0)
    notes: tuple[str, ...] = ()

    @property
    def is_step(self) -> bool:
        """Only the maps are a point of the curve."""
        return self.step == 1

    def __repr__(self) -> str:
        return f"MapsFrame({self.layer!r}, {list(self.maps.shape)})"

    def seen_by(self, row: int, column: int) -> Box | None:
        """What a cell sees of the photograph: (top, left, bottom, right) in its pixels."""
        box = self.field.box(row, column) if self.field is not None else None
        is_empty = box is None or box[2] <= box[0] or box[3] <= box[1]  # a cell of padding
        return None if box is None or is_empty else scaled(box, self.fed, self.photograph.shape[:2])


def look_at_maps(
    net: Network, picture: HeldPicture, layer: str, call: int, order: str, size: Size | None
) -> Iterator[MapsFrame]:
    """The maps at once, and the receptive field after them.

    Args:
        net: the network.
        picture: what it sees.
        layer: a path.
        call: which of its calls.
        order: "answer" or "index".
        size: at which the network looks, as in `feature_maps`.
    """
    which = (net.sees(layer, call) or net.picture_inputs)[0]
    maps = feature_maps(net, picture.given, [layer], call=call, size=size)[layer]
    highest = maps.max((0, 1))
    units = np.argsort(-highest, kind="stable") if order == "answer" else np.arange(maps.shape[-1])
    photograph = picture.photos[net.picture_inputs.index(which)]
    shown = layer, call, picture, size, photograph, maps, tuple(map(int, units))
    yield MapsFrame(*shown, 1, 2, highest[units])
    height, width = net.arrays(picture.given, size)[which].shape[1:3]
    fed = height, width
    field = (
        receptive_field(net, layer, size=fed, call=call) if min(fed) >= SMALLEST and max(fed) <= LARGEST_SIDE else None
    )
    yield MapsFrame(*shown, 2, 2, highest[units], field, fed)
