"""Many pictures: the files of a folder, or the members of a list, each read when it is needed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cnnwidgets.errors import BadPicture, quoted, quoted_path
from cnnwidgets.paths import expanded

READABLE = "PNG, JPEG, WEBP, GIF or BMP"


def many_pictures(given: object) -> Sequence[Any]:
    """The pictures that were given, not yet read: paths for a folder, otherwise what the list or array holds.

    Args:
        given: the path of a folder, whose files and those of its subfolders are taken, sorted by path, without hidden
            ones; or a list of pictures, or an array [N, H, W, C].
    """
    if isinstance(given, (str, PathLike)):
        return _files_in(given)
    one = (bytes, bytearray, memoryview, Mapping, Image.Image)
    if isinstance(given, one) or not isinstance(given, Iterable) or getattr(given, "ndim", 4) != 4:
        got = f"an array of shape {tuple(given.shape)}" if hasattr(given, "shape") else quoted(given)
        raise BadPicture(
            f"pictures must be a folder, a list of pictures or an array [N, H, W, C], got {got}. "
            "Put a single picture in a list: [picture]."
        )
    pictures: Any = given if isinstance(given, Sequence) or hasattr(given, "ndim") else list(given)
    if len(pictures) == 0:
        raise BadPicture("pictures must hold at least one picture, got none.")
    return pictures  # type: ignore[no-any-return]


def _files_in(folder: str | PathLike[str]) -> list[Path]:
    root = expanded(folder)
    if not str(folder).strip():
        raise BadPicture("The path of the folder of pictures is empty. Give a folder.")
    try:
        is_folder, is_file = root.is_dir(), root.is_file()
    except (OSError, ValueError):  # a name that no file can have
        is_folder = is_file = False
    if not is_folder:
        what = "is a file; give its folder, or a list: [path]" if is_file else "does not exist. Give a folder"
        raise BadPicture(f"The folder of pictures {quoted_path(root)} {what}.")
    files = []
    for path, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(path, name) for name in names if not name.startswith(".")]
    if not files:
        raise BadPicture(f"The folder {quoted_path(root)} holds no files. Give one with pictures ({READABLE}).")
    return sorted(files)


def name_of(picture: object, index: int) -> str:
    """What a picture is called: the name of its file, or its number."""
    return Path(picture).name if isinstance(picture, (str, PathLike)) else f"picture {index}"


def digest_of(pictures: Sequence[Any]) -> str:
    """64 digits that tell lists of pictures apart: by path and size of files, by the content of arrays."""
    digest = hashlib.sha256()
    for index, picture in enumerate(pictures):
        digest.update(f"{index} {_identity(picture)}\n".encode())
    return digest.hexdigest()


def _identity(picture: object) -> str:
    if isinstance(picture, (str, PathLike)):
        try:
            return f"{picture} {Path(picture).expanduser().stat().st_size}"
        except (OSError, ValueError, RuntimeError):
            return str(picture)
    data = np.asarray(picture) if hasattr(picture, "__array__") or hasattr(picture, "__array_interface__") else None
    content = data.tobytes() if data is not None and data.dtype != object else repr(picture).encode()
    return hashlib.sha256(content).hexdigest()
