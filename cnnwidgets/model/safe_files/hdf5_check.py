"""Checks of HDF5 data from others, before anything in it is used."""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.safe_files.model_claims import DISTRUST, check_claim, damaged

MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\1\0\0\0"  # how a heap of texts begins
_WIDTHS = {0: 13, 1: 13, 2: 9, 3: 9}  # where each version of the format says how wide its numbers are


def check_hdf5(file: Path, data: bytes | mmap.mmap) -> None:
    """Refuse HDF5 data that refers to other files, declares arrays that it cannot hold, or holds texts without end.

    Args:
        file: where it comes from.
        data: the bytes of a part of the file, or the whole file.

    Raises:
        BadModel: what is wrong with it; other errors for data that is damaged.
    """
    _check_texts(file, data)
    with h5py.File(io.BytesIO(data) if isinstance(data, bytes) else file, "r") as hdf5:
        for link in _links(hdf5):
            if not isinstance(link, h5py.HardLink):
                raise BadModel(f"{quoted(file.name)} refers to {_place(link)}. {DISTRUST}.")
        claimed = 0
        for array in _arrays(hdf5):
            if array.external or array.is_virtual:
                raise BadModel(f"{quoted(file.name)} refers to data in another file. {DISTRUST}.")
            claimed += int(np.prod(array.shape or (0,), dtype=object)) * array.dtype.itemsize
        check_claim(file, claimed)


def _check_texts(file: Path, data: bytes | mmap.mmap) -> None:
    """Walk the heaps of texts as HDF5 does, which itself never returns from one whose lengths are wrong."""
    widths = _WIDTHS.get(data[len(MAGIC)])
    if widths is None or data[widths : widths + 2] != b"\x08\x08":
        raise damaged(file)
    start = data.find(_HEAP)
    while start >= 0:
        (size,) = struct.unpack_from("<Q", data, start + 8)
        offset, end = start + 16, start + size
        while offset + 16 <= min(end, len(data)):
            index, length = struct.unpack_from("<H6xQ", data, offset)
            if not index and not length:  # what is free has a length, its own header included
                raise damaged(file)
            offset += 16 + -(-length // 8) * 8 if index else length
        if offset > end or end > len(data):
            raise damaged(file)
        start = data.find(_HEAP, start + 1)


def _links(hdf5: h5py.File) -> Iterator[Any]:
    found: list[Any] = []
    hdf5.visititems_links(lambda name, link: found.append(link))
    yield from found


def _arrays(hdf5: h5py.File) -> Iterator[h5py.Dataset]:
    found: list[Any] = []
    hdf5.visititems(lambda name, item: found.append(item))
    yield from (item for item in found if isinstance(item, h5py.Dataset))


def _place(link: Any) -> str:
    return f"another file, {quoted(link.filename)}" if isinstance(link, h5py.ExternalLink) else "a place by a link"
