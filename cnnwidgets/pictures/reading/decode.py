"""Pillow images of any mode as pictures: upright, over white, with all their bits."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from cnnwidgets.errors import BadPicture, CnnWidgetsError
from cnnwidgets.pictures.reading.array_layout import MAX_PIXELS, check_size
from cnnwidgets.pictures.reading.arrays import TOPS, dark_note, from_array
from cnnwidgets.pictures.reading.files import advice, quiet_pillow, read_safely

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
# Of colors with 16 bits Pillow decodes the upper 8 alone, so the lower 8 are decoded after them.
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


def from_file(source: bytes | Path) -> tuple[NDArray[np.float32], str]:
    """The picture in a file or its bytes, float32 [H, W, 3], and a note about it (such as "animated: ...") or ""."""

    def decode(image: Image.Image, note: str) -> tuple[NDArray[np.float32], str]:
        picture, dark = from_image(image)
        moves = image.format in ("GIF", "PNG", "WEBP") and getattr(image, "is_animated", False)
        animated = "animated: this is its first frame" if moves else ""
        return picture, "; ".join(filter(None, (note, animated, dark)))

    return read_safely(source, decode)


def from_image(image: Image.Image) -> tuple[NDArray[np.float32], str]:
    """A Pillow image of any mode as float32 [H, W, 3]: turned upright, alpha over white, 16 bits kept; and a note."""
    image, note = _of_bounded_size(image)
    file: Any = getattr(image, "fp", None)
    deep = all_bits(_bytes_of(file)) if file is not None and is_deep(image) else None
    has_16_bits = _is_16_bit_color(image)  # before it is decoded: Pillow forgets it then
    image.load()
    if deep is not None:
        picture, dark = from_array(turned(deep, _turn(image)))
        return picture, "; ".join(filter(None, (note, dark)))
    image = _upright(image)
    if image.mode.startswith("I;16"):
        picture, dark = _from_16_bits(image)
    elif image.mode in ("RGB", "L", "I", "F") and not image.has_transparency_data:
        picture, dark = from_array(np.asarray(image))
    else:
        # Pillow knows no direct way from La to RGBA.
        image = image.convert("LA") if image.mode == "La" else image
        picture, dark = from_array(np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB")))
    dark = dark_note(float(picture.max()) * TOPS["uint16"], TOPS["uint16"]) if has_16_bits else dark
    return picture, "; ".join(filter(None, (note, dark)))


def image_safely(image: Image.Image) -> tuple[NDArray[np.float32], str]:
    """`from_image` for an image that someone else opened, perhaps from a damaged file."""
    try:
        if image.width * image.height > MAX_PIXELS and isinstance(image, JpegImageFile) and image.fp is not None:
            return from_file(_bytes_of(image.fp))  # not decoded yet: it can be decoded smaller
        with quiet_pillow():
            return from_image(image)
    except CnnWidgetsError:
        raise
    except Exception as error:  # Pillow raises a dozen kinds over damaged files
        raise BadPicture(f"This Pillow image cannot be read, its file is damaged or closed. {advice()}") from error


def _bytes_of(file: Any) -> bytes:
    """All that is in an open file, which stays where it was."""
    position = file.tell()
    try:
        file.seek(0)
        return bytes(file.read())
    finally:
        file.seek(position)


def _of_bounded_size(image: Image.Image) -> tuple[Image.Image, str]:
    """The image, or a smaller one of a large photograph that is in memory already; files are checked by their size."""
    width, height = image.size
    in_memory = getattr(image, "fp", None) is None and image.mode in ("RGB", "L")
    if not in_memory or width * height <= MAX_PIXELS:
        check_size(width, height)  # a file of 20 kB may hold 169 million pixels
        return image, ""
    image = image.reduce(math.ceil(math.sqrt(width * height / MAX_PIXELS)))
    columns, rows = image.size
    return image, f"smaller: this photograph of {width} x {height} pixels was read at {columns} x {rows}"


def _is_16_bit_color(image: Image.Image) -> bool:
    """Whether this is a PNG whose colors have 16 bits, of which Pillow reads the upper 8."""
    tiles = getattr(image, "tile", None) or []
    return any(";16" in str(tile[3]) for tile in tiles)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What turns the stored picture upright."""
    try:
        return UPRIGHT.get(image.getexif().get(0x0112, 1))
    except Exception:  # a damaged note about a sound picture: show it as it is stored
        return None


def _upright(image: Image.Image) -> Image.Image:
    turn = _turn(image)
    return image if turn is None else image.transpose(turn)


def _from_16_bits(image: Image.Image) -> tuple[NDArray[np.float32], str]:
    levels = np.asarray(image)  # [H, W] uint16, either byte order
    picture, dark = from_array(levels.astype(np.uint16))
    key: Any = image.info.get("transparency")  # PNG: this one level is transparent
    if isinstance(key, int):
        picture[levels == key] = 1
    return picture, dark


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
