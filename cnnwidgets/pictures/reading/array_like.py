"""Tensors, tables and lists as arrays, or an error that says how to convert them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture, quoted
from cnnwidgets.pictures.reading.array_layout import EXPECTED

GIVE = f"Give a path, bytes, a PIL image or an array. {EXPECTED}"


def as_array(source: object) -> NDArray[Any]:
    """The numbers of an array, tensor or table.

    Raises:
        BadPicture: for what holds none, with what to give instead.
    """
    kind = type(source).__name__
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        raise BadPicture("Some values of this masked array are masked. Fill them: picture.filled(0).")
    if not hasattr(type(source), "__array__"):
        got = "None" if source is None else f"{kind} {quoted(source)}"
        raise BadPicture(f"Expected a picture, got {got}. {_instead(source) or GIVE}")
    try:
        values = np.asarray(source)
    except Exception as error:  # another library's array, with errors of its own (a symbolic tensor)
        how = "picture.detach().cpu().float().numpy()" if hasattr(source, "detach") else "an array of numbers"
        raise BadPicture(f"This {kind} cannot be read as a numpy array. Give {how}. {EXPECTED}") from error
    if values.dtype.kind in "SUO":
        raise BadPicture(f"Expected numbers, got an array that holds {_first(values)}. {GIVE}")
    if values.dtype.names is None and "float" in values.dtype.name and values.dtype.kind != "f":
        return values.astype(np.float32)  # bfloat16 and its like, which numpy itself does not know
    return values


def _first(values: NDArray[Any]) -> str:
    return quoted(values.reshape(-1)[:1].tolist(), 40)


def _instead(source: object) -> str:
    """Which part of a container is the picture, or what to call for it; "" where that is not known."""
    if isinstance(source, (tuple, list)):
        return _of_sequence(source)
    if isinstance(source, Mapping):
        names = [name for name in ("image", "picture", "content", "data", "x", *source) if name in source]
        return f"Give one value of it: picture[{quoted(names[0])}]." if names else ""
    if hasattr(source, "toarray"):  # a sparse matrix of scipy
        return "Give picture.toarray()."
    if hasattr(source, "read"):
        return "Give the bytes of the open file: picture.read()."
    if hasattr(source, "element_spec") or hasattr(source, "__next__"):  # a tf.data.Dataset, an iterator
        return "Give one picture of it: next(iter(pictures))[0]."
    return ""


def _of_sequence(source: tuple[Any, ...] | list[Any]) -> str:
    first = source[0] if source else None
    if isinstance(first, (int, float, list, np.number)):  # whether they are 0..255 or 0..1 would be a guess
        return "Give numpy.array(picture) with the right dtype, such as numpy.array(picture, 'uint8')."
    if first is None:
        return ""
    what = "a picture and its label" if isinstance(source, tuple) and len(source) == 2 else "several values"
    return f"A {type(source).__name__} holds {what}; give one picture: picture[0]."
