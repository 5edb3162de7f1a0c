"""The contents of a model file, read without building or executing any of it.

A `.keras` file is a zip archive of a configuration (JSON) and weights (HDF5); a `.h5` file has both in one HDF5 file.
The first bytes of a file decide which of them it is, not its name.
"""

from __future__ import annotations

import io
import json
import mmap
import stat
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import h5py
import numpy as np

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.safe_files.file_kinds import ARCHIVE, GIVE, about_archive, kind_of
from cnnwidgets.model.safe_files.model_claims import AGAIN, DISTRUST, check_claim, damaged, rebuild

MAX_CONFIG = 16_000_000  # bytes of JSON; that of EfficientNet-B7 has 1.5 million
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", ("model.weights.h5", "model.weights.npz")
MAGIC = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\1\0\0\0"  # how a heap of texts begins
_WIDTHS = {0: 13, 1: 13, 2: 9, 3: 9}  # where each version of the format says how wide its numbers are


class Content(NamedTuple):
    """What a model file says.

    Attributes:
        kind: ARCHIVE or HDF5.
        version: of the Keras that wrote it; "" where it does not say.
        config: the configuration of the model.
    """

    kind: str
    version: str
    config: dict[str, Any]

    @property
    def is_of_keras_2(self) -> bool:
        """Whether it was written by a version before Keras 3; such a file may not say so."""
        return not self.version.startswith("3") and (self.kind != ARCHIVE or bool(self.version))


def read_content(file: Path) -> Content:
    """The content of a `.keras` or `.h5` file that is harmless.

    Raises:
        BadModel: a file that is damaged or something else, that refers to other files, or declares far more than it
            can hold.
    """
    kind = kind_of(file)
    try:
        text, version = _of_archive(file) if kind == ARCHIVE else _of_hdf5(file)
    except BadModel:
        raise
    except Exception as error:  # zip and HDF5 readers raise a dozen kinds over damaged files
        raise damaged(file) from error
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{quoted(file.name)} holds a configuration that cannot be read. {AGAIN}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise BadModel(f"{quoted(file.name)} holds no model. {GIVE}.")
    return Content(kind, version, config)


def _of_archive(file: Path) -> tuple[bytes, str]:
    with zipfile.ZipFile(file) as archive:
        _check_entries(file, archive.infolist())
        weights = next((name for name in WEIGHTS if name in archive.namelist()), None)
        if weights is None or CONFIG not in archive.namelist():
            raise BadModel(about_archive(file, archive.namelist()))
        if weights.endswith(".h5"):
            check_hdf5(file, archive.read(weights))
        return archive.read(CONFIG), _version(archive)


def _version(archive: zipfile.ZipFile) -> str:
    """The version of Keras that an archive names; "" where it names none."""
    if METADATA not in archive.namelist() or archive.getinfo(METADATA).file_size > MAX_CONFIG:
        return ""
    try:
        metadata = json.loads(archive.read(METADATA))
    except (ValueError, RecursionError):
        return ""
    return str(metadata.get("keras_version", ""))[:20] if isinstance(metadata, dict) else ""


def _check_entries(file: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries that could be written outside of a folder, that hide each other, or that swell."""
    seen: set[str] = set()
    for entry in entries:
        if what := _wrong_with(entry, seen):
            raise BadModel(f"{quoted(file.name)} holds an entry {what}, {quoted(entry.filename)}. {DISTRUST}.")
        seen.add(entry.filename)
    check_claim(file, sum(entry.file_size for entry in entries))


def _wrong_with(entry: zipfile.ZipInfo, seen: set[str]) -> str:
    path = PurePosixPath(entry.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in entry.filename:
        return "that leads outside of it"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "that is a link"
    if entry.filename in seen:
        return "twice"
    return "that is far too long" if entry.filename == CONFIG and entry.file_size > MAX_CONFIG else ""


def _of_hdf5(file: Path) -> tuple[bytes | str, str]:
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_hdf5(file, data)
    with h5py.File(file, "r") as hdf5:
        config, version = hdf5.attrs.get("model_config"), hdf5.attrs.get("keras_version", "")
        if config is None:
            raise BadModel(_about_arrays(file, hdf5))
    if not isinstance(config, (bytes, str)) or len(config) > MAX_CONFIG:
        raise damaged(file)
    return config, (version.decode(errors="replace") if isinstance(version, bytes) else str(version))[:20]


def _about_arrays(file: Path, hdf5: h5py.File) -> str:
    """The message for an HDF5 file without a model: weights alone, or something else."""
    of_keras = any(name in hdf5.attrs for name in ("layer_names", "layer_names0", "keras_version"))
    if of_keras or any(name in hdf5 for name in ("layers", "_layer_checkpoint_dependencies", "vars", "model_weights")):
        return f"{quoted(file.name)} holds weights and no model. {rebuild(file)}."
    return f"{quoted(file.name)} is an HDF5 file without a Keras model. {GIVE}."


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
