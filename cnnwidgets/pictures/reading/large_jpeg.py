"""Photographs of more than 40 million pixels: JPEG can be decoded at a half, a quarter or an eighth of its size."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image, JpegImagePlugin

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures.reading.array_layout import MAX_PIXELS

MOST_IN_A_JPEG = 300_000_000  # what telephones and panoramas have today; some 3 s to decode
MOST_PROGRESSIVE = 210_000_000  # these keep every coefficient in memory, up to 6 bytes a pixel
WANTED_PIXELS = 20_000_000


def open_jpeg(file: BinaryIO) -> tuple[Image.Image, str]:
    """A JPEG, set to be decoded smaller where it is large, and a note about that or "". Nothing is decoded yet.

    Raises:
        BadPicture: for one that is too large all the same.
    """
    # Not by Image.open: it refuses by the stored size, before it can be asked for a smaller one.
    image = JpegImagePlugin.JpegImageFile(file)
    width, height = image.size
    if width * height <= MAX_PIXELS:
        return image, ""
    most = MOST_PROGRESSIVE if image.info.get("progressive") else MOST_IN_A_JPEG
    if width * height > most:
        raise BadPicture(
            f"A JPEG of {width} x {height} pixels is too large. Shrink it to at most {MAX_PIXELS // 10**6} million "
            f"pixels; up to {most // 10**6} million are read at a smaller size."
        )
    scale = next((s for s in (2, 4, 8) if width * height <= WANTED_PIXELS * s * s), 8)
    image.draft("", (max(1, width // scale), max(1, height // scale)))
    columns, rows = image.size
    return image, f"smaller: this photograph of {width} x {height} pixels was read at {columns} x {rows}"
