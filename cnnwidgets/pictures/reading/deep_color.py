"""PNG files whose colors have 16 bits: Pillow decodes the upper 8 alone, so the lower 8 are decoded after them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Raw modes of PNG: how to read the lower bytes of the same numbers. Both bytes of gray and alpha look like four colors.
_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L"}
_GRAY_AND_ALPHA = "LA;16B"
_TURNS = {
    Image.Transpose.FLIP_LEFT_RIGHT: lambda x: x[:, ::-1],
    Image.Transpose.FLIP_TOP_BOTTOM: lambda x: x[::-1],
    Image.Transpose.ROTATE_90: lambda x: np.rot90(x, 1),
    Image.Transpose.ROTATE_180: lambda x: np.rot90(x, 2),
    Image.Transpose.ROTATE_270: lambda x: np.rot90(x, 3),
    Image.Transpose.TRANSPOSE: lambda x: x.swapaxes(0, 1),
    Image.Transpose.TRANSVERSE: lambda x: np.rot90(x, 2).swapaxes(0, 1),
}


def is_deep(image: Image.Image) -> bool:
    """Whether a PNG that is not decoded yet has colors of 16 bits; one with a transparent color is not read here."""
    modes = [str(tile[3]) for tile in getattr(image, "tile", None) or []]
    return len(modes) == 1 and modes[0] in (*_LOWER, _GRAY_AND_ALPHA) and "transparency" not in image.info


def all_bits(data: bytes) -> NDArray[np.uint16]:
    """[H, W, 3 or 4] uint16 of such a PNG."""
    mode = str(_opened(data).tile[0][3])
    if mode == _GRAY_AND_ALPHA:
        gray, alpha = np.moveaxis(_decoded(data, "RGBA").view(">u2"), -1, 0)  # [H, W, 4] bytes -> [H, W, 2]
        return np.stack([gray, gray, gray, alpha], -1).astype(np.uint16)
    upper, lower = (_decoded(data, raw).astype(np.uint16) for raw in (mode, _LOWER[mode]))
    return 256 * upper + lower


def turned(levels: NDArray[np.uint16], turn: Image.Transpose | None) -> NDArray[np.uint16]:
    """[H, W, C] as `Image.transpose` turns an image."""
    return levels if turn is None else np.ascontiguousarray(_TURNS[turn](levels))


def _decoded(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    image = _opened(data)
    image.tile = [image.tile[0]._replace(args=raw_mode)]
    return np.array(image)


def _opened(data: bytes) -> Any:
    return Image.open(io.BytesIO(data))
