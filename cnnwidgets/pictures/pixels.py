"""Pictures in memory: resize them, make them showable, make them 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.errors import BadPicture, BadTarget, quoted
from cnnwidgets.pictures.reading.array_layout import MAX_PIXELS


def resize(picture: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """The picture or map stretched to (height, width): bilinear, antialiased where it shrinks, in full float precision.

    Args:
        picture: [H, W] or [H, W, C] floats of any range.
        size: (height, width) in pixels; the aspect is not kept.

    Returns:
        float32 [height, width] or [height, width, C].
    """
    height, width = size
    if min(height, width) < 1 or height * width > MAX_PIXELS:
        raise BadTarget(
            f"size must be (height, width) of at least 1 and at most 40 million pixels, got {quoted(size)}."
        )
    planes = np.moveaxis(np.atleast_3d(np.asarray(picture, np.float32)), 2, 0)  # [H, W, C] -> [C, H, W]
    out = np.empty((height, width, len(planes)), np.float32)
    for channel, plane in enumerate(planes):
        image = Image.fromarray(np.ascontiguousarray(plane))  # Pillow mode "F"
        out[..., channel] = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return out[..., 0] if np.ndim(picture) == 2 else out


def displayable(pictures: NDArray[Any]) -> NDArray[Any]:
    """Pictures of any number of channels as RGB, in the same dtype and range.

    1 channel is shown gray; 2 as red and green; of more than 3 the first three.

    Args:
        pictures: [H, W], [H, W, C] or [N, H, W, C].

    Returns:
        [H, W, 3] or [N, H, W, 3].
    """
    if pictures.ndim == 2:
        pictures = pictures[..., None]  # [H, W] -> [H, W, 1]
    if pictures.ndim not in (3, 4) or pictures.shape[-1] < 1:
        raise BadPicture(
            f"An array of shape {list(pictures.shape)} cannot be shown. Expected [H, W, C] or [N, H, W, C]."
        )
    channels = pictures.shape[-1]
    if channels == 1:
        return np.repeat(pictures, 3, axis=-1)
    if channels == 2:
        return np.concatenate([pictures, np.zeros_like(pictures[..., :1])], axis=-1)
    return pictures[..., :3]


def to_uint8(pictures: NDArray[Any]) -> NDArray[np.uint8]:
    """Float pictures 0..1 as `round(255 x)`, clipped; uint8 is left as it is. Any shape."""
    if pictures.dtype == np.uint8:
        return pictures
    if pictures.dtype.kind != "f":
        raise BadPicture(f"Pixels of {pictures.dtype} have no known range. Give uint8 0..255 or float 0..1.")
    levels: NDArray[np.float32] = np.multiply(pictures, 255, dtype=np.float32)
    np.clip(np.rint(levels, out=levels), 0, 255, out=levels)
    if levels.size and np.isnan(levels.min()):
        raise BadPicture("The picture holds NaN. Replace them, for example by numpy.nan_to_num(picture).")
    return levels.astype(np.uint8)
