"""Loading of pictures of any kind as float32 [H, W, 3], RGB, 0..1."""

from __future__ import annotations

from os import PathLike, fspath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.errors import BadPicture, quoted
from cnnwidgets.paths import expanded
from cnnwidgets.pictures.reading.array_layout import COLORS
from cnnwidgets.pictures.reading.array_like import as_array
from cnnwidgets.pictures.reading.arrays import from_array, from_bands
from cnnwidgets.pictures.reading.decode import from_file, image_safely


def load_picture(source: object) -> NDArray[np.float32]:
    """Any picture as float32 [H, W, 3], RGB, 0..1.

    Gray goes to three equal channels, alpha over white; EXIF orientation is followed; of an animation the first frame.
    A JPEG of more than 40 million pixels is read at a half, a quarter or an eighth of its size.

    Args:
        source: a path (PNG, JPEG, WEBP, GIF, BMP; `~` is the home folder), the bytes of such a file, a PIL image, or an
            array or tensor ([H, W] or [H, W, C] with C 1, 3, 4, or a batch of one; uint8 0..255, uint16 0..65535 or
            float 0..1).

    Raises:
        BadPicture: what it is that cannot be read, and what can.

    Example:
        >>> load_picture("cat.jpg").shape
        (300, 451, 3)
    """
    return read_picture(source)[0]


def read_picture(source: object) -> tuple[NDArray[np.float32], str]:
    """`load_picture`, and a note for the reader or "".

    Notes begin with a keyword: "animated: this is its first frame", "smaller: ..." for a photograph of more than 40
    million pixels, "dark: ..." where the numbers use a small part of their range.
    """
    if isinstance(source, (str, PathLike)):
        return _from_path(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return from_file(bytes(source))
    if isinstance(source, Image.Image):
        return image_safely(source)
    return from_array(as_array(source))


def read_bands(source: object, channels: int) -> tuple[NDArray[np.float32], str]:
    """A picture for a network of other channels than 1 or 3, such as a satellite's, and a note or "".

    Args:
        source: what `load_picture` takes, and arrays [H, W, channels] or a batch of one.
        channels: how many the network takes.

    Returns:
        float32 [H, W, C] in 0..1, where C is `channels`, or what the picture has instead.

    Raises:
        BadPicture: as `load_picture`.
    """
    if isinstance(source, (str, PathLike, bytes, bytearray, memoryview, Image.Image)):
        return read_picture(source)  # files and images hold colors
    picture, note = from_bands(as_array(source), (channels, *COLORS))
    return picture[..., None] if picture.ndim == 2 else picture, note


def _from_path(source: str | PathLike[str]) -> tuple[NDArray[np.float32], str]:
    text = fspath(source)
    if not isinstance(text, str):
        raise BadPicture(f"A path must be text, got {quoted(text)}. Give {quoted(text)}.decode().")
    if not text.strip():
        raise BadPicture(f"The path {quoted(text)} is empty. Give the path of a picture.")
    if text.startswith("data:"):
        raise BadPicture("This is a data URL. Give its bytes: base64.b64decode(url.partition(',')[2]).")
    if text.startswith("file://"):
        raise BadPicture(f"Expected a path, got {quoted(text)}. Give it without 'file://'.")
    if "://" in text:
        is_web = text.startswith(("http://", "https://"))
        how = "cw.load_picture(keras.utils.get_file(origin=url))" if is_web else "then give the path of the file"
        raise BadPicture(f"{quoted(text)} is an address, and nothing is downloaded here. Download it first: {how}.")
    return from_file(expanded(text))
