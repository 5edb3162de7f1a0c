"""Loading of pictures of any kind as float32 [H, W, 3], RGB, 0..1."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from os import PathLike, fspath
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.errors import BadPicture, quoted
from cnnwidgets.paths import expanded
from cnnwidgets.pictures.reading.array_layout import COLORS, EXPECTED
from cnnwidgets.pictures.reading.arrays import from_array, from_bands
from cnnwidgets.pictures.reading.decode import from_file, image_safely

GIVE = f"Give a path, bytes, a PIL image or an array. {EXPECTED}"


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
    if _is_content(source):
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
    if isinstance(source, (str, PathLike, Image.Image)) or _is_content(source):
        return read_picture(source)  # files and images hold colors
    picture, note = from_bands(as_array(source), (channels, *COLORS))
    return picture[..., None] if picture.ndim == 2 else picture, note


def _is_content(source: object) -> TypeGuard[bytes | bytearray | memoryview]:
    """Whether these are the bytes of a file; a view of an array's numbers has rows, or larger numbers."""
    if isinstance(source, memoryview):
        return source.ndim == 1 and source.itemsize == 1
    return isinstance(source, (bytes, bytearray))


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
        how = ": cw.load_picture(keras.utils.get_file(origin=url))" if is_web else ", then give the path of the file"
        raise BadPicture(f"{quoted(text)} is an address, and nothing is downloaded here. Download it first{how}.")
    return from_file(expanded(text))


def as_array(source: Any) -> NDArray[Any]:
    """The numbers of an array, tensor or table.

    Raises:
        BadPicture: for what holds none, with what to give instead.
    """
    kind = type(source).__name__
    if isinstance(source, np.ma.MaskedArray) and np.ma.is_masked(source):
        raise BadPicture("Some values of this masked array are masked. Fill them: picture.filled(0).")
    is_array = any(hasattr(source, name) for name in ("__array__", "__array_interface__"))
    if inspect.isclass(source) or not (is_array or hasattr(source, "__dlpack__") or isinstance(source, memoryview)):
        got = "None" if source is None else f"{kind} {quoted(source)}"
        raise BadPicture(f"Expected a picture, got {got}. {_instead(source) or GIVE}")
    try:
        values = np.asarray(source) if is_array or isinstance(source, memoryview) else np.from_dlpack(source)
    except Exception as error:  # whatever another library raises, such as for a symbolic tensor
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
    if hasattr(source, "read_bytes"):  # a zipfile.Path
        return "Give its bytes: picture.read_bytes()."
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
