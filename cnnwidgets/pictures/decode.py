"""Pillow images of any mode as pictures: upright, over white, with all their bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.errors import BadPicture, CnnWidgetsError
from cnnwidgets.pictures.arrays import check_size, from_array
from cnnwidgets.pictures.files import advice, quiet_pillow, read_safely

# EXIF orientation: what turns the stored picture upright (1 is upright already).
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def from_file(source: bytes | Path) -> tuple[NDArray[np.float32], str]:
    """The picture in a file or its bytes, float32 [H, W, 3], and a note about it (such as "animated: ...") or ""."""

    def decode(image: Image.Image) -> tuple[NDArray[np.float32], str]:
        picture = from_image(image)
        moves = image.format in ("GIF", "PNG", "WEBP") and getattr(image, "is_animated", False)
        return picture, "animated: this is its first frame" if moves else ""

    return read_safely(source, decode)


def from_image(image: Image.Image) -> NDArray[np.float32]:
    """A Pillow image of any mode as float32 [H, W, 3]: turned upright, alpha over white, 16 bits kept."""
    check_size(*image.size)  # a file of 20 kB may hold 169 million pixels
    image.load()
    image = _upright(image)
    if image.mode.startswith("I;16"):
        return _from_16_bits(image)
    if image.mode in ("I", "F"):
        raise BadPicture(
            f"The range of this image's numbers (Pillow mode {image.mode}) is not known. "
            "Give an array instead: numpy.asarray(image), scaled to float 0..1."
        )
    if image.mode == "La":  # Pillow knows no direct way from here to RGBA
        image = image.convert("LA")
    return from_array(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))


def image_safely(image: Image.Image) -> NDArray[np.float32]:
    """`from_image` for an image that someone else opened, perhaps from a damaged file."""
    try:
        with quiet_pillow():
            return from_image(image)
    except CnnWidgetsError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds over damaged files
        raise BadPicture(f"This Pillow image cannot be read, its file is damaged. {advice()}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        turn = UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged note about a sound picture: show it as it is stored
        turn = None
    return image if turn is None else image.transpose(turn)


def _from_16_bits(image: Image.Image) -> NDArray[np.float32]:
    levels = np.asarray(image)  # [H, W] uint16, either byte order
    grey = levels.astype(np.float32) / 65535
    key: Any = image.info.get("transparency")  # PNG: this one level is transparent
    return from_array(np.where(levels == key, np.float32(1), grey) if isinstance(key, int) else grey)
