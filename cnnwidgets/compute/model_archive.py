"""What a model file holds, read without building or executing any of it.

A `.keras` file is a zip archive of a configuration (JSON) and weights (HDF5); a `.h5` file has both in one HDF5 file.
"""

from __future__ import annotations

import json
import mmap
import stat
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import h5py

from cnnwidgets.compute.hdf5_check import MAGIC, check_hdf5
from cnnwidgets.compute.model_claims import AGAIN, DISTRUST, check_claim, damaged
from cnnwidgets.errors import BadModel, quoted

MAX_CONFIG = 16_000_000  # bytes of JSON; that of EfficientNet-B7 has 1.5 million
CONFIG, WEIGHTS = "config.json", ("model.weights.h5", "model.weights.npz")


def read_config(file: Path) -> dict[str, Any]:
    """The configuration of the model in a `.keras` or `.h5` file whose content is harmless.

    Raises:
        BadModel: a file that is damaged or something else, that refers to other files, or declares far more than it
            can hold.
    """
    try:
        text = _of_archive(file) if file.suffix == ".keras" else _of_hdf5(file)
    except BadModel:
        raise
    except Exception as error:  # zip and HDF5 readers raise a dozen kinds over damaged files
        raise damaged(file) from error
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{quoted(file.name)} holds a configuration that cannot be read. {AGAIN}.") from error
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise BadModel(f"{quoted(file.name)} holds no model. Save one with Keras: model.save('model.keras').")
    return config


def _of_archive(file: Path) -> bytes:
    _check_beginning(file, b"PK\x03\x04")
    with zipfile.ZipFile(file) as archive:
        _check_entries(file, archive.infolist())
        weights = next((name for name in WEIGHTS if name in archive.namelist()), None)
        if weights is None or CONFIG not in archive.namelist():
            raise BadModel(f"{quoted(file.name)} is an archive, and no Keras model. Give what model.save wrote.")
        if weights.endswith(".h5"):
            check_hdf5(file, archive.read(weights))
        return archive.read(CONFIG)


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


def _of_hdf5(file: Path) -> bytes | str:
    _check_beginning(file, MAGIC)
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        check_hdf5(file, data)
    with h5py.File(file, "r") as hdf5:
        config = hdf5.attrs.get("model_config")
    if config is None:
        raise BadModel(
            f"{quoted(file.name)} holds weights and no model. Build the model in Python, and call its load_weights."
        )
    if not isinstance(config, (bytes, str)) or len(config) > MAX_CONFIG:
        raise damaged(file)
    return config


def _check_beginning(file: Path, magic: bytes) -> None:
    with file.open("rb") as stream:
        begin = stream.read(len(magic))
    if not begin:
        raise BadModel(f"{quoted(file.name)} is empty. {AGAIN}.")
    if begin != magic[: len(begin)]:
        raise BadModel(f"{quoted(file.name)} is no Keras model, whatever its name says. Give what model.save wrote.")
