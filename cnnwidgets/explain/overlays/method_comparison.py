"""All heatmap methods for one picture and class, ordered by what the network predicts without the pixels they name."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.faithfulness import Curve, FaithfulnessSettings
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import ComparisonFrame, MapRequest
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles
from cnnwidgets.explain.passes import Probe
from cnnwidgets.frame import Array
from cnnwidgets.pictures import cells

COLUMNS, TILE = 4, 200  # of the grid; pixels of the longer side of a tile
BAND = 22  # pixels under a tile, for its caption
EMPTY = 0.93  # brightness of a tile without a map


@dataclass(frozen=True, eq=False, repr=False)
class MethodResult:
    """One method.

    Attributes:
        method: its name.
        heat: its map; `None` where it has none.
        seconds: that the map took.
        curve: how the prediction changes; `None` where it is not known yet.
        note: why there is no map, or the map's own note.
    """

    method: str
    heat: Heatmap | None
    seconds: float
    curve: Curve | None = None
    note: str = ""

    def __repr__(self) -> str:
        area = "no area" if self.curve is None else f"area {self.curve.area:.3f}"
        return f"MethodResult({self.method!r}, {area}, {self.seconds:.2f} s)"


@dataclass(frozen=True, eq=False, repr=False)
class MethodsFrame:
    """The methods so far.

    Attributes:
        results: those whose curve is known first, the best one at the top.
        pictures: [1, H, W, 3] float32, the grid of their maps, in the order of `results`, with bands for captions.
        step: 1, 2, ... `steps`.
        steps: how many there will be.
        values: [n], the areas that are known.
    """

    results: tuple[MethodResult, ...]
    pictures: Array
    step: int
    steps: int
    values: Array
    notes: tuple[str, ...] = ()
    is_step = False


def compare_methods(
    request: MapRequest, picture: HeldPicture, settings: FaithfulnessSettings, index: int = 0
) -> Iterator[MethodsFrame]:
    """The map of each method, one after the other, and then the curve of each.

    Args:
        request: what is explained, at which layer; its method counts for nothing.
        picture: what the network sees.
        settings: how pixels are removed.
        index: which of the maps of each method, where there are several.
    """
    every = [m for m in method_guide.WORDS if request.layer is not None or not method_guide.is_map(m)]
    grid = _Grid(request, picture)
    done: list[MethodResult] = []
    for number, method in enumerate(every):
        for result in _mapped(replace(request, method=method), picture, index):
            shown = [*done, result] if result is not None else done
            yield grid.frame(shown, number + (result is not None), 2 * len(every))
        done = shown
    maps = {result.method: result.heat for result in done if result.heat is not None}
    if not maps:
        return
    for curves in settings.check(Probe(request.net, picture.given, settings.size), maps).frames():
        known = {name: curve for name, curve in curves.curves.items() if not np.isnan(curve.values).any()}
        ranked = _ranked([replace(one, curve=known.get(one.method)) for one in done], settings.metric)
        yield grid.frame(ranked, len(every) + len(every) * curves.step // curves.steps, 2 * len(every))


def _mapped(request: MapRequest, picture: HeldPicture, index: int) -> Iterator[MethodResult | None]:
    """`None` at each step of a slow method, so that it can be stopped, and then its result."""
    began = time.perf_counter()
    try:
        for frame in request.frames(picture.given):
            if frame.step < frame.steps:
                yield None
        heat = frame.heatmaps[min(index, len(frame.heatmaps) - 1)]
    except CnnWidgetsError as error:
        yield MethodResult(request.method, None, time.perf_counter() - began, note=str(error))
        return
    yield MethodResult(request.method, heat, time.perf_counter() - began, note=heat.note)


def _ranked(results: Sequence[MethodResult], metric: str) -> list[MethodResult]:
    """The best first: of "insertion" the largest area, of the other metrics the smallest; unknown ones last."""
    sign = -1 if metric == "insertion" else 1
    return sorted(results, key=lambda one: np.inf if one.curve is None else sign * one.curve.area)


class _Grid:
    """Tiles of maps; each is painted once."""

    def __init__(self, request: MapRequest, picture: HeldPicture) -> None:
        self._map_request, self._picture = request, picture
        self._tiles: dict[str, Array] = {}

    def frame(self, results: Sequence[MethodResult], step: int, steps: int) -> MethodsFrame:
        areas = np.array([one.curve.area for one in results if one.curve is not None], np.float32)
        tiles = [self._tile(one) for one in results] or [self._blank()]
        return MethodsFrame(tuple(results), pictures.mosaic(np.stack(tiles), COLUMNS)[None], step, steps, areas)

    def _tile(self, result: MethodResult) -> Array:
        if result.method not in self._tiles:
            self._tiles[result.method] = self._blank() if result.heat is None else self._painted(result, result.heat)
        return self._tiles[result.method]

    def _painted(self, result: MethodResult, heat: Heatmap) -> Array:
        request = replace(self._map_request, method=result.method)
        comparison = ComparisonFrame((request,), self._picture, ((heat,),), (), 1, 1, np.zeros(1, np.float32))
        tiles = HeatTiles(comparison)
        whole = tiles.without_bands(tiles.painted(Brush())).astype(np.float32) / 255
        tile = self._blank()
        small = cells.fit(whole, TILE)
        tile[: small.shape[0], : small.shape[1]] = small
        return tile

    def _blank(self) -> Array:
        height, width = cells.fit(self._picture.photos[0], TILE).shape[:2]
        tile = np.full((height + BAND, width, 3), 1.0, np.float32)
        tile[:height] = EMPTY
        return tile
