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
MARK = 9  # pixels of the longer side of the frame around a chosen position, for a picture 256 pixels long


def one_of(found: Sequence[UnitAttribution]) -> UnitAttribution:
    """The call that is shown first: the first one that has a part in the target."""
    return next((one for one in found if one.shares.any()), found[0])


def photo_of(net: Network, found: UnitAttribution, photos: Sequence[np.ndarray]) -> np.ndarray:
    """The photograph [H, W, 3] that this call sees; the first one where it sees several."""
    names = [net.inputs[i].name for i in net.picture_inputs]
    return photos[names.index(found.input) if found.input in names else 0]


def why_no_map(found: UnitAttribution) -> str:
    """Why the layer has no maps, in a sentence; "" where it has."""
    try:
        found.map(0)
    except BadTarget as reason:
        return str(reason)
    return ""


def evidence(found: UnitAttribution, unit: int | None) -> np.ndarray:
    """[H, W] float32, signed: the evidence of a unit, or of all units together, laid over the picture.

    Raises:
        BadTarget: for a layer without rows and columns.
    """
    heat = found.map(0 if unit is None else unit)
    if unit is not None or heat.placement is None:
        return heat.signed
    return heat.placement.lay(found.parts.sum(-1))


def over(photo: np.ndarray, found: UnitAttribution, unit: int | None = None) -> np.ndarray:
    """The evidence of a unit, or of all together, over a photograph [H, W, 3] of any size, 0..1."""
    return pictures.overlay(photo, evidence(found, unit), COLORS, OPACITY)


def marked(picture: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """The picture [H, W, 3] with a small frame around (row, column), shares 0..1: black in white."""
    height, width = picture.shape[:2]
    drawn = picture.copy()
    half = max(3, round(MARK * max(height, width) / 256 / 2))
    row, column = int(place[0] * height), int(place[1] * width)
    for inset, color in ((0, 1.0), (1, 0.0), (2, None)):
        reach = half - inset
        rows = slice(max(0, row - reach), max(0, row + reach + 1))
        columns = slice(max(0, column - reach), max(0, column + reach + 1))
        drawn[rows, columns] = picture[rows, columns] if color is None else color
    return drawn


def mosaic(found: UnitAttribution, photo: np.ndarray, units: Sequence[int], columns: int) -> np.ndarray:
    """Units on a photograph [H, W, 3], side by side, float [H', W', 3]: the evidence of each over its share as a bar.

    Bars go from the middle to the right for the target and to the left against it; the largest share of all units
    fills its half. Where the layer has no rows and columns there are only bars.
    """
    largest = float(np.abs(found.shares).max()) or 1.0
    small, has_map = cells.fit(photo, TILE), not why_no_map(found)
    shown: list[int | None] = list(units) or [None]
    tiles = []
    for unit in shown:
        share = found.total if unit is None else float(found.shares[unit])
        bar = _bar(share / largest, small.shape[1])
        tiles.append(np.concatenate([over(small, found, unit), bar]) if has_map else bar)
    return np.asarray(pictures.mosaic(np.stack(tiles).astype(np.float32), columns))


def _bar(share: float, width: int) -> np.ndarray:
    """A share -1..1 as a bar, [BAR, width, 3]."""
    bar = np.full((BAR, width, 3), TRACK, np.float32)
    middle = width // 2
    length = round(min(abs(share), 1.0) * middle)
    color = pictures.colormap(COLORS)[230 if share > 0 else 25]
    bar[2:-2, middle : middle + length] = color if share > 0 else TRACK
    if share < 0:
        bar[2:-2, middle - length : middle] = color
    bar[:, middle] = AXIS
    return bar
