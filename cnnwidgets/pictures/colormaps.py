"""Color maps as tables, from matplotlib, and feature maps in color, side by side."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.pictures.grid import mosaic
from cnnwidgets.pictures.pixels import resize, to_uint8

# All rise evenly in brightness, or (RdBu_r: blue against, red for) keep their two sides apart for color-blind eyes.
SEQUENTIAL = ("viridis", "cividis", "magma", "inferno", "gray")
DIVERGING = ("RdBu_r",)
COLORMAPS = SEQUENTIAL + DIVERGING
TILE = 64  # pixels a tile is wide


def colormap(name: str) -> NDArray[np.float32]:
    """The 256 colors of a color map, float32 [256, 3] in 0..1, read-only."""
    if not isinstance(name, str) or name not in COLORMAPS:
        raise BadTarget(f"There is no color map {quoted(name)}. Choose one of: {', '.join(COLORMAPS)}.")
    return _table(name)


@cache
def _table(name: str) -> NDArray[np.float32]:
    import matplotlib  # takes 0.4 s, so only whoever shows a heatmap waits for it

    table = matplotlib.colormaps[name](np.arange(256))[:, :3].astype(np.float32)  # [256, 4] -> [256, 3]
    table.flags.writeable = False
    return table


def color_maps(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Gray maps of any shape in viridis, [..., 3]: even steps to the eye, and safe for the color-blind."""
    return to_uint8(colormap("viridis"))[maps]


def tile_maps(maps: NDArray[np.uint8], columns: int) -> NDArray[Any]:
    """Maps [n, h, w] as one picture [H, W, 3] of tiles 64 pixels wide, row by row."""
    return mosaic(color_maps(np.stack([_fitted(one) for one in maps])), columns)


def _fitted(one: NDArray[np.uint8]) -> NDArray[np.uint8]:  # [h, w] -> [H, TILE] of the same form
    height, width = one.shape
    high = min(2 * TILE, max(TILE // 4, round(TILE * height / width)))
    if width > TILE:
        return to_uint8(resize(one.astype(np.float32) / 255, (high, TILE)))
    rows, columns = np.arange(high) * height // high, np.arange(TILE) * width // TILE
    return one[rows][:, columns]
