"""Weights in PyTorch's older file format (before version 1.6), read without PyTorch and without executing anything.

The file is five pickles and then the numbers:

    magic number | protocol | the writer's machine | state dict | keys of the storages | storage, storage, ...

Each storage is its length (64 bits) and its values. A tensor of the state dict is a view of a storage: an offset, a
shape and strides, all counted in values. Strides matter: weights may lie channels-last.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from cnnwidgets.zoo.inert_pickle import Call, Name, Reference, read_pickle, refusal

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
_DTYPES: dict[Name, np.dtype[Any]] = {
    Name("torch", "FloatStorage"): np.dtype("<f4"),
    Name("torch", "LongStorage"): np.dtype("<i8"),
}
_ALLOWED = frozenset({Name("collections", "OrderedDict"), Name("torch._utils", "_rebuild_tensor_v2"), *_DTYPES})


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset, shape and strides are counted in values."""

    key: str
    dtype: np.dtype[Any]
    count: int  # values in the whole storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_torch_archive(content: bytes) -> dict[str, np.ndarray]:
    """The tensors of a state dict by name, float32 or int64, each a contiguous copy.

    Raises:
        BadModel: The file is damaged, or is anything else than a state dict of such tensors.
    """
    stream = io.BytesIO(content)
    _check_header(stream)
    tensors = _tensors(read_pickle(stream, _ALLOWED))
    storages = _storages(stream, read_pickle(stream, frozenset()), tensors)
    if stream.read(1):
        raise refusal("The weight file goes on after its end")
    return {name: _values(tensor, storages[tensor.key]) for name, tensor in tensors.items()}


def _check_header(stream: io.BytesIO) -> None:
    if read_pickle(stream, frozenset()) != _MAGIC:
        raise refusal("The weight file does not begin as a PyTorch archive")
    if read_pickle(stream, frozenset()) != _PROTOCOL:
        raise refusal("The weight file is of another version of PyTorch's format")
    match read_pickle(stream, frozenset()):
        case {"protocol_version": 1001, "little_endian": True}:
            return
        case _:
            raise refusal("The weight file was not written on a little-endian machine")


def _tensors(state: object) -> dict[str, _Tensor]:
    match state:
        case Call(Name("collections", "OrderedDict"), (), _, items):
            return {name: _tensor(node) for name, node in items.items()}
        case _:
            raise refusal("The weight file holds no state dict")


def _tensor(node: object) -> _Tensor:
    match node:
        case Call(
            Name("torch._utils", "_rebuild_tensor_v2"),
            (
                Reference(("storage", Name() as kind, str(key), "cpu", int(count), None)),
                int(offset),
                tuple(shape),
                tuple(strides),
                False,
                Call(Name("collections", "OrderedDict"), ()),
            ),
        ) if kind in _DTYPES and all(isinstance(number, int) for number in shape + strides):
            return _Tensor(key, _DTYPES[kind], count, offset, shape, strides)
        case _:
            raise refusal("An entry of the weight file is no tensor of a known kind")


def _storages(stream: io.BytesIO, keys: object, tensors: dict[str, _Tensor]) -> dict[str, np.ndarray]:
    """The storages in the file's order, each as long as the tensors say."""
    declared = {(tensor.key, tensor.dtype, tensor.count) for tensor in tensors.values()}
    if not _is_texts(keys) or sorted(keys) != sorted(key for key, _, _ in declared):
        raise refusal("The weight file's list of storages is not the one that its tensors use")
    kinds = {key: (dtype, count) for key, dtype, count in declared}
    return {key: _storage(stream, *kinds[key]) for key in keys}


def _is_texts(keys: object) -> TypeGuard[list[str]]:
    return isinstance(keys, list) and all(isinstance(key, str) for key in keys)


def _storage(stream: io.BytesIO, dtype: np.dtype[Any], count: int) -> np.ndarray:
    if int.from_bytes(stream.read(8), "little") != count:
        raise refusal("A storage of the weight file is not as long as its tensors say")
    raw = stream.read(count * dtype.itemsize)
    if len(raw) != count * dtype.itemsize:
        raise refusal("The weight file ends too early")
    return np.frombuffer(raw, dtype)


def _values(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """A copy of the view; numpy itself checks that offset, shape and strides stay inside the storage."""
    size = tensor.dtype.itemsize
    try:
        view = np.ndarray(tensor.shape, tensor.dtype, storage, tensor.offset * size, [size * s for s in tensor.strides])
    except (ValueError, TypeError, OverflowError) as error:
        raise refusal(f"A tensor of the weight file reaches outside its storage ({error})") from None
    if view.size > tensor.count:
        raise refusal("A tensor of the weight file is larger than its storage")
    return view.astype(tensor.dtype.newbyteorder("="), order="C")
