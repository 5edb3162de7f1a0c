"""The door: whatever a person calls a picture comes in here and leaves as float32 [H, W, 3], RGB, 0..1."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.errors import BadPicture, quoted
from cnnwidgets.pictures.arrays import EXPECTED, from_array
from cnnwidgets.pictures.decode import from_file, image_safely
from cnnwidgets.pictures.files import advice


def load_picture(source: object) -> NDArray[np.float32]:
    """Any picture as float32 [H, W, 3], RGB, 0..1.

    Grey goes to three equal channels, alpha over white; EXIF orientation is followed; of an animation the first frame.

    Args:
        source: a path (PNG, JPEG, WEBP, GIF, BMP), the bytes of such a file, a PIL image, or an array
            ([H, W] or [H, W, C] with C 1, 3, 4; uint8 0..255 or float 0..1).

    Raises:
        BadPicture: what it is that cannot be read, and what can.

    Example:
        >>> load_picture("cat.jpg").shape
        (300, 451, 3)
    """
    return read_picture(source)[0]


def read_picture(source: object) -> tuple[NDArray[np.float32], str]:
    """`load_picture`, and a note for the reader: "" or, for example, "animated: this is its first frame"."""
    if isinstance(source, (str, PathLike)):
        return from_file(_path(source))
    if isinstance(source, (bytes, bytearray, memoryview)):
        return from_file(bytes(source))
    if isinstance(source, Image.Image):
        return image_safely(source), ""
    return from_array(_array(source)), ""


def _path(source: str | PathLike[str]) -> Path:
    if "://" in fspath(source):
        raise BadPicture(f"{quoted(source)} is an address, and nothing is downloaded here. Save it, and give the file.")
    return Path(source)


def _array(source: object) -> NDArray[np.generic]:
    if not hasattr(type(source), "__array__"):  # lists too: whether they are 0..255 or 0..1 would be a guess
        raise BadPicture(
            f"{quoted(source)} ({type(source).__name__}) is no picture. "
            f"Give a path, bytes, a PIL image or an array. {EXPECTED}"
        )
    try:
        return np.asarray(source)
    except Exception as error:  # another library's array, with errors of its own (a symbolic tensor)
        raise BadPicture(f"This {type(source).__name__} holds no numbers. {advice()}") from error
