"""An atlas as a Zarr group: one array [units, H, W, C] uint8 for each layer, a batch in each chunk.

Pictures are not compressed: they are made from noise, and a chunk of known length cannot expand when it is read.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

from cnnwidgets.atlas.attributes import Settings, StoredLayer, from_attributes, to_attributes
from cnnwidgets.errors import BadTarget, quoted


def address(path: object) -> str:
    """The absolute address of an atlas, as text that means the same in every process of this machine."""
    text = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text.strip() or "\0" in text:
        raise BadTarget(f"path must be a folder such as 'atlas.zarr', or an fsspec address, got {quoted(path)}.")
    return text if "://" in text or "::" in text else os.path.abspath(os.path.expanduser(text))  # noqa: PTH100, PTH111


def open_group(where: str, mode: str = "r") -> Any:
    """The Zarr group of an atlas."""
    group = _found(where, mode)
    if group is None:
        raise BadTarget(
            f"There is no atlas at {quoted(where)}. Make one by cw.render_atlas(net, path), or give its path."
        )
    return group


def _found(where: str, mode: str) -> Any:
    """The group, or `None` where there is none."""
    zarr = needed("zarr")
    try:
        return zarr.open_group(where, mode=mode, zarr_format=3, use_consolidated=False)
    except (FileNotFoundError, zarr.errors.GroupNotFoundError):
        return None
    except Exception as error:  # a file system, or a file that others wrote, can raise anything
        raise BadTarget(f"{quoted(where)} cannot be opened: {_line(error)}. Give the path of an atlas.") from error


def begin(where: str, settings: Settings) -> tuple[Any, tuple[StoredLayer, ...]]:
    """The group to write into, new or that of an atlas of the same settings, and the layers that it has.

    Raises:
        BadTarget: if the path has other contents; they are not changed.
    """
    group = _found(where, "r")
    if group is None:
        _check_empty(where)
        try:
            attributes = to_attributes(settings, ())
            group = needed("zarr").open_group(where, mode="w-", zarr_format=3, attributes=attributes)
        except Exception as error:  # a file system can raise anything
            raise BadTarget(
                f"{quoted(where)} cannot be written: {_line(error)}. Choose a folder that can be written to."
            ) from error
        return group, ()
    there, stored_layers = from_attributes(group.attrs, where)
    if different := there.differences(settings):
        raise BadTarget(
            f"{quoted(where)} contains an atlas with other settings: {'; '.join(different[:4])}. "
            "Use the same settings, or choose another path; nothing in it was changed."
        )
    return open_group(where, "r+"), stored_layers


def _check_empty(where: str) -> None:
    files, folder = needed("fsspec").core.url_to_fs(where)
    try:
        occupied = files.exists(folder) and (not files.isdir(folder) or bool(files.ls(folder, detail=False)))
    except Exception as error:  # a file system can raise anything
        raise BadTarget(f"{quoted(where)} cannot be opened: {_line(error)}. Choose another path.") from error
    if occupied:
        raise BadTarget(
            f"{quoted(where)} contains something that is not an atlas. Choose another path; nothing in it was changed."
        )


def add_layers(group: Any, settings: Settings, old: tuple[StoredLayer, ...], new: tuple[StoredLayer, ...]) -> None:
    """Create the arrays of layers, then list them: a kill in between leaves an array that is replaced later."""
    for stored in new:
        group.create_array(
            stored.slug,
            shape=(stored.units, *stored.shape),
            chunks=(stored.batch, *stored.shape),
            dtype="uint8",
            compressors=None,
            fill_value=0,
            attributes={"path": stored.path, "values": [None] * stored.units, "notes": {}, "failed": {}},
            overwrite=True,
        )
    if new:
        group.update_attributes(to_attributes(settings, (*old, *new)))


def array_of(group: Any, stored: StoredLayer, where: str) -> Any:
    """The array of a layer, checked to be what we write before anything in it is read.

    Raises:
        BadTarget: for any other.
    """
    try:
        array = group[stored.slug]
        codecs = [type(codec).__name__ for codec in array.metadata.codecs]
        is_ours = (
            tuple(array.shape) == (stored.units, *stored.shape)
            and tuple(array.chunks) == (stored.batch, *stored.shape)
            and str(array.dtype) == "uint8"
            and codecs == ["BytesCodec"]
            and not array.metadata.storage_transformers
        )
    except Exception as error:  # Zarr can raise anything for a file that others wrote
        raise damaged(where, stored.path, _line(error)) from error
    if not is_ours:
        raise damaged(where, stored.path, "its array does not have the shape and codec of an atlas")
    return array


def damaged(where: str, path: str, why: str) -> BadTarget:
    """The refusal of a layer that cannot be read."""
    return BadTarget(
        f"The layer {quoted(path)} of the atlas {quoted(where)} is damaged: {why}. "
        "Render it again at another path, or download it again."
    )


def checked_names(value: object, units: int) -> dict[int, str] | None:
    """{unit: text} from attributes, or `None` if they are not of that form."""
    if not isinstance(value, Mapping) or len(value) > units:
        return None
    found = {}
    for key, text in value.items():
        if not (isinstance(key, str) and key.isdecimal() and len(key) < 9 and int(key) < units):
            return None
        if not isinstance(text, str):
            return None
        found[int(key)] = text[:1_000]
    return found


def _line(error: Exception) -> str:
    return quoted(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__, 160).strip("'\"")


def needed(module: str) -> Any:
    """A module that only an atlas needs, of the extra `atlas`, imported now.

    Raises:
        ImportError: if it is not installed, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f'An atlas needs {module}, which is not installed. Install it with: pip install "cnnwidgets[atlas]"'
        ) from error
