"""Feature maps side by side: small ones with their cells to be seen, large ones shrunk."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.pictures.colormaps import colormap
from cnnwidgets.pictures.grid import mosaic
from cnnwidgets.pictures.pixels import resize, to_uint8

TILE = 64  # pixels a tile is wide


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
