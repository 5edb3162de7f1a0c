"""Snapshots in a file: a zip archive of one JSON text and plain arrays, read without executing anything."""

from __future__ import annotations

import io
import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadPicture, CnnWidgetsError, quoted, quoted_path
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.frame import Array
from cnnwidgets.model.geometry.placement import Placement
from cnnwidgets.paths import checked_path
from cnnwidgets.training.curves import Curves, Point
from cnnwidgets.training.request import RecorderSettings
from cnnwidgets.training.snapshots import Snapshot

FORMAT = "cnnwidgets snapshots 1"
INDEX = "snapshots.json"
MOST_TEXT, MOST_BYTES, MOST_ENTRIES = 32 * 2**20, 2**30, 200_000  # of the index, of all arrays, of arrays
MOST_AXES = 4


class Saved(NamedTuple):
    """What a file holds."""

    settings: RecorderSettings
    snapshots: list[Snapshot]
    curves: Curves


# -- writing


def written(settings: Mapping[str, Any], snapshots: list[Snapshot], curves: Curves) -> bytes:
    """The bytes of a file."""
    arrays = _Arrays()
    index = {
        "format": FORMAT,
        "settings": dict(settings),
        "snapshots": [_as_json(snapshot, arrays) for snapshot in snapshots],
        "batches": [_point_as_json(point) for point in curves.batches],
        "epochs": [_point_as_json(point) for point in curves.epochs],
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr(INDEX, json.dumps(index))
        for name, data in arrays.entries():
            archive.writestr(name, data)
    return out.getvalue()


class _Arrays:
    """Arrays under numbers, each one once: the probe is the same in every snapshot."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []
        self._numbers: dict[int, int] = {}

    def number(self, array: Array) -> int:
        """The number under which an array is written."""
        if id(array) not in self._numbers:
            self._numbers[id(array)] = len(self._arrays)
            self._arrays.append(array)
        return self._numbers[id(array)]

    def entries(self) -> Iterator[tuple[str, bytes]]:
        for number, array in enumerate(self._arrays):
            out = io.BytesIO()
            np.lib.format.write_array(out, np.ascontiguousarray(array, np.float32), allow_pickle=False)
            yield f"{number}.npy", out.getvalue()


def _as_json(snapshot: Snapshot, arrays: _Arrays) -> dict[str, Any]:
    return {
        "epoch": snapshot.epoch,
        "batch": snapshot.batch,
        "logs": _safe(snapshot.logs),
        "note": snapshot.note,
        "layer": snapshot.layer,
        "units": list(snapshot.units),
        "notes": list(snapshot.notes),
        "pictures": arrays.number(snapshot.pictures),
        "values": arrays.number(snapshot.values),
        "maps": {path: arrays.number(one) for path, one in snapshot.maps.items()},
        "probe": {name: arrays.number(one) for name, one in snapshot.probe.items()},
        "heat": [
            {
                "map": arrays.number(heat.map),
                "raw": arrays.number(heat.raw),
                "path": heat.path,
                "call": heat.call,
                "input": heat.input,
                "note": heat.note,
                "placement": _placement_as_json(heat.placement, arrays),
            }
            for heat in snapshot.heat
        ],
    }


def _placement_as_json(placement: Placement | None, arrays: _Arrays) -> dict[str, Any] | None:
    if placement is None:
        return None
    return {
        "size": list(placement.size),
        "rows": arrays.number(placement.rows),
        "columns": arrays.number(placement.columns),
        "seen": [int(edge) for edge in placement.seen],
        "is_transposed": placement.is_transposed,
    }


def _point_as_json(point: Point) -> list[Any]:
    return [point.epoch, point.batch, _safe(point.logs)]


def _safe(logs: Mapping[str, float]) -> dict[str, float | str]:
    """Logs in JSON, which has no NaN and no infinity."""
    return {name: value if math.isfinite(value) else repr(value) for name, value in logs.items()}


# -- reading


def read(path: str | PathLike[str]) -> Saved:
    """What a file holds.

    Raises:
        BadPicture: for a file that does not exist, is not one of snapshots, or is damaged.
        BadTarget: for what is not a path.
    """
    file = checked_path("path", path)
    name = quoted_path(file)
    try:
        with zipfile.ZipFile(file) as archive:
            return _Reader(archive).saved()
    except CnnWidgetsError as error:
        raise BadPicture(f"{name}: {error}") from error
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise BadPicture(f"{name} cannot be opened: {why}. Give a file that TrainingRecorder.save wrote.") from error
    except Exception as error:  # whatever zipfile, json and numpy raise over a damaged file
        raise BadPicture(
            f"{name} is damaged, or not a file of snapshots. Give one that TrainingRecorder.save wrote, unchanged."
        ) from error


class _Reader:
    """Reads an archive; every size is checked before anything of that size is made."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        infos = archive.infolist()
        if len(infos) > MOST_ENTRIES or sum(info.file_size for info in infos) > MOST_BYTES + MOST_TEXT:
            raise BadPicture("it holds more than 1 GB, which no recorder writes.")
        self._sizes = {info.filename: info.file_size for info in infos}
        self._made: dict[int, Array] = {}

    def saved(self) -> Saved:
        if self._sizes.get(INDEX, MOST_TEXT + 1) > MOST_TEXT:
            raise BadPicture("it is not a file of snapshots. Give one that TrainingRecorder.save wrote.")
        index = json.loads(self._archive.read(INDEX))
        if index["format"] != FORMAT:
            raise BadPicture(f"its format is {quoted(index['format'])}, and {FORMAT!r} is read.")
        curves = Curves()
        for add, points in ((curves.add_batch, index["batches"]), (curves.add_epoch, index["epochs"])):
            for epoch, batch, logs in points:
                add(Point(_whole(epoch), _whole(batch), _logs(logs)))
        return Saved(_settings(index["settings"]), [self._snapshot(one) for one in index["snapshots"]], curves)

    def _snapshot(self, given: dict[str, Any]) -> Snapshot:
        pictures, units = self._array(given["pictures"], 4), tuple(map(_whole, given["units"]))
        notes, values = tuple(map(_text, given["notes"])), self._array(given["values"], 1)
        if len(pictures) and not len(pictures) == len(units) == len(notes) == len(values):
            raise ValueError("another number of pictures than of units")
        return Snapshot(
            epoch=_whole(given["epoch"]),
            batch=_whole(given["batch"]),
            logs=_logs(given["logs"]),
            pictures=pictures,
            maps={_text(path): self._array(number) for path, number in given["maps"].items()},
            heat=[self._heat(one) for one in given["heat"]],
            note=_text(given["note"]),
            layer=_text(given["layer"]),
            units=units,
            values=values,
            notes=notes,
            probe={_text(name): self._array(number, 3) for name, number in given["probe"].items()},
        )

    def _heat(self, given: dict[str, Any]) -> Heatmap:
        seen = None if given["input"] is None else _text(given["input"])
        shown, raw = self._array(given["map"], 2), self._array(given["raw"], 2)
        placed = self._placement(given["placement"], raw, shown)
        return Heatmap(shown, raw, _text(given["path"]), _whole(given["call"]), seen, _text(given["note"]), placed)

    def _placement(self, given: dict[str, Any] | None, raw: Array, shown: Array) -> Placement | None:
        if given is None:
            return None
        top, left, bottom, right = map(_whole, given["seen"])
        height, width = map(_whole, given["size"])
        rows, columns = self._array(given["rows"], 1), self._array(given["columns"], 1)
        cells = raw.T.shape if given["is_transposed"] else raw.shape
        if (height, width) != shown.shape or (len(rows), len(columns)) != cells:
            raise ValueError("a placement of another map")
        return Placement((height, width), rows, columns, (top, left, bottom, right), bool(given["is_transposed"]))

    def _array(self, number: Any, axes: int | None = None) -> Array:
        if _whole(number) not in self._made:
            self._made[number] = _array_in(self._archive.read(f"{number}.npy"))
        array = self._made[number]
        if array.ndim > MOST_AXES or array.ndim != (axes or array.ndim):
            raise ValueError("an array of other axes")
        return array


def _array_in(data: bytes) -> Array:
    """A float32 array; its header is compared with the bytes that are there before any memory is taken."""
    file = io.BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the array format")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file, max_header_size=1000)
    body = data[file.tell() :]
    if dtype != np.float32 or is_fortran or math.prod(shape) * 4 != len(body):
        raise ValueError("not a plain array")
    array = np.frombuffer(body, "<f4").reshape(shape).astype(np.float32)
    if not np.isfinite(array).all() and array.ndim != 1:  # a placement holds NaN for a row that sees no picture
        raise ValueError("not finite")
    return array


def _settings(given: dict[str, Any]) -> RecorderSettings:
    known = set(RecorderSettings.names())
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if name in known}
    return RecorderSettings.given(lists).checked()


def _logs(given: dict[str, Any]) -> dict[str, float]:
    return {_text(name): float(value) for name, value in given.items()}


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53:
        return value
    raise ValueError("not a whole number")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError("not text")
