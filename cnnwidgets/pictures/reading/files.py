"""Picture files, which come from anywhere and may be hostile.

Only the decoders of five formats are ever reached, and whatever Pillow raises over a damaged file becomes a
`BadPicture`.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from PIL import Image, JpegImagePlugin

from cnnwidgets.errors import BadPicture, CnnWidgetsError, quoted, quoted_path
from cnnwidgets.pictures.reading.array_layout import MAX_PIXELS
from cnnwidgets.pictures.reading.file_kinds import kind_of

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MAX_BYTES = 512 * 2**20  # no picture within the pixel limit needs more, and WEBP reads the whole file at once

Result = TypeVar("Result")

_one_at_a_time = threading.Lock()
MOST_IN_A_JPEG = 300_000_000  # what telephones and panoramas have today; some 3 s to decode
MOST_PROGRESSIVE = 210_000_000  # these keep every coefficient in memory, up to 6 bytes a pixel
WANTED_PIXELS = 20_000_000


def read_safely(
    source: bytes | Path,
    use: Callable[[Image.Image, str], Result],
    formats: tuple[str, ...] = FORMATS,
    *,
    verify: bool = True,
) -> Result:
    """Open a picture's file or bytes, hand the image to `use`, and give back what it returns.

    Args:
        source: the bytes, or the path of a file.
        use: called with the Pillow image, while the file is open, and a note about it or ""; nothing is decoded yet, so
            check its size first.
        formats: the Pillow decoders that may be reached.
        verify: whether the checksums of a PNG are checked first.

    Raises:
        BadPicture: no such file, empty, not one of the formats, damaged, or far too large.
    """
    name = "These bytes" if isinstance(source, bytes) else quoted_path(source)
    with _stream(source, name) as file, quiet_pillow():
        try:
            return use(*_opened(file, formats, verify))
        except CnnWidgetsError:
            raise
        except Image.DecompressionBombError as error:
            raise BadPicture(f"{name}: the picture is too large. Shrink it to at most 40 million pixels.") from error
        except Exception as error:  # Pillow raises a dozen kinds over damaged files
            raise BadPicture(f"{name}: {_why(file, formats)} {advice(formats)}") from error


def advice(formats: tuple[str, ...] = FORMATS) -> str:
    """What to give instead: "Give a PNG, JPEG, WEBP, GIF or BMP file."."""
    return f"Give a {' or '.join(', '.join(formats).rsplit(', ', 1))} file."


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's warnings (large, odd EXIF) out of the reader's notebook; what matters is raised as an error."""
    # The warning filters belong to the whole process: one thread changes them at a time, and only for Pillow's modules.
    with _one_at_a_time, warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _stream(source: bytes | Path, name: str) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        _check_bytes(len(source), name)
        yield io.BytesIO(source)
        return
    try:
        if source.is_dir():
            raise BadPicture(f"{name} is a folder. Give the path of one picture in it.")
        if not source.is_file():
            raise BadPicture(f"{name}: there is no such file. {advice()}")
        size, file = source.stat().st_size, source.open("rb")
    except OSError as error:
        raise BadPicture(f"{name}: the file cannot be opened ({error.strerror}). {advice()}") from error
    with file:
        _check_bytes(size, name)
        yield file


def _check_bytes(size: int, name: str) -> None:
    if size == 0:
        raise BadPicture(f"{name}: the file is empty (0 bytes). {advice()}")
    if size > MAX_BYTES:
        raise BadPicture(f"{name}: {size // 2**20} MB is too large. Shrink it to at most {MAX_BYTES // 2**20} MB.")


def _opened(file: BinaryIO, formats: tuple[str, ...], verify: bool) -> tuple[Image.Image, str]:
    is_jpeg = file.read(3) == b"\xff\xd8\xff"
    file.seek(0)
    if is_jpeg and "JPEG" in formats:
        return open_jpeg(file)
    image = Image.open(file, formats=formats)
    if image.format == "PNG" and verify:
        image.verify()  # decoding alone does not check them, and lets some flipped bits through
        file.seek(0)
        image = Image.open(file, formats=formats)
    return image, ""


def _why(file: BinaryIO, formats: tuple[str, ...]) -> str:
    kind = kind_of(file)
    if kind is None:
        file.seek(0)
        return f"this is not a picture (it begins with {quoted(file.read(12))})."
    if kind.name in formats:
        return "the file is damaged."
    return f"this is {kind.name}. {kind.advice}".strip()


def open_jpeg(file: BinaryIO) -> tuple[Image.Image, str]:
    """A JPEG, set to be decoded smaller where it is large, and a note about that or "". Nothing is decoded yet."""
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
