"""Arrays as pictures: which ones are, and how each becomes float32 [H, W, 3], RGB, 0..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture

MAX_PIXELS = 40_000_000
EXPECTED = "Expected [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], as uint8 0..255 or float 0..1."

# Resizing and averaging leave float pictures a rounding error outside 0..1; that is no reason to refuse them.
ROUNDING = 1e-3


def check_size(width: int, height: int) -> None:
    """Raise BadPicture for a picture without pixels, or with more than 40 million (before they are decoded)."""
    if min(width, height) < 1:
        raise BadPicture(f"A picture of {width} x {height} pixels is empty. Give one of at least 1 x 1.")
    if width * height > MAX_PIXELS:
        raise BadPicture(
            f"A picture of {width} x {height} pixels is too large. "
            f"Shrink it to at most {MAX_PIXELS // 10**6} million pixels."
        )


def from_array(values: NDArray[Any]) -> NDArray[np.float32]:
    """An array as a picture: grey goes to three equal channels, alpha over white.

    Args:
        values: [H, W] or [H, W, C] with C 1, 3 or 4; uint8 0..255, bool, or float 0..1.

    Returns:
        float32 [H, W, 3] in 0..1, always a copy.

    Raises:
        BadPicture: another shape or dtype, values out of range, NaN or infinity, no pixel or too many.
    """
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] not in (1, 3, 4)):
        raise BadPicture(f"An array of shape {list(values.shape)} is no picture. {EXPECTED}")
    check_size(values.shape[1], values.shape[0])
    picture = _in_range(values)
    if picture.ndim == 2:
        picture = picture[..., None]  # [H, W] -> [H, W, 1]
    if picture.shape[2] == 4:
        return _over_white(picture)
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _in_range(values: NDArray[Any]) -> NDArray[np.float32]:
    if values.dtype == np.uint8:
        picture = values.astype(np.float32)
        picture /= 255
        return picture
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    if values.dtype.kind != "f":
        raise BadPicture(f"An array of {values.dtype} is no picture. {EXPECTED}")
    low, high = float(values.min()), float(values.max())  # NaN anywhere makes both NaN
    if not np.isfinite([low, high]).all():
        raise BadPicture("The picture holds NaN or infinity. Replace them, for example by numpy.nan_to_num(picture).")
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise BadPicture(
            f"The float values go from {low:.4g} to {high:.4g}. "
            "Scale them to 0..1, or give uint8 0..255: picture.astype('uint8')."
        )
    picture = values.astype(np.float32)
    return np.clip(picture, 0, 1, out=picture)


def _over_white(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    color, alpha = picture[..., :3], picture[..., 3:]  # [H, W, 4] -> [H, W, 3], [H, W, 1]
    # 1 + (color - 1) * alpha in place: a large picture is there once, not three times.
    over = color - 1
    over *= alpha
    over += 1
    return over
