"""Weights in a pickle of numpy arrays, read without executing it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cnnwidgets.zoo.inert_pickle import Call, Name, read_pickle, refusal

_ALLOWED = frozenset(
    {Name("numpy.core.multiarray", "_reconstruct"), Name("numpy", "ndarray"), Name("numpy", "dtype")},
)


def read_numpy_pickle(content: bytes) -> dict[str, list[np.ndarray]]:
    """The float32 arrays of a pickled dict of lists of arrays.

    Raises:
        BadModel: The file is damaged, or is anything else than that.
    """
    stream = io.BytesIO(content)
    layers = read_pickle(stream, _ALLOWED)
    if stream.read(1):
        raise refusal("The weight file goes on after its end")
    if not isinstance(layers, dict) or not all(isinstance(arrays, list) for arrays in layers.values()):
        raise refusal("The weight file is no dict of lists of arrays")
    return {name: [_array(node) for node in arrays] for name, arrays in layers.items()}


def _array(node: object) -> np.ndarray:
    """The array that a pickled little-endian float32 array in C order describes."""
    match node:
        case Call(
            Name("numpy.core.multiarray", "_reconstruct"),
            (Name("numpy", "ndarray"), (0,), b"b"),
            (1, tuple(shape), Call(Name("numpy", "dtype"), ("f4", 0, 1), (3, "<", *_)), False, bytes(raw)),
        ):
            return _checked(shape, raw)
        case _:
            raise refusal("An entry of the weight file is no float32 array")


def _checked(shape: tuple[Any, ...], raw: bytes) -> np.ndarray:
    try:
        array = np.ndarray(shape, "<f4", raw)
    except (ValueError, TypeError) as error:
        raise refusal(f"An array's shape does not fit its bytes ({error})") from None
    if array.nbytes != len(raw):
        raise refusal(f"An array's shape does not fit its bytes ({array.nbytes} of {len(raw)})")
    return array.astype(np.float32)
