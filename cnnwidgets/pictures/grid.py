"""Many pictures as one: a mosaic of tiles, and which tile lies at a pixel of it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture, BadTarget

GAP = 2  # pixels between tiles


@dataclass(frozen=True)
class Grid:
    """Where `count` tiles of [height, width] pixels lie, row by row; gaps only between them, none around.

    Example:
        >>> Grid(count=5, columns=3, height=10, width=10).place(1)
        (slice(0, 10, None), slice(12, 22, None))
    """

    count: int
    columns: int
    height: int
    width: int
    gap: int = GAP

    def __post_init__(self) -> None:
        """Refuse a grid that has no place for a tile."""
        if min(self.count, self.columns, self.height, self.width) < 1 or self.gap < 0:
            raise BadTarget(f"{self} has no place for a tile. Give at least 1 of each, and a gap of 0 or more pixels.")

    @property
    def rows(self) -> int:
        """How many rows the tiles fill, the last one perhaps in part."""
        return math.ceil(self.count / self.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the whole mosaic in pixels."""
        return (
            self.rows * (self.height + self.gap) - self.gap,
            self.columns * (self.width + self.gap) - self.gap,
        )

    def place(self, index: int) -> tuple[slice, slice]:
        """The rows and columns of pixels that tile `index` covers."""
        row, column = divmod(index, self.columns)
        top, left = row * (self.height + self.gap), column * (self.width + self.gap)
        return slice(top, top + self.height), slice(left, left + self.width)


def tile_at(x: float, y: float, count: int, columns: int) -> int | None:
    """The index of the tile at (x, y) of a mosaic, each a share 0..1 of its size; a gap belongs to the nearest tile.

    Args:
        x: from the left.
        y: from the top.
        count: tiles.
        columns: tiles in a row.

    Returns:
        `None` outside the mosaic and where a last row has no more tiles.

    Example:
        >>> tile_at(0.5, 0.1, count=5, columns=3)
        1
    """
    if not (0 <= x < 1 and 0 <= y < 1):
        return None
    index = int(y * math.ceil(count / columns)) * columns + int(x * columns)
    return index if index < count else None


def columns_for(count: int) -> int:
    """The columns of the squarest mosaic of `count` tiles: 16 -> 4, 12 -> 4, 1 -> 1."""
    return max(1, math.isqrt(max(count, 1) - 1) + 1)


def mosaic(pictures: NDArray[Any], columns: int | None = None, gap: int = GAP, background: float = 1.0) -> NDArray[Any]:
    """Pictures of one size as tiles of one picture, row by row.

    Args:
        pictures: [N, H, W, C] or [N, H, W], uint8 0..255 or float 0..1.
        columns: tiles in a row; None makes it nearly square.
        gap: pixels between tiles.
        background: the brightness of gaps and empty places, 0 (black) to 1 (white), whatever the dtype.

    Returns:
        [H', W', C] or [H', W'] in the dtype of `pictures`; `Grid(N, columns, H, W, gap).shape` is its size.

    Raises:
        BadPicture: not a batch of pictures, or an empty one.
        BadTarget: less than one column, or a negative gap.
    """
    pictures = np.asarray(pictures)
    if pictures.ndim not in (3, 4) or 0 in pictures.shape:
        raise BadPicture(
            f"An array of shape {list(pictures.shape)} is not a mosaic. Expected [N, H, W, C], none of them 0."
        )
    count, height, width = pictures.shape[:3]
    grid = Grid(count, columns_for(count) if columns is None else columns, height, width, gap)
    paper = round(255 * background) if pictures.dtype == np.uint8 else background
    canvas = np.full((*grid.shape, *pictures.shape[3:]), paper, pictures.dtype)
    for index, picture in enumerate(pictures):
        canvas[grid.place(index)] = picture
    return canvas


def with_bands(tiles: NDArray[Any]) -> NDArray[Any]:
    """A mosaic of tiles [n, h, w, C] with an empty band under each, for captions that are laid over it."""
    band = round(tiles.shape[1] * _band(len(tiles)))
    return mosaic(np.pad(tiles, ((0, 0), (0, band), (0, 0), (0, 0))), columns_for(len(tiles)), gap=0)


def banded_shape(count: int) -> tuple[int, int, float]:
    """The columns and rows of such a mosaic, and the share of a tile with its band that the band covers."""
    columns, band = columns_for(count), _band(count)
    return columns, -(-count // columns), band / (1 + band)


def _band(count: int) -> float:
    """The height of a band, as a share of its tile's: much the same on the page however many tiles there are."""
    return min(0.25, 0.05 * max(2, columns_for(count)))
