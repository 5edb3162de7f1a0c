"""Concepts in a file: one JSON text with arrays in base64, read without executing anything."""

from __future__ import annotations

import base64
import json
import math
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets.errors import BadPicture, quoted_path
from cnnwidgets.frame import Array
from cnnwidgets.paths import checked_path
from cnnwidgets.pictures import to_uint8, write_file

FORMAT = "cnnwidgets concepts 1"
MOST_BYTES = 256 * 2**20
TYPES = {"float32": np.float32, "uint8": np.uint8}


def write(path: str | PathLike[str], values: dict[str, Any]) -> Path:
    """Write values: texts, numbers, arrays, and lists of them; arrays are kept as float32, lists of pictures in 8 bits.

    Raises:
        BadTarget: for a path that cannot be written.
    """
    text = json.dumps({"format": FORMAT, **{name: _as_json(name, value) for name, value in values.items()}})
    return write_file(checked_path("path", path), text.encode())


def _as_json(name: str, value: Any) -> Any:
    if name == "patches":
        return [_packed(to_uint8(one)) for one in value]
    return _packed(np.asarray(value, np.float32)) if isinstance(value, np.ndarray) else value


def _packed(array: Array) -> dict[str, Any]:
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    return {"shape": list(array.shape), "type": array.dtype.name, "data": data}


def read(path: str | PathLike[str]) -> dict[str, Any]:
    """The values that `write` wrote, each of the type and shape that they must have.

    Raises:
        BadPicture: for a file that does not exist, is not one of concepts, or is damaged.
        BadTarget: for what is not a path.
    """
    file = checked_path("path", path)
    name = quoted_path(file)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ValueError("too large")
        given = json.loads(file.read_bytes())
        return _checked(given)
    except OSError as error:
        why = error.strerror or "it cannot be read"
        raise BadPicture(f"{name} cannot be opened: {why}. Give a file that Concepts.save wrote.") from error
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        raise BadPicture(
            f"{name} is damaged, or not a file of concepts. Give one that Concepts.save wrote, unchanged."
        ) from error


def _checked(given: dict[str, Any]) -> dict[str, Any]:
    if given["format"] != FORMAT:
        raise ValueError("another format")
    directions, held = _array(given["directions"], 2), _array(given["held"], 2)
    count, channels = directions.shape
    patches = [_array(one, 4).astype(np.float32) / np.float32(255) for one in given["patches"]]
    texts = {name: _texts(given[name], count) for name in ("names", "notes")}
    numbers = {name: _array(given[name], 1) for name in ("importance", "strengths", "mean")}
    lengths = {"importance": count, "strengths": count, "mean": channels}
    if any(len(numbers[name]) != length for name, length in lengths.items()) or held.shape[1] != channels:
        raise ValueError("arrays of other lengths")
    if len(patches) != count or any(one.shape[-1] != 3 for one in patches) or (directions < 0).any():
        raise ValueError("not patches or directions")
    call, explained = given["call"], float(given["explained"])
    if not isinstance(call, int) or call < 0 or not 0 <= explained <= 1:
        raise ValueError("not a call or a share")
    words = {name: _texts([given[name]], 1)[0] for name in ("path", "note", "about", "method", "fingerprint")}
    size = tuple(given["size"]) if isinstance(given["size"], list) else given["size"]
    return {
        **words, **texts, **numbers, "directions": directions, "held": held, "patches": patches, "call": call,
        "explained": explained, "size": size,
    }  # fmt: skip


def _array(given: dict[str, Any], axes: int) -> Array:
    kind = TYPES[given["type"]]
    data = base64.b64decode(given["data"], validate=True)
    shape = [int(n) for n in given["shape"]]
    if len(shape) != axes or min(shape) < 0 or math.prod(shape) * np.dtype(kind).itemsize != len(data):
        raise ValueError("another shape")
    array = np.frombuffer(data, kind).reshape(shape).copy()
    if not np.isfinite(array).all():
        raise ValueError("not finite")
    return array


def _texts(given: Any, count: int) -> tuple[str, ...]:
    if len(given) != count or not all(isinstance(one, str) for one in given):
        raise ValueError("not texts")
    return tuple(given)
