"""A mosaic with an empty band under each tile, for captions that are laid over it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.pictures.grid import columns_for, mosaic


def with_bands(tiles: NDArray[Any]) -> NDArray[Any]:
    """Tiles [n, h, w, C] as one picture, with a black band under each."""
    band = round(tiles.shape[1] * _band(len(tiles)))
    return mosaic(np.pad(tiles, ((0, 0), (0, band), (0, 0), (0, 0))), columns_for(len(tiles)), gap=0)


def shape_of(count: int) -> tuple[int, int, float]:
    """The columns and rows of such a mosaic, and the share of a tile with its band that the band covers."""
    columns, band = columns_for(count), _band(count)
    return columns, -(-count // columns), band / (1 + band)


def _band(count: int) -> float:
    """The height of a band, as a share of its tile's: much the same on the page however many tiles there are."""
    return min(0.25, 0.05 * max(2, columns_for(count)))
