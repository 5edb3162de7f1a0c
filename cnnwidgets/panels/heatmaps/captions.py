"""Texts of a HeatmapPanel: captions, legend, bars, conclusion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import ComparisonFrame, MapRequest
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles, Tile
from cnnwidgets.explain.regions import Region
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup

LIKELY = 5  # classes that are shown as bars


def target_name(request: MapRequest, frame: ComparisonFrame) -> str:
    """The name of the class that is explained."""
    if callable(request.target):
        return "your function"
    which = find_output(request.output, request.net.outputs)
    if request.target is None:
        return request.net.class_name(frame.predictions[0].index, which)
    if isinstance(request.target, Region):
        return f"{target_name(replace(request, target=request.target.target), frame)} in the region"
    if isinstance(request.target, str):
        return request.target
    return request.net.class_name(int(request.target), which)


def rather_than(request: MapRequest) -> str:
    """The classes that it is compared with, in words; "" for none."""
    against = request.against
    if against is None:
        return ""
    every = against if isinstance(against, (list, tuple, range)) else [against]
    return "rather than " + ", ".join(one if isinstance(one, str) else request.net.class_name(one) for one in every)


def class_chosen(net: Network, target: Any, output: int | str | None) -> int | None:
    """The index of a class that was named; `None` for the top class and for functions."""
    target = target.target if isinstance(target, Region) else target
    if target is None or callable(target):
        return None
    return net.class_index(target, find_output(output, net.outputs))


def all_classes(net: Network, output: int | str | None) -> tuple[Prediction, ...]:
    """All classes, before the network has predicted."""
    which = find_output(output, net.outputs)
    every = range(net.outputs[which].classes)
    return tuple(Prediction(index, net.class_name(index, which), float("nan")) for index in every)


def captions(tiles: HeatTiles) -> list[tuple[str, str, str]]:
    """For each cell of the grid its name, its text and, if the map has a note, the text with the note."""
    by_cell = {tile.cell: _caption(tiles.comparison, tile) for tile in tiles.tiles}
    return [by_cell.get(cell, ("", "", "")) for cell in range(tiles.columns * tiles.rows)]


def _caption(frame: ComparisonFrame, tile: Tile) -> tuple[str, str, str]:
    request, heat, method = tile.request, tile.heat, method_guide.label(tile.request.method)
    where = [(heat.input or "all pictures") if len(request.net.picture_inputs) > 1 else ""]
    where.append(f"call {heat.call}" if heat.path and len(frame.columns[tile.number]) > 1 else "")
    name = " · ".join(filter(None, where))
    words = [method if name else "", target_name(request, frame), rather_than(request)]
    words.append("log-odds" if request.of == "log_odds" else "")
    words.append(request.net.name if request.net is not frame.requests[0].net else "")
    words.append("shuffled weights" if request.is_shuffled else "")
    text = " · ".join(filter(None, words))
    return name or method, text, f"{text} · {heat.note.partition(':')[0]}" if heat.note else ""


def legend(tiles: HeatTiles, brush: Brush) -> str:
    """The color scale as HTML."""
    table = pictures.to_uint8(pictures.colormap(brush.colormap)[::17])
    colors = [(int(r), int(g), int(b)) for r, g, b in table]
    largest = f"{tiles.largest(0, brush.is_signed):.3g}" if tiles.shares_scale else "each map's largest"
    if brush.is_signed:
        return markup.legend(
            colors, 0, f"-{largest}", largest, "Blue is evidence against the class, red is evidence for it."
        )
    is_fine = tiles.tiles[0].request.method in method_guide.FINE
    what = "How strongly the class depends on each pixel" if is_fine else "Evidence for the class"
    words = f"{what}; where there is little, the picture shows through."
    return markup.legend(colors, brush.threshold, "0", largest, words)


def bars(frame: ComparisonFrame) -> str:
    """The most probable classes, and the one that is explained, as HTML."""
    request = frame.requests[0]
    wanted = class_chosen(request.net, request.target, request.output)
    if request.target is None:
        wanted = frame.predictions[0].index
    shown = [line for rank, line in enumerate(frame.predictions) if rank < LIKELY or line.index == wanted]
    at = next((n for n, line in enumerate(shown) if line.index == wanted), None)
    return markup.bars([(line.name, line.probability) for line in shown], at, "The most probable classes")


def conclusion(frame: ComparisonFrame, remark: str) -> str:
    """A sentence or two about the map; a note comes first."""
    request, heat = frame.requests[0], frame.columns[0][0]
    note = next((one.note for one in frame.columns[0] if one.note), "")
    if note:
        return f"{remark} {note[:1].upper()}{note[1:]}.".strip()
    closing = "" if remark else " Click the picture to hide a part of it from the network."
    return f"{remark} {_peak(heat, request, frame)}{closing}".strip()


def _peak(heat: Heatmap, request: MapRequest, frame: ComparisonFrame) -> str:
    row, column = np.unravel_index(int(np.argmax(heat.map)), heat.map.shape)
    where = f" at {heat.path}" if heat.path else ""
    name = target_name(request, frame)
    return f"{method_guide.label(request.method)} for {name}{where}: strongest at x {column}, y {row}."
