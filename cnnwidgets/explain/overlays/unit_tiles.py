"""The units of an attribution drawn on the photograph: where each is evidence for or against the target, and its share.

Red is evidence for the target, blue is evidence against it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.unit_attribution import UnitAttribution
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import cells

COLORS = "RdBu_r"
OPACITY = 0.7
TILE = 160  # pixels of the longer side of a tile in the saved picture
BAR, TRACK, AXIS = 10, 0.85, 0.35  # of the bar under a tile: its height in pixels, and levels of gray
FOR, AGAINST = 230, 25  # of the 256 colors
MARK = 12  # pixels of the frame around a chosen position, in a picture 256 pixels long


def first_shown(found: Sequence[UnitAttribution]) -> UnitAttribution:
    """The first call that has a part in the target; the first of all where none has."""
    return next((one for one in found if one.shares.any()), found[0])


def photo_of(net: Network, found: UnitAttribution, photos: Sequence[np.ndarray]) -> np.ndarray:
    """The photograph [H, W, 3] that a call sees; the first one where it sees several."""
    names = [net.inputs[i].name for i in net.picture_inputs]
    return photos[names.index(found.input) if found.input in names else 0]


class UnitMaps:
    """The evidence of units over the photograph, at any size.

    Attributes:
        found: as given.
        why_none: why the layer has no maps, in a sentence; "" where it has.
    """

    def __init__(self, found: UnitAttribution) -> None:
        self.found, self.why_none = found, ""
        try:
            self._placement = found.map(0).placement
        except BadTarget as reason:
            self._placement, self.why_none = None, str(reason)

    def evidence(self, unit: int | None, size: tuple[int, int]) -> np.ndarray:
        """[H, W] float32, signed: what a unit, or all of them together, contribute at each pixel of (H, W)."""
        parts = self.found.parts
        raw = parts.sum(-1) if unit is None else parts[..., unit]
        return np.zeros(size, np.float32) if self._placement is None else self._placement.at_size(size).lay(raw)

    def over(self, photo: np.ndarray, unit: int | None = None) -> np.ndarray:
        """The evidence of a unit, or of all together, over a photograph [H, W, 3], 0..1."""
        height, width = photo.shape[:2]
        return pictures.overlay(photo, self.evidence(unit, (height, width)), COLORS, OPACITY)


def mosaic(found: UnitAttribution, photo: np.ndarray, units: Sequence[int], columns: int) -> np.ndarray:
    """Units on a photograph [H, W, 3], side by side, float [H', W', 3]: the evidence of each over its share as a bar.

    Bars go from the middle to the right for the target and to the left against it; the largest share of all units
    fills its half. Where the layer has no rows and columns there are only bars.
    """
    largest = float(np.abs(found.shares).max()) or 1.0
    maps, small = UnitMaps(found), cells.fit(photo, TILE)
    bars = [_bar(float(found.shares[unit]) / largest, small.shape[1]) for unit in units]
    if not bars:
        return maps.over(small)
    tiles = bars if maps.why_none else [
        np.concatenate([maps.over(small, unit), bar]) for unit, bar in zip(units, bars, strict=True)
    ]  # fmt: skip
    return np.asarray(pictures.mosaic(np.stack(tiles), columns))


def marked(picture: np.ndarray, position: tuple[float, float]) -> np.ndarray:
    """The picture [H, W, 3] with a white frame in black around (row, column), shares 0..1 of it."""
    height, width = picture.shape[:2]
    row, column = int(position[0] * height), int(position[1] * width)
    drawn, line = picture.copy(), max(1, round(max(height, width) / 256))
    for reach, color in ((3 * line, 0.0), (2 * line, 1.0), (line, 0.0), (0, None)):
        reach += round(MARK * max(height, width) / 512)
        part = (slice(max(0, row - reach), row + reach + 1), slice(max(0, column - reach), column + reach + 1))
        drawn[part] = picture[part] if color is None else color
    return drawn


def _bar(share: float, width: int) -> np.ndarray:
    """A share -1..1 as a bar, float32 [BAR, width, 3]."""
    bar = np.full((BAR, width, 3), TRACK, np.float32)
    middle, length = width // 2, round(min(abs(share), 1.0) * (width // 2))
    covered = slice(middle, middle + length) if share > 0 else slice(middle - length, middle)
    bar[2:-2, covered] = pictures.colormap(COLORS)[FOR if share > 0 else AGAINST]
    bar[:, middle] = AXIS
    return bar
