"""What was explained and found, as JSON: the last file of an explanation's folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from cnnwidgets import __version__
from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.report.explanation import Explanation, MethodMaps, StrongUnit

FORMAT = "cnnwidgets explanation 1"


def manifest_of(explanation: Explanation, names: Mapping[int, str], files: Mapping[str, Any]) -> str:
    """The list of an explanation: what was explained and found, the recipe, and the files with their sha256.

    Args:
        explanation: as computed.
        names: of the files, by the id of their drawing.
        files: by name, what is known of each file.
    """
    values = {
        "format": FORMAT,
        "cnnwidgets": __version__,
        "recipe": dict(explanation.recipe),
        "explained": {
            "output": explanation.output,
            "target": None if callable(explanation.target) else explanation.target,
            "about": explanation.about,
            "value": _number(explanation.value),
            "probability": _number(explanation.probability),
        },
        "predictions": {
            output: [{"index": i, "name": name, "probability": _number(p)} for i, name, p in lines]
            for output, lines in explanation.outputs.items()
        },
        "heatmaps": [_method(one, names) for one in explanation.heatmaps],
        "units": [_unit(one, names) for one in explanation.units],
        "notes": list(explanation.notes),
        "files": dict(files),
    }
    return json.dumps(values, indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _method(one: MethodMaps, names: Mapping[int, str]) -> dict[str, Any]:
    maps = [
        {
            "layer": heat.path,
            "call": heat.call,
            "input": heat.input,
            "note": heat.note,
            **{metric: _curve(curve) for metric, curve in curves.items()},
        }
        for heat, curves in zip(one.maps, one.curves, strict=True)
    ]
    return {"method": one.method, "file": names.get(id(one.drawing)), "note": one.note, "maps": maps}


def _curve(curve: Curve) -> dict[str, Any]:
    return {
        "area": _number(curve.area),
        "random_area": _number(curve.random_area),
        "values": [_number(value) for value in curve.values],
    }


def _unit(one: StrongUnit, names: Mapping[int, str]) -> dict[str, Any]:
    kept = {"layer": one.path, "call": one.call, "input": one.input, "unit": one.unit, "share": _number(one.share)}
    return {**kept, "file": names.get(id(one.portrait)), "note": one.note}


def _number(value: Any) -> float | None:
    """JSON has no NaN: null stands for it."""
    return float(value) if math.isfinite(value) else None
