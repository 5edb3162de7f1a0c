"""The folder of an explanation: which one is refused, what is written, in which order, and the list of it as JSON."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from typing import Any

from cnnwidgets import __version__, pictures
from cnnwidgets.errors import BadTarget, quoted_path
from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.paths import checked_path
from cnnwidgets.report.explanation import Drawing, Explanation, MethodMaps, StrongUnit
from cnnwidgets.report.html import GENERATOR, page_of

MANIFEST, PAGE = "manifest.json", "report.html"
OURS = re.compile(r"(picture|heatmap|units?)[A-Za-z0-9._-]{0,80}\.png")  # names of our pictures
TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")  # left by a write that was killed
MOST = 2**25  # bytes of a file that is read to see whether it is ours
FORMAT = "cnnwidgets explanation 1"


def write(explanation: Explanation, folder: str | PathLike[str]) -> Path:
    """Write an explanation; returns the path of its page. See `Explanation.save`."""
    place, old = _opened(folder)
    named = dict(_drawings(explanation))
    _check_free(place, {PAGE, MANIFEST, *named} - old)
    try:
        place.mkdir(parents=True, exist_ok=True)
        for name in sorted(old, key=lambda name: name != MANIFEST):  # first: without it a folder is unfinished
            (place / name).unlink(missing_ok=True)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        raise _unwritable(place, error) from error
    # The page goes first: by it an unfinished folder is known to be ours.
    names = {id(drawing): name for name, drawing in named.items()}
    files = {PAGE: _written(place / PAGE, page_of(explanation, names).encode())}
    for name, drawing in named.items():
        recipe = None if drawing.recipe is None else drawing.recipe.to_dict()
        files[name] = _written(place / name, pictures.to_png(drawing.pixels, recipe))
    pictures.write_file(place / MANIFEST, manifest_of(explanation, names, files).encode())
    return place / PAGE


def check_folder(folder: str | PathLike[str]) -> None:
    """Check that an explanation may be written into a folder.

    Raises:
        BadTarget: for one with other contents, or a path that is not a folder.
    """
    _opened(folder)


def _opened(folder: str | PathLike[str]) -> tuple[Path, set[str]]:
    """The path of a folder, and the names of the files of an earlier explanation in it."""
    place = checked_path("folder", folder)
    try:
        there = {path.name for path in place.iterdir()} if os.path.lexists(place) else set()
    except NotADirectoryError as error:
        raise BadTarget(f"{quoted_path(place)} is a file. Give a folder that is new or empty.") from error
    except OSError as error:
        raise _unwritable(place, error) from error
    temporary = {name for name in there if TEMPORARY.fullmatch(name)}
    old = _earlier(place, there)
    if not old and (others := sorted(there - temporary)):
        raise BadTarget(
            f"{quoted_path(place)} contains {quoted_path(others[0])} and no explanation. "
            "Give a folder that is new or empty; nothing in this one was changed."
        )
    return place, old | temporary


def _earlier(place: Path, there: Iterable[str]) -> set[str]:
    """The files of an earlier explanation: those that its manifest lists, or of an unfinished one those with our names.

    Other files of the folder are never among them.
    """
    manifest = _read(place / MANIFEST)
    with suppress(ValueError, RecursionError):
        values = json.loads(manifest)
        if isinstance(values, dict) and values.get("format") == FORMAT and isinstance(values.get("files"), dict):
            return {MANIFEST, *(name for name in there if name in values["files"] and _may_be_ours(name))}
    if GENERATOR in _read(place / PAGE):
        return {name for name in there if _may_be_ours(name)}
    return set()


def _may_be_ours(name: str) -> bool:
    return name == PAGE or bool(OURS.fullmatch(name))


def _read(path: Path) -> str:
    """The text of a file; "" where there is none of a size that we write."""
    with suppress(OSError, ValueError):
        if path.is_file() and path.stat().st_size <= MOST:
            return path.read_text(encoding="utf-8")
    return ""


def _check_free(place: Path, names: Iterable[str]) -> None:
    for name in sorted(names):
        if os.path.lexists(place / name):
            raise BadTarget(
                f"{quoted_path(place / name)} is not of an earlier explanation. "
                "Move it, or choose another folder; nothing was changed."
            )


def _unwritable(place: Path, error: Exception) -> BadTarget:
    why = getattr(error, "strerror", None) or error
    return BadTarget(f"{quoted_path(place)} cannot be written: {why}. Choose a folder that can be written to.")


def _written(path: Path, data: bytes) -> dict[str, Any]:
    pictures.write_file(path, data)
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _drawings(explanation: Explanation) -> Iterator[tuple[str, Drawing]]:
    """The pictures by the names of their files."""
    count = len(explanation.photographs)
    for number, drawing in enumerate(explanation.photographs.values(), 1):
        yield f"picture{f'-{number}' if count > 1 else ''}.png", drawing
    for one in explanation.heatmaps:
        if one.drawing is not None:
            yield f"heatmap-{one.method}.png", one.drawing
    calls = sorted({unit.call for unit in explanation.units})
    for number, drawing in enumerate(explanation.evidence):
        yield f"units{f'-call-{calls[number]}' if len(calls) > 1 else ''}.png", drawing
    for unit in explanation.units:
        if unit.portrait is not None:
            call = f"-call-{unit.call}" if len(calls) > 1 else ""
            yield f"unit-{pictures.slug(unit.path)[:40]}{call}-{unit.unit}.png", unit.portrait


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
