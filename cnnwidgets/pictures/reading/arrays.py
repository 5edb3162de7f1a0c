"""Arrays as pictures, converted to float32 [H, W, 3], RGB, 0..1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.pictures.reading.array_layout import COLORS, check_size, one_picture
from cnnwidgets.pictures.reading.array_range import unit_range


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
