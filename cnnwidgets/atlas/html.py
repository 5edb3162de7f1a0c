"""An atlas as one HTML page without kernel or network. Names are data; only our own script runs."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.html_page import document, json_block, source
from cnnwidgets.pictures import displayable, mosaic, resize, to_jpeg, to_uint8
from cnnwidgets.quantities import plural

if TYPE_CHECKING:
    from cnnwidgets.atlas.atlas import Atlas
    from cnnwidgets.atlas.examples.example_store import LayerExamples

PAGE, COLUMNS = 96, 12  # units on a page; its mosaic is decoded at once when it is looked at
QUALITY = 82
PATCH = 32  # pixels of a patch on the page
BARS = 16  # of a histogram on the page
PARTS = Path(__file__).parent / "page"


def page_of(atlas: Atlas, examples: Mapping[str, LayerExamples]) -> str:
    """The HTML of an atlas, with the examples of those layers that have some."""
    script = (PARTS / "atlas.js").read_text(encoding="utf-8")
    settings = atlas.settings
    units = sum(len(atlas.units(path)) for path in atlas.layers)
    layers = len(atlas.layers)
    about = (
        f"Pictures of what {units} {plural('unit', units)} in {layers} {plural('layer', layers)} "
        f"{'responds' if units == 1 else 'respond'} to, each optimized from noise: "
        f"{settings.steps} {plural('step', settings.steps)}, {' x '.join(map(str, settings.size))} pixels, "
        f"recipe {settings.recipe}, "
        f"seed {settings.seed}."
    )
    return document(
        PARTS / "atlas.html",
        f"default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; script-src {source(script)}",
        html.escape(f"Atlas of {settings.network}"),
        (PARTS / "atlas.css").read_text(encoding="utf-8"),
        about=html.escape(about),
        data="\n".join(_data(atlas, examples)),
        script=script,
    )


def _data(atlas: Atlas, examples: Mapping[str, LayerExamples]) -> Iterator[str]:
    """Blocks that the browser keeps and never runs: the index, and the mosaic of each page."""
    layers = [_layer(atlas, path, examples.get(path)) for path in atlas.layers]
    tile = _tile(atlas)
    sizes = {"page": PAGE, "columns": COLUMNS, "tile": tile, "patches": 3 * PATCH}
    index = json_block({**sizes, "layers": layers})
    yield f'<script type="application/json" id="atlas">{index}</script>'
    for number, path in enumerate(atlas.layers):
        units = atlas.units(path)
        for page, start in enumerate(range(0, len(units), PAGE)):
            data = base64.b64encode(_mosaic(atlas, path, units[start : start + PAGE], tile)).decode()
            yield f'<script type="text/plain" id="m-{number}-{page}">data:image/jpeg;base64,{data}</script>'
            if path in examples:
                data = base64.b64encode(_patches(examples[path], units[start : start + PAGE])).decode()
                yield f'<script type="text/plain" id="p-{number}-{page}">data:image/jpeg;base64,{data}</script>'


def _layer(atlas: Atlas, path: str, examples: LayerExamples | None) -> dict[str, Any]:
    units, values = atlas.units(path), atlas.values(path)
    notes = {unit: note for unit, note in enumerate(atlas.notes(path)) if note}
    shown = [f"{values[unit]:.3g}" for unit in units]
    layer = {"path": path, "count": len(values), "units": list(units), "values": shown, "notes": notes}
    if examples is not None:
        layer["patches"] = np.isfinite(examples.values(units)).sum(1).tolist()
        layer["histograms"] = [_bars(*one) for one in examples.histograms(units)]
    return layer


def _bars(counts: NDArray[Any], edges: NDArray[Any]) -> list[Any]:
    """[lowest, highest, count, ...] of a histogram in at most BARS bins."""
    if not len(counts):
        return []
    width = -(-len(counts) // BARS)
    padded = np.pad(counts, (0, -len(counts) % width)).reshape(-1, width).sum(1)
    return [f"{edges[0]:.3g}", f"{edges[0] + len(padded) * width * (edges[1] - edges[0]):.3g}", *padded.tolist()]


def _patches(examples: LayerExamples, units: tuple[int, ...]) -> bytes:
    """A mosaic of the units' strongest patches, nine in a tile."""
    tiles = np.full((len(units), 3 * PATCH, 3 * PATCH, 3), 128, np.uint8)
    for tile, patches in zip(tiles, examples.patches(units), strict=True):
        for rank, patch in enumerate(patches):
            top, left = PATCH * (rank // 3), PATCH * (rank % 3)
            tile[top : top + PATCH, left : left + PATCH] = to_uint8(resize(patch / 255, (PATCH, PATCH)))
    return to_jpeg(mosaic(tiles, COLUMNS, gap=0), QUALITY)


def _tile(atlas: Atlas) -> tuple[int, int]:
    """(height, width) of a tile in the mosaics: that of the pictures, or of the largest where layers differ."""
    shapes = [atlas[path].shape[1:3] for path in atlas.layers]
    return max((h for h, _ in shapes), default=1), max((w for _, w in shapes), default=1)


def _mosaic(atlas: Atlas, path: str, units: tuple[int, ...], tile: tuple[int, int]) -> bytes:
    pictures = atlas[path][units[0] : units[-1] + 1][[unit - units[0] for unit in units]]
    rows, columns = tile[0] - pictures.shape[1], tile[1] - pictures.shape[2]
    padded: NDArray[Any] = np.pad(pictures, ((0, 0), (0, rows), (0, columns), (0, 0)), constant_values=128)
    return to_jpeg(displayable(mosaic(padded, COLUMNS, gap=0)), QUALITY)
