"""The axes and size of an array: one picture [H, W] or [H, W, C], or the line of code that makes one of it."""

from __future__ import annotations

import math
from typing import Any

from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture

COLORS = (1, 3, 4)  # gray, RGB, RGBA
RANGES = "as uint8 0..255, uint16 0..65535 or float 0..1"
MAX_PIXELS = 40_000_000
EXPECTED = f"Expected [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], {RANGES}."


def one_picture(values: NDArray[Any], channels: tuple[int, ...]) -> NDArray[Any]:
    """The array [H, W] or [H, W, C], taken out of batches of one.

    Args:
        values: any array.
        channels: the values that C may have.
    """
    name, picture = "picture", values
    while picture.ndim > 3 and len(picture) == 1:
        name, picture = name + "[0]", picture[0]
    if picture.ndim == 3 and len(picture) == 1 and picture.shape[2] not in channels:
        picture = picture[0]  # [1, H, W]: a batch of one, or one channel first
    if picture.ndim == 2 or (picture.ndim == 3 and picture.shape[2] in channels):
        return picture
    expected = EXPECTED if channels == COLORS else f"Expected [H, W, {channels[0]}], {RANGES}."
    raise BadPicture(f"An array of shape {list(values.shape)} {_fault(picture.shape, name, channels)} {expected}")


def _fault(shape: tuple[int, ...], name: str, channels: tuple[int, ...]) -> str:
    """What these axes are, and how to get one picture."""
    if len(shape) < 2:
        return _flat(shape, name)
    if len(shape) == 3:
        return _wrong_channels(shape, name, channels)
    if shape[0] == 0:
        return "is a batch of no pictures. Give one picture."
    first = name.replace("picture", "pictures") + "[0]" * (len(shape) - 3)
    if _is_channels_first(shape[-3:], channels):
        return f"is a batch of {shape[0]} pictures, channels first. Give one of them: numpy.moveaxis({first}, 0, -1)."
    return f"is a batch of {shape[0]} pictures. Give one of them: {first}."


def _flat(shape: tuple[int, ...], name: str) -> str:
    if not shape:
        return "is one number, not a picture."
    side = math.isqrt(shape[0])
    size = f"{side}, {side}" if side * side == shape[0] > 0 else "height, width"
    return f"has no rows and columns. Give {name}.reshape({size})."


def _wrong_channels(shape: tuple[int, ...], name: str, channels: tuple[int, ...]) -> str:
    if _is_channels_first(shape, channels):
        return f"has its channels first; they must come last. Give numpy.moveaxis({name}, 0, -1)."
    if shape[2] < min(shape[:2]):
        some, which = (":3", "three of them") if shape[2] > 3 else ("0", "the first")
        more = f" Give {name}[..., {some}] for {which}." if channels == COLORS else ""
        return f"has {shape[2]} channels.{more}"
    first = name.replace("picture", "pictures") + "[0]"
    return f"has {shape[2]} channels, or is {shape[0]} gray pictures. Give one of them: {first}."


def _is_channels_first(shape: tuple[int, ...], channels: tuple[int, ...]) -> bool:
    return shape[0] in channels and shape[2] not in channels and shape[0] < min(shape[1:])


def check_size(width: int, height: int, remedy: str = "") -> None:
    """Raise BadPicture for a picture without pixels, or with more than 40 million (before they are decoded)."""
    if min(width, height) < 1:
        raise BadPicture(f"A picture of {width} x {height} pixels is empty. Give one of at least 1 x 1.")
    if width * height > MAX_PIXELS:
        raise BadPicture(
            f"A picture of {width} x {height} pixels is too large. "
            f"Shrink it to at most {MAX_PIXELS // 10**6} million pixels{remedy}."
        )
