"""A small PNG of any picture, for a notebook that is saved with it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.pictures.pixels import displayable, resize, to_uint8

LONGEST = 512  # pixels
MOST_BYTES = 100_000  # a notebook holds several, and should be opened fast


def to_still(picture: NDArray[Any]) -> bytes:
    """A picture ([H, W] or [H, W, C], uint8 or float 0..1) as a PNG of at most 100 kB: fewer colors, then smaller."""
    pixels = displayable(to_uint8(picture))
    scale = min(1.0, LONGEST / max(pixels.shape[:2]))
    while True:
        data = _palette_png(_scaled(pixels, scale))
        if len(data) <= MOST_BYTES:
            return data
        scale *= 0.8


def _scaled(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    if scale == 1:
        return pixels
    height, width = (max(1, round(scale * length)) for length in pixels.shape[:2])
    return to_uint8(resize(pixels.astype(np.float32) / 255, (height, width)))


def _palette_png(pixels: NDArray[np.uint8]) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).quantize(256, Image.Quantize.FASTOCTREE).save(out, "PNG")  # Stop must not wait for the best
    return out.getvalue()
