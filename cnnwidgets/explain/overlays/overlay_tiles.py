"""Heatmaps as tiles, painted over the photographs: one column for each request, one row for each map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import ComparisonFrame, MapRequest
from cnnwidgets.explain.regions import Box, Region
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import cells as cells_
from cnnwidgets.pictures.cells import Square
from cnnwidgets.pictures.colormaps import DIVERGING

WIDTH, WIDE = 512, 816  # CSS pixels of one column, and of several together
BAND = 24  # CSS pixels of a caption
FINE_TOP = 99  # percentile of a fine map that gets the full color: single pixels are far above the rest


@dataclass(frozen=True)
class Brush:
    """How heat is painted.

    Attributes:
        opacity: 0..1, of the largest evidence.
        threshold: 0..1, the share of the largest value from which on heat is shown.
        colormap: one of `pictures.COLORMAPS`.
    """

    opacity: float = 0.7
    threshold: float = 0.0
    colormap: str = "viridis"

    @property
    def is_signed(self) -> bool:
        """Whether evidence against the target is shown too."""
        return self.colormap in DIVERGING


class Position(NamedTuple):
    """A position on a photograph.

    Attributes:
        tile: which tile.
        x: 0..1 of the photograph's width.
        y: 0..1 of its height.
    """

    tile: int
    x: float
    y: float


class Tile(NamedTuple):
    """One heatmap and the photograph under it.

    Attributes:
        heat: the map.
        request: what was requested.
        number: of its request.
        which: the index of its picture among the picture inputs.
        photo: [H, W, 3], 0..1.
        cell: its index in the grid, row by row.
    """

    heat: Heatmap
    request: MapRequest
    number: int
    which: int
    photo: np.ndarray
    cell: int


class HeatTiles:
    """Tiles side by side, to be painted again and again.

    Attributes:
        comparison: as given.
        tiles: row by row.
        columns: tiles in a row.
        size: (width, height) of the whole on the page, captions included, in pixels.
    """

    def __init__(self, comparison: ComparisonFrame) -> None:
        self.comparison = comparison
        several = len(comparison.requests) > 1
        count = max(len(column) for column in comparison.columns)
        self.columns = len(comparison.requests) if several else pictures.columns_for(count)
        self.rows = count if several else -(-count // self.columns)
        self.tiles = [
            _tile(comparison.requests[n], n, heat, comparison.picture.photos, m * self.columns + n if several else m)
            for m in range(count)
            for n, column in enumerate(comparison.columns)
            for heat in column[m : m + 1]
        ]
        box = WIDTH if self.columns == 1 else WIDE // self.columns
        self._shown = [cells_.fit(tile.photo, box) for tile in self.tiles]
        self._cell = cells_.common([photo.shape[:2] for photo in self._shown])
        self._values: dict[bool, list[np.ndarray]] = {}
        self._largest: dict[bool, list[float]] = {}

    @property
    def size(self) -> tuple[int, int]:
        """The size in pixels of the tiles."""
        height, width = self._cell
        return self.columns * width, self.rows * (height + BAND)

    @property
    def band(self) -> float:
        """The share of a tile's height that its caption covers."""
        return BAND / (self._cell[0] + BAND)

    def painted(self, brush: Brush, marked: tuple[int, Square] | None = None) -> np.ndarray:
        """All tiles as they are shown, uint8 [H, W, 3], with a region marked, and empty bands for the captions."""
        cells = np.full((self.columns * self.rows, self._cell[0] + BAND, self._cell[1], 3), 255, np.uint8)
        for index, (tile, photo) in enumerate(zip(self.tiles, self._shown, strict=True)):
            picture = pictures.to_uint8(self._over(index, photo, self._scaled(index, brush.is_signed), brush))
            if (outline := _outline(tile)) is not None:
                picture = cells_.with_outline(picture, outline)
            if marked is not None and marked[0] == index:
                picture = cells_.with_frame(picture, marked[1])
            cells[tile.cell, : self._cell[0]] = cells_.centered(picture, self._cell)
        return pictures.mosaic(cells, self.columns, gap=0)

    def without_bands(self, painted: np.ndarray) -> np.ndarray:
        """What was painted, [H, W, 3], without the bands for the captions."""
        rows = painted.reshape(-1, self._cell[0] + BAND, *painted.shape[1:])
        return rows[:, : self._cell[0]].reshape(-1, *painted.shape[1:])

    def whole(self, brush: Brush) -> np.ndarray:
        """All tiles at their photographs' own size, float [H, W, 3], nothing written on them."""
        full = [
            self._over(index, tile.photo, self._value(index, brush.is_signed), brush)
            for index, tile in enumerate(self.tiles)
        ]
        if len(full) == 1:
            return full[0]
        cell = cells_.common([picture.shape[:2] for picture in full])
        cells = np.full((self.columns * self.rows, *cell, 3), 1.0, np.float32)
        for tile, picture in zip(self.tiles, full, strict=True):
            cells[tile.cell] = cells_.centered(picture, cell)
        return pictures.mosaic(cells, self.columns)

    def largest(self, index: int, signed: bool = False) -> float:
        """The evidence that gets the full color on a tile: the largest of all tiles of its method and network."""
        if signed not in self._largest:
            tops = [_top(tile, signed) for tile in self.tiles]
            self._largest[signed] = [
                max(top for top, other in zip(tops, self.tiles, strict=True) if _scale(other) == _scale(tile))
                for tile in self.tiles
            ]
        return self._largest[signed][index]

    @property
    def shares_scale(self) -> bool:
        """Whether one color means the same number on all tiles."""
        return len({_scale(tile) for tile in self.tiles}) == 1

    def position_at(self, x: float, y: float) -> Position | None:
        """The position on a photograph at (x, y), shares 0..1 of the whole; `None` outside the photographs."""
        cell = pictures.tile_at(x, y, self.rows * self.columns, self.columns)
        for index, tile in enumerate(self.tiles):
            if tile.cell == cell:
                position = self._on_tile(index, x, y)
                if 0 <= position.x < 1 and 0 <= position.y < 1:
                    return position
        return None

    def box_between(self, start: tuple[float, float], end: tuple[float, float]) -> tuple[int, Box] | None:
        """A tile and the box of pixels (top, left, bottom, right) between two points (x, y), shares 0..1 of the whole.

        The box ends at the edges of the photograph on which it starts; `None` where it starts outside the photographs.
        """
        first = self.position_at(*start)
        if first is None:
            return None
        last, (height, width) = self._on_tile(first.tile, *end), self.tiles[first.tile].photo.shape[:2]
        (left, right), (top, bottom) = (
            sorted(min(max(share, 0.0), 1.0) * length for share in shares)
            for shares, length in (((first.x, last.x), width), ((first.y, last.y), height))
        )
        box = math.floor(top), math.floor(left), math.ceil(bottom), math.ceil(right)
        return first.tile, (box[0], box[1], max(box[2], box[0] + 1), max(box[3], box[1] + 1))

    def _on_tile(self, index: int, x: float, y: float) -> Position:
        """The position of (x, y), shares 0..1 of the whole, relative to a photograph: outside of 0..1 if not on it."""
        row, column = divmod(self.tiles[index].cell, self.columns)
        (height, width), (high, wide) = self._cell, self._shown[index].shape[:2]
        across, down = x * self.columns - column, y * self.rows - row
        inside_x = (across * width - (width - wide) // 2) / wide
        inside_y = (down * (height + BAND) - (height - high) // 2) / high
        return Position(index, inside_x, inside_y)

    def position(self, x: int, y: int, tile: int) -> Position:
        """The position at a pixel (x, y) of a tile's photograph.

        Raises:
            BadTarget: for a tile that there is not, or a pixel outside.
        """
        if not 0 <= tile < len(self.tiles):
            raise BadTarget(f"There is no map {quoted(tile)}. Give 0 to {len(self.tiles) - 1}.")
        height, width = self.tiles[tile].photo.shape[:2]
        if not (0 <= x < width and 0 <= y < height):
            raise BadTarget(
                f"The position {quoted((x, y))} is outside the picture, which has {width} x {height} pixels."
            )
        return Position(tile, (x + 0.5) / width, (y + 0.5) / height)

    def pixel(self, position: Position) -> tuple[int, int]:
        """(x, y) on the photograph."""
        height, width = self.tiles[position.tile].photo.shape[:2]
        return int(position.x * width), int(position.y * height)

    def evidence(self, position: Position) -> str:
        """The evidence of a map at a position, in a sentence."""
        heat, (x, y) = self.tiles[position.tile].heat, self.pixel(position)
        raw = heat.evidence_at(y, x)
        return f"x {x}, y {y}: evidence {raw:.3g}, {heat.map[y, x]:.0%} of the largest."

    def _value(self, index: int, signed: bool) -> np.ndarray:
        """Evidence [H, W] at the photograph's size, in the units of `raw`."""
        heat = self.tiles[index].heat
        return heat.signed if signed else heat.map * _highest(self.tiles[index])

    def _scaled(self, index: int, signed: bool) -> np.ndarray:
        """The same at the size that is shown; kept, since opacity and colors change often."""
        if signed not in self._values:
            self._values[signed] = [
                pictures.resize(self._value(i, signed), photo.shape[:2]) for i, photo in enumerate(self._shown)
            ]
        return self._values[signed][index]

    def _over(self, index: int, photo: np.ndarray, values: np.ndarray, brush: Brush) -> np.ndarray:
        largest = self.largest(index, brush.is_signed)
        if brush.threshold > 0:
            values = np.where(np.abs(values) >= brush.threshold * largest, values, 0)
        if self.tiles[index].request.method in method_guide.FINE:
            photo = photo * np.float32((1 - brush.opacity) ** 2)
        return pictures.overlay(photo, values, brush.colormap, brush.opacity, largest)


def _tile(request: MapRequest, number: int, heat: Heatmap, photos: list[np.ndarray], cell: int) -> Tile:
    inputs = request.net.inputs
    names = [inputs[i].name for i in request.net.picture_inputs]
    which = names.index(heat.input) if heat.input in names else 0
    return Tile(heat, request, number, which, photos[which], cell)


def _outline(tile: Tile) -> Square | None:
    """(left, top, right, bottom) of the box that is explained, shares 0..1 of the first picture; `None` for none."""
    target = tile.request.target
    if not isinstance(target, Region) or target.box is None or tile.which:
        return None
    height, width = tile.photo.shape[:2]
    top, left, bottom, right = target.box
    return left / width, top / height, right / width, bottom / height


def _scale(tile: Tile) -> tuple[str, Network, bool]:
    """Tiles of which one color can mean the same: numbers of different methods or networks cannot be compared."""
    return tile.request.method, tile.request.net, tile.request.is_shuffled


def _top(tile: Tile, signed: bool) -> float:
    """What gets the full color on a tile that stands alone, in the units of `raw`."""
    heat = tile.heat
    full = float(np.abs(heat.raw).max()) if signed else _highest(tile)
    if tile.request.method not in method_guide.FINE:
        return full
    values = np.abs(heat.raw) if signed else heat.map * full
    return float(np.percentile(values, FINE_TOP)) or full


def _highest(tile: Tile) -> float:
    """What is 1 in the map, in the units of `raw`."""
    raw = tile.heat.raw
    return float(np.abs(raw).max()) if tile.request.method in method_guide.FINE else max(float(raw.max()), 0.0)
