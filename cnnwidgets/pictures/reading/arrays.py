"""Arrays as pictures: float32 [H, W, 3], RGB, 0..1, or the line of code that brings their numbers there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures.reading.array_layout import COLORS, EXPECTED, check_size, one_picture

# Resizing and averaging leave float pictures a rounding error outside 0..1; that is not a reason to refuse them.
ROUNDING = 1e-3
OVERSHOOT = 0.1  # a sharper filter leaves more, which is safe to clip, though not without the user's word
TOPS = {"uint8": 255, "uint16": 65535}
DARK, DARK_IN_16_BITS = 1 / 8, 1 / 2  # the brightest value: 14 bits in 16 reach a quarter
PREPROCESSED = (-130.0, 160.0)  # all that preprocess_input gives: 0..255 less a mean, -1..1, or standardized


def from_array(values: NDArray[Any]) -> tuple[NDArray[np.float32], str]:
    """An array as a picture, and a note about it or "": gray goes to three equal channels, alpha over white.

    Args:
        values: [H, W] or [H, W, C] with C 1, 3 or 4, or a batch of one of these; uint8 0..255, uint16 0..65535, bool,
            other integers 0..255, or float 0..1.

    Returns:
        float32 [H, W, 3] in 0..1, always a copy; a note such as "dark: ...".

    Raises:
        BadPicture: another shape or dtype, values out of range, NaN or infinity, no pixel or too many.
    """
    picture, note = from_bands(values, COLORS)
    if picture.ndim == 2:
        picture = picture[..., None]  # [H, W] -> [H, W, 1]
    if picture.shape[2] == 4:
        return _over_white(picture), note
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture, note


def from_bands(values: NDArray[Any], channels: tuple[int, ...]) -> tuple[NDArray[np.float32], str]:
    """An array [H, W] or [H, W, C] as float32 in 0..1 with the channels that it has, and a note about it or ""."""
    values = one_picture(values, channels)
    check_size(values.shape[1], values.shape[0], ", for example picture[::2, ::2]")
    return unit_range(values)


def _over_white(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    color, alpha = picture[..., :3], picture[..., 3:]  # [H, W, 4] -> [H, W, 3], [H, W, 1]
    # 1 + (color - 1) * alpha in place: a large picture is there once, not three times.
    over = color - 1
    over *= alpha
    over += 1
    return over


# -- the range of the numbers


def unit_range(values: NDArray[Any]) -> tuple[NDArray[np.float32], str]:
    """The numbers as float32 in 0..1, always a copy, and a note about dark ones or "".

    Raises:
        BadPicture: for another dtype or range, NaN or infinity.
    """
    if values.dtype == np.bool_:
        return values.astype(np.float32), ""
    if values.dtype.kind in "iu":
        return _from_integers(values)
    if values.dtype.kind != "f":
        raise BadPicture(f"An array of {values.dtype} holds no brightness values. {EXPECTED}")
    low, high = float(values.min()), float(values.max())  # NaN anywhere makes both NaN
    if not np.isfinite([low, high]).all():
        raise BadPicture("The picture holds NaN or infinity. Replace them, for example by numpy.nan_to_num(picture).")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise BadPicture(f"The float values go from {low:.4g} to {high:.4g}, expected 0..1. {_remedy(low, high)}")
    picture = values.astype(np.float32)
    return np.clip(picture, 0, 1, out=picture), dark_note(high, 1)


def dark_note(brightest: float, top: float) -> str:
    """A note about a picture whose brightest value is far below the largest possible one ("dark: ..."), or ""."""
    share = brightest / top
    limit = DARK_IN_16_BITS if top == TOPS["uint16"] else DARK
    if not 0 < share <= limit:
        return ""
    bits = _bits(brightest) if top == TOPS["uint16"] else 0
    stored = f", as when {bits}-bit numbers are stored in 16 bits" if bits else ""
    return (
        f"dark: its brightest value is {100 * share:.2g} % of the range{stored}; "
        "to stretch it, give picture / picture.max(), where picture = cw.load_picture(...)"
    )


def _from_integers(values: NDArray[Any]) -> tuple[NDArray[np.float32], str]:
    low, high = int(values.min()), int(values.max())
    top = TOPS.get(values.dtype.name) or (255 if low >= 0 and high <= 255 else 0)
    if not top:
        largest = 2 ** _bits(high - min(low, 0)) - 1
        shifted = f"(numpy.float32(picture) + {-low})" if low < 0 else "picture"
        raise BadPicture(
            f"The {values.dtype} values go from {low} to {high}, and which of them are black and white is not known. "
            f"Give uint8 0..255, or scale them to 0..1: {shifted} / {largest}."
        )
    picture = values.astype(np.float32)
    picture /= top
    return picture, dark_note(high, top)


def _bits(largest: float) -> int:
    """How many bits a camera or scanner has whose largest number is this."""
    return next((bits for bits in (8, 10, 12, 14, 15, 16) if largest < 2**bits), int(largest).bit_length())


def _remedy(low: float, high: float) -> str:
    """The line of code that brings floats of this range to 0..1; numbers are never wrapped or guessed at."""
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return "Give numpy.clip(picture, 0, 1)."
    if low < -OVERSHOOT:
        return _negative(low, high)
    if high <= 4:
        return "Give picture / picture.max()."
    if high <= 256 + OVERSHOOT:
        return "If they are levels of 0..255, give picture / 255."
    return f"Scale them by the largest possible value: picture / {2 ** _bits(high) - 1}."


def _negative(low: float, high: float) -> str:
    original = "If preprocess_input made them, give the picture as it was before: the network preprocesses it itself."
    if low >= -1 - ROUNDING and high <= 1 + ROUNDING:
        return f"Some are negative. {original} If black is -1 and white 1, give (picture + 1) / 2."
    if low >= PREPROCESSED[0] and high <= PREPROCESSED[1]:
        return f"Some are negative. {original}"
    return f"Some are negative. {original} Otherwise scale them: (picture + {-low:.6g}) / {high - low:.6g}."
