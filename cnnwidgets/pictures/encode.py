"""Pictures as PNG (exact, settings inside), JPEG (small, for live frames), GIF (a run), and a still for a notebook."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnwidgets.errors import BadPicture, BadTarget, quoted
from cnnwidgets.paths import checked_path
from cnnwidgets.pictures.pixels import displayable, resize, to_uint8
from cnnwidgets.pictures.reading.files import read_safely

KEY = "cnnwidgets"  # the PNG text chunk that holds the settings as JSON
MAX_METADATA = 2**18  # characters: some hundred times what settings need
HOLD = 1500  # milliseconds that a GIF rests on its last frame
LONGEST = 512  # pixels
MOST_BYTES = 100_000  # a notebook holds several, and should be opened fast


def to_png(picture: NDArray[Any], metadata: Mapping[str, Any] | None = None) -> bytes:
    """A picture as PNG, pixel-exact, with `metadata` as JSON text under the key `cnnwidgets`.

    Args:
        picture: [H, W] or [H, W, C], uint8 0..255 or float 0..1.
        metadata: JSON values, at most 262,144 characters as JSON.

    Raises:
        BadPicture: another shape or dtype, or NaN.
        BadTarget: metadata that is not JSON, or too much of it.
    """
    info = PngInfo()
    if metadata is not None:
        info.add_text(KEY, _as_json(metadata))
    out = io.BytesIO()
    _image(picture).save(out, "PNG", pnginfo=info)
    return out.getvalue()


def read_png_metadata(source: bytes | str | Path) -> dict[str, Any]:
    """The settings that `to_png` put into a PNG, without decoding a pixel of it.

    Raises:
        BadPicture: not a PNG, a damaged one, or one without settings.
        BadTarget: not a path and not bytes.
    """
    source = bytes(source) if isinstance(source, (bytes, bytearray, memoryview)) else checked_path("png", source)
    text = read_safely(source, lambda image, _: image.info.get(KEY), formats=("PNG",), verify=False)
    if not isinstance(text, str):
        raise BadPicture(f"This PNG holds no settings under {quoted(KEY)}. Give one that a panel saved, unchanged.")
    try:
        metadata = json.loads(text) if len(text) <= MAX_METADATA else None
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise BadPicture(
            f"The settings in this PNG are damaged: {quoted(text)}. Give one that a panel saved, unchanged."
        )
    return metadata


def to_jpeg(picture: NDArray[Any], quality: int = 85) -> bytes:
    """A picture ([H, W] or [H, W, C], uint8 or float 0..1) as JPEG: far smaller and faster than PNG."""
    out = io.BytesIO()
    _image(picture).save(out, "JPEG", quality=quality)
    return out.getvalue()


def to_gif(frames: Iterable[NDArray[Any]], fps: float = 12) -> bytes:
    """Pictures as an endless GIF that rests 1.5 s on the last one.

    Args:
        frames: [H, W, C] each, uint8 or float 0..1; all are resized to the last one's size (a dream grows by octaves).
        fps: frames a second, 0.1 to 50 (browsers slow down what is faster).

    Raises:
        BadPicture: no frame at all, or one that is not a picture.
        BadTarget: fps outside the range.
    """
    if not 0.1 <= fps <= 50:
        raise BadTarget(f"fps must be a number from 0.1 to 50 frames a second, got {quoted(fps)}.")
    pictures = list(frames)
    if not pictures:
        raise BadPicture("frames must hold at least one picture, got no frames.")
    size = pictures[-1].shape[:2]
    first, *rest = [_palette_image(picture, size) for picture in pictures]
    pause = round(100 / fps) * 10  # a GIF counts hundredths of a second
    out = io.BytesIO()
    first.save(out, "GIF", save_all=True, append_images=rest, duration=[*[pause] * len(rest), HOLD], loop=0)
    return out.getvalue()


def _image(picture: NDArray[Any]) -> Image.Image:
    pixels = displayable(to_uint8(picture))
    if pixels.ndim != 3 or 0 in pixels.shape:
        raise BadPicture(
            f"An array of shape {list(picture.shape)} is not a picture. Expected [H, W] or [H, W, C], not empty."
        )
    return Image.fromarray(np.ascontiguousarray(pixels))


def _palette_image(picture: NDArray[Any], size: tuple[int, int]) -> Image.Image:
    # 256 colors of the frame's own, dithered: for noise and photographs alike nearest to the eye, and 25 times faster
    # than Pillow's median cut (11 ms against 280 at 512 px).
    if picture.shape[:2] != size:
        picture = resize(to_uint8(picture) / np.float32(255), size)
    image = _image(picture)
    palette = image.quantize(256, method=Image.Quantize.FASTOCTREE)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def _as_json(metadata: Mapping[str, Any]) -> str:
    try:
        text = json.dumps(dict(metadata), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadTarget(
            f"These settings are not JSON: {quoted(metadata)}. Give numbers, text, lists, dicts."
        ) from error
    if len(text) > MAX_METADATA:
        raise BadTarget(f"Settings of {len(text)} characters are too long. Keep them below {MAX_METADATA}.")
    return text


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
