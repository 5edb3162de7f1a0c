"""What the page shows of a network: for each view its pictures as one JPEG, and the numbers that belong to them."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps
from cnnwidgets.pictures import cells
from cnnwidgets.report.explaining import METHODS
from cnnwidgets.visualize.classes import ClassesSettings
from cnnwidgets.visualize.units import UnitsSettings

LAYERS = {"squeezenet": "fire5_concat", "efficientnet_lite0": "block6_expand_relu"}
TITLES = {"squeezenet": "SqueezeNet", "efficientnet_lite0": "EfficientNet-Lite0"}
CLASSES = ("goldfish", "tabby", "cheeseburger", "volcano")
FOOL = "goldfish"
QUALITY = 80


@dataclass(frozen=True)
class Amount:
    """How much is computed.

    Attributes:
        networks: by name.
        photographs: two sample photographs by name.
        units: tiles in the gallery.
        steps: of gradient ascent.
        frames: that are kept of each run.
        side: pixels of the longer side of a photograph.
        methods: of heatmaps.
    """

    networks: tuple[str, ...] = tuple(LAYERS)
    photographs: tuple[str, ...] = ("chelsea", "coffee")
    units: int = 16
    steps: int = 32
    frames: int = 9
    side: int = 320
    methods: tuple[str, ...] = METHODS


def photograph(name: str, amount: Amount) -> np.ndarray:
    """A photograph [H, W, 3], 0..1, at the size of the page."""
    return cells.fit(cw.samples.sample(name), amount.side)


def photographs(amount: Amount) -> dict[str, Any]:
    """The photographs by name."""
    return {name: _strip([photograph(name, amount)]) for name in amount.photographs}


def network_views(name: str, amount: Amount) -> dict[str, Any]:
    """All views of a network."""
    net, layer = cw.load_network(name), LAYERS[name]
    shots = {shot: photograph(shot, amount) for shot in amount.photographs}
    tops = [[unit.unit for unit in cw.top_units(net, shot, layer, amount.units)] for shot in shots.values()]
    units = list(dict.fromkeys(unit for rank in zip(*tops, strict=True) for unit in rank))[: amount.units]
    return {
        "title": TITLES[name],
        "layer": layer,
        "filters": _filters(net, layer, units, amount),
        "classes": _classes(net, amount),
        "shots": {shot: _of_photograph(net, layer, units, picture, amount) for shot, picture in shots.items()},
    }


def _filters(net: cw.Network, layer: str, units: Sequence[int], amount: Amount) -> dict[str, Any]:
    frames = UnitsSettings(layer, units, 96, amount.steps).check(net).frames()
    view = _tiles(frames, amount)
    field = cw.receptive_field(net, layer)
    return view | {"names": [f"unit {unit}" for unit in units], "units": list(units), "field": str(field.size[0])}


def _classes(net: cw.Network, amount: Amount) -> dict[str, Any]:
    frames = ClassesSettings(CLASSES, 128, amount.steps).check(net).frames()
    return _tiles(frames, amount) | {"names": list(CLASSES)}


def _tiles(frames: Iterable[Any], amount: Amount) -> dict[str, Any]:
    """Tiles that are optimized side by side: one row of the sheet for each frame that is kept."""
    rows, steps, last = [], [], None
    for frame in frames:
        last = frame
        if frame.is_step and _is_kept(frame.step, frame.steps, amount.frames):
            rows.append(pictures.to_uint8(frame.pictures))
            steps.append(round(amount.steps * frame.step / frame.steps))
    if steps[-1:] == [amount.steps]:
        rows.pop(), steps.pop()
    rows.append(pictures.to_uint8(last.pictures))  # with the retries of dead units
    steps.append(amount.steps)
    sheet = np.concatenate([np.concatenate(list(row), axis=1) for row in rows])
    height, width = rows[0].shape[1:3]
    notes = list(last.notes) or [""] * len(rows[0])
    values = [f"{value:.3g}" for value in last.values]
    return _sheet(sheet, width, height, len(rows)) | {"steps": steps, "values": values, "notes": notes}


def _is_kept(step: int, steps: int, frames: int) -> bool:
    """Whether a step is the last one of its share: early ones change most, so shares grow."""
    ends = {max(1, round(steps * (k / frames) ** 2)) for k in range(1, frames + 1)}
    return step in ends


def _of_photograph(
    net: cw.Network, layer: str, units: Sequence[int], shot: np.ndarray, amount: Amount
) -> dict[str, Any]:
    explained = cw.explain(net, shot, methods=amount.methods, units=6, steps=amount.steps)
    return {
        "predictions": [[line.name, round(line.probability, 4)] for line in explained.predictions],
        "about": explained.about.strip("'"),
        "maps": _maps(net, layer, units, shot),
        "heat": [_heat(one) for one in explained.heatmaps],
        "which": _which(explained),
        "dream": _dream(net, shot, amount),
        "fool": _fool(net, shot, amount),
    }


def _maps(net: cw.Network, layer: str, units: Sequence[int], shot: np.ndarray) -> dict[str, Any]:
    """Feature maps of the same units as in the gallery, with the numbers of their cells."""
    maps = cw.feature_maps(net, shot, [layer])[layer][..., list(units)]
    gray = display_maps(maps)  # [units, h, w]
    shown = pictures.color_maps(gray)
    height, width = shown.shape[1:3]
    cells_ = [[[float(f"{value:.3g}") for value in row] for row in maps[..., i]] for i in range(len(units))]
    return _sheet(np.concatenate(list(shown), axis=1), width, height, 1) | {"cells": cells_}


def _heat(one: Any) -> dict[str, Any]:
    """A heatmap over the photograph; `cells` is its evidence, coarse enough for a page."""
    (heat,) = one.maps
    rows, columns = min(24, heat.map.shape[0]), min(32, heat.map.shape[1])
    coarse = pictures.resize(heat.map, (rows, columns))
    areas = {metric: [round(curve.area, 3), round(curve.random_area, 3)] for metric, curve in one.curves[0].items()}
    shares = [[round(float(value), 2) for value in row] for row in coarse]
    return _strip([one.drawing.pixels]) | {"name": one.label, "areas": areas, "cells": shares, "note": heat.note}


def _which(explained: Any) -> dict[str, Any]:
    """The strongest units: what each responds to, and where it counts."""
    units = explained.units
    portraits = _strip([unit.portrait.pixels for unit in units])
    return {
        "portraits": portraits,
        "evidence": _strip([unit.evidence for unit in units]),
        "layer": units[0].path,
        "units": [unit.unit for unit in units],
        "shares": [f"{unit.share:+.3g}" for unit in units],
    }


def _dream(net: cw.Network, shot: np.ndarray, amount: Amount) -> dict[str, Any]:
    height, width = shot.shape[:2]
    steps = max(2, amount.steps // 4)
    kept, names = [shot], ["the photograph"]
    for frame in cw.deepdream(net, shot, octaves=3, steps=steps):
        if frame.step % max(1, frame.steps // (amount.frames - 1)) == 0 or frame.step == frame.steps:
            kept.append(pictures.resize(frame.pictures[0], (height, width)))
            names.append(f"octave {frame.octave} of {frame.octaves}, step {frame.step} of {frame.steps}")
    return _strip(kept) | {"names": names}


def _fool(net: cw.Network, shot: np.ndarray, amount: Amount) -> dict[str, Any]:
    kept, names = [], []
    for frame in cw.adversarial(net, shot, FOOL, steps=amount.frames - 1):
        if not kept:
            kept.append(frame.original[0])
            first = net.predict(frame.original[0], 1)[0]
            names.append(f"the photograph: {first.name} {first.probability:.0%}")
        kept.append(frame.pictures[0])
        best = frame.predictions[0]
        names.append(f"step {frame.step} of {frame.steps}: {best.name} {best.probability:.0%}")
    return _strip(kept) | {"names": names, "target": FOOL}


def _strip(every: Sequence[np.ndarray]) -> dict[str, Any]:
    """Pictures of one size, one below the other."""
    rows = [pictures.displayable(pictures.to_uint8(picture)) for picture in every]
    return _sheet(np.concatenate(rows), rows[0].shape[1], rows[0].shape[0], len(rows))


def _sheet(pixels: np.ndarray, width: int, height: int, frames: int) -> dict[str, Any]:
    data = base64.b64encode(pictures.to_jpeg(pixels, QUALITY)).decode()
    return {"sheet": f"data:image/jpeg;base64,{data}", "width": width, "height": height, "frames": frames}
