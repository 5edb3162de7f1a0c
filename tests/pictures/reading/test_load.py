"""What `load_picture` takes, and what it refuses, in words."""

from __future__ import annotations

import gc
import io
import random
import struct
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures import load_picture, read_picture

GRADIENT = np.stack([*np.meshgrid(np.arange(0, 240, 5), np.arange(0, 160, 5)), np.full((32, 48), 90)], -1).astype(
    np.uint8
)


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def png(width: int, height: int, depth: int, color: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand: what Pillow cannot write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    end = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + end


def message(source: object) -> str:
    with pytest.raises(BadPicture) as caught:
        load_picture(source)
    text = str(caught.value)
    assert "\x1b" not in text
    assert "{{function_node" not in text
    assert len(text) < 400
    return text


# Files


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_five_formats_are_read(kind: str, tmp_path: Path) -> None:
    data = encoded(GRADIENT, kind)
    path = tmp_path / "picture"  # by its content, not by its suffix
    path.write_bytes(data)
    pictures = [load_picture(s) for s in (data, bytearray(data), memoryview(data), path, str(path))]
    for picture in pictures:
        assert picture.dtype == np.float32
        assert picture.shape == (32, 48, 3)
        np.testing.assert_array_equal(picture, pictures[0])
        assert np.abs(picture * 255 - GRADIENT).mean() < (0.01 if kind in ("PNG", "BMP") else 8)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"\n <!DOCTYPE html><html></html>", "HTML"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"%!PS-Adobe-3.0 EPSF-3.0", "PostScript"),
        (b"hello, this is text", "hello"),
        (b"\x00\x1b[31m\x00", "begins with"),
        (b"", "0 bytes"),
    ],
)
def test_what_is_no_picture_is_refused_fast_and_names_what_is_accepted(data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "text.png"
    path.write_bytes(data)
    spent = []
    for _ in range(3):
        start = time.perf_counter()
        texts = [message(data), message(path)]
        spent.append(time.perf_counter() - start)
    assert min(spent) < 0.1  # two refusals of 50 ms
    for text in texts:
        assert says in text
        assert "PNG, JPEG, WEBP, GIF or BMP" in text


@pytest.mark.parametrize("kind", ["TIFF", "PPM", "TGA", "ICO", "PCX", "SGI", "EPS"])
def test_decoders_of_other_formats_are_not_reached(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(GRADIENT, kind)
    Image.init()

    def reached(*_: object) -> None:
        raise AssertionError(kind)

    monkeypatch.setitem(Image.OPEN, kind, (reached, None))
    assert "PNG, JPEG, WEBP, GIF or BMP" in message(data)


def test_tiffs_are_refused_and_as_images_their_numbers_are_taken_where_their_range_is_known() -> None:
    for values in (np.full((8, 8), 0.5, np.float32), np.full((8, 8), 70_000, np.int32)):
        assert "TIFF" in message(encoded(values, "TIFF"))
    half, large = (Image.open(io.BytesIO(encoded(v, "TIFF"))) for v in (np.full((8, 8), 0.5, "f4"), values))
    np.testing.assert_array_equal(load_picture(half), 0.5)
    assert "from 70000 to 70000" in message(large)


@pytest.mark.parametrize("missing", ["no/such.png", "", ".", "a\0b.png", "x" * 5000, "https://example.org/cat.png"])
def test_a_path_without_a_file_is_named(missing: str) -> None:
    assert repr(missing)[1:20] in message(missing)


def test_an_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(encoded(GRADIENT))

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "Permission denied" in message(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_half_a_file_is_damaged(kind: str) -> None:
    data = encoded(GRADIENT, kind)
    assert "the file is damaged" in message(data[: len(data) // 2])


def test_flipped_bits_of_a_png_s_pixels_are_found() -> None:
    data = encoded(GRADIENT)
    start = data.index(b"IDAT") + 4
    end = data.index(b"IEND") - 4  # the chunk's own checksum comes last
    for place in [*range(start, end, 7), end - 4, end - 1]:
        damaged = bytearray(data)
        damaged[place] ^= 4
        assert "the file is damaged" in message(bytes(damaged))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_300_damaged_files_give_a_picture_or_bad_picture(kind: str) -> None:
    data = encoded(GRADIENT, kind)
    chance = random.Random(kind)
    refused = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # and not one of Pillow's warnings either
        for attempt in range(300):
            damaged = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
            if attempt % 3 == 0:
                damaged = damaged[: chance.randrange(len(damaged))]
            try:
                picture = load_picture(bytes(damaged))
            except BadPicture:
                refused += 1
            else:
                assert picture.dtype == np.float32
                assert picture.shape[2] == 3
    assert 50 < refused <= 300


def test_a_pixel_bomb_is_refused_before_it_is_decoded() -> None:
    bomb = png(13_000, 13_000, 1, 0, (b"\0" * (1 + 13_000 // 8)) * 13_000)
    assert len(bomb) < 21_000
    process = psutil.Process()
    message(bomb)
    gc.collect()
    before = process.memory_info().rss
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = message(bomb)
    assert process.memory_info().rss - before < 10e6
    assert "13000 x 13000" in text
    assert "40 million" in text


def test_what_pillow_itself_calls_a_bomb_is_refused() -> None:
    assert "too large" in message(png(60_000, 60_000, 1, 0, b""))


def test_a_bomb_as_an_opened_image_is_refused_too() -> None:
    image = Image.open(io.BytesIO(png(8_000, 8_000, 1, 0, b"")))
    assert "40 million" in message(image)


def test_a_picture_just_within_the_limit_is_read() -> None:
    assert load_picture(Image.new("1", (40_000, 1_000))).shape == (1_000, 40_000, 3)


# Orientation, modes, alpha, bits


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_exif_orientation_is_followed(orientation: int, kind: str) -> None:
    upright = np.kron(np.array([[0, 80, 160], [240, 40, 120]], np.uint8), np.ones((16, 16), np.uint8))
    stored = {  # how a camera stores the upright picture
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: upright.T[::-1],
        7: upright.T[::-1, ::-1],
        8: upright.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored)).convert("RGB")
    picture = load_picture(encoded(image, kind, exif=exif, **({} if kind == "PNG" else {"quality": 100})))
    assert picture.shape == (32, 48, 3)
    assert np.abs(picture[..., 0] * 255 - upright).max() <= 2


def test_damaged_exif_leaves_the_picture_as_it_is_stored() -> None:
    data = encoded(GRADIENT, "PNG", exif=b"Exif\0\0II*\0\xff\xff\xff\xffnonsense")
    np.testing.assert_allclose(load_picture(data) * 255, GRADIENT, atol=0.01)


COLOR = (200, 100, 50)


@pytest.mark.parametrize(
    "mode", ["L", "LA", "La", "P", "PA", "1", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "HSV"]
)
def test_every_mode_becomes_rgb(mode: str) -> None:
    image = Image.new("RGB", (4, 4), COLOR)
    image = (
        image.convert("LA").convert("La")
        if mode == "La"
        else image.convert("RGBA").convert(mode)
        if mode == "RGBa"
        else image.convert(mode)
    )
    expected = {"L": 124, "LA": 124, "La": 124, "1": None}.get(mode, COLOR)
    picture = load_picture(image) * 255
    assert picture.shape == (4, 4, 3)
    if expected is not None:
        assert np.abs(picture - np.array(expected)).max() < (
            30 if mode in ("P", "PA") else 4
        )  # the web palette is coarse


def test_hidden_colors_do_not_shine_through_alpha() -> None:
    rgba = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    rgba.putpixel((1, 0), (0, 0, 0, 128))
    for source in (
        rgba,
        encoded(rgba),
        encoded(rgba, "WEBP", lossless=True, exact=True),
        np.asarray(rgba),
        np.asarray(rgba) / 255,
    ):
        picture = load_picture(source)
        np.testing.assert_allclose(picture[0, 0], 1, atol=1e-6)
        np.testing.assert_allclose(picture[0, 1], 1 - 128 / 255, atol=1e-6)


def test_transparent_palette_grey_and_color_become_white() -> None:
    palette = Image.new("P", (2, 1))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    palette.putpixel((1, 0), 1)
    for data in (
        encoded(palette, transparency=0),
        encoded(palette, transparency=bytes([0, 255])),
        encoded(palette, "GIF", transparency=0),
    ):
        np.testing.assert_allclose(load_picture(data)[0], [[1, 1, 1], [0, 0, 1]], atol=1e-6)
    grey = Image.fromarray(np.array([[10, 102]], np.uint8))
    np.testing.assert_allclose(load_picture(encoded(grey, transparency=10))[0, :, 0], [1, 0.4], atol=1e-6)
    color = Image.fromarray(np.array([[[9, 8, 7], [0, 255, 0]]], np.uint8))
    np.testing.assert_allclose(
        load_picture(encoded(color, transparency=(9, 8, 7)))[0], [[1, 1, 1], [0, 1, 0]], atol=1e-6
    )


def test_16_bits_are_kept() -> None:
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    for source in (encoded(levels), Image.fromarray(levels), Image.fromarray(levels.astype(">u2"))):
        np.testing.assert_allclose(load_picture(source)[..., 1], levels / 65535, atol=1e-6)


def test_16_bit_color_and_transparency_are_right() -> None:
    pixel = struct.pack(">HHH", 32000, 16000, 48000)
    color = load_picture(png(1, 1, 16, 2, b"\0" + pixel))
    np.testing.assert_allclose(color[0, 0], np.array([32000, 16000, 48000]) / 65535, atol=1e-6)
    grey_alpha = load_picture(png(1, 1, 16, 4, b"\0" + struct.pack(">HH", 32000, 0)))
    np.testing.assert_allclose(grey_alpha, 1)
    key = struct.pack(">I", 2) + b"tRNS" + struct.pack(">H", 700)
    key += struct.pack(">I", zlib.crc32(key[4:]))
    grey = load_picture(png(2, 1, 16, 0, b"\0" + struct.pack(">HH", 700, 701), extra=key))
    np.testing.assert_allclose(grey[0, :, 0], [1, 701 / 65535], atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "channels"), [(2, 3), (6, 4), (4, 2)], ids=["color", "color and alpha", "gray and alpha"]
)
def test_all_16_bits_of_a_color_are_kept(kind: int, channels: int) -> None:
    levels = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), np.uint16)
    data = png(7, 5, 16, kind, b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels))
    shares = levels / 65535
    color = shares[..., :3] if channels > 2 else shares[..., :1].repeat(3, -1)
    alpha = shares[..., -1:] if channels != 3 else 1
    for source in (data, Image.open(io.BytesIO(data))):
        np.testing.assert_allclose(load_picture(source), color * alpha + 1 - alpha, atol=2e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_of_16_bits_is_turned_as_one_of_8(orientation: int) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    note = b"eXIf" + exif.tobytes()[6:]
    chunk = struct.pack(">I", len(note) - 4) + note + struct.pack(">I", zlib.crc32(note))
    small = png(6, 4, 8, 2, b"".join(b"\0" + row.tobytes() for row in levels), extra=chunk)
    deep = (levels.astype(">u2") * 257).astype(">u2")
    large = png(6, 4, 16, 2, b"".join(b"\0" + row.tobytes() for row in deep), extra=chunk)
    np.testing.assert_allclose(load_picture(large), load_picture(small), atol=1e-6)
    assert orientation < 5 or load_picture(large).shape == (6, 4, 3)


# Animations and sizes


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_read_and_the_note_says_so(kind: str) -> None:
    red, blue = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    data = encoded(red, kind, save_all=True, append_images=[blue], duration=100)
    picture, note = read_picture(data)
    np.testing.assert_allclose(picture[0, 0], [1, 0, 0], atol=0.02)
    assert note == "animated: this is its first frame"
    assert read_picture(encoded(red, kind))[1] == ""


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)])
def test_odd_sizes_are_read(size: tuple[int, int]) -> None:
    assert load_picture(encoded(Image.new("RGB", size))).shape == (size[1], size[0], 3)


# Arrays


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "bool", "float16", "float32", "float64"])
def test_arrays_are_taken(shape: tuple[int, ...], dtype: str) -> None:
    values = np.ones(shape, dtype) if dtype != "uint8" else np.full(shape, 255, dtype)
    picture = load_picture(values)
    assert picture.dtype == np.float32
    assert picture.shape == (4, 6, 3)
    np.testing.assert_array_equal(picture, 1)


def test_grey_becomes_three_equal_channels_and_color_stays() -> None:
    values = np.random.default_rng(0).random((5, 7))
    np.testing.assert_array_equal(load_picture(values), np.repeat(values.astype(np.float32)[..., None], 3, -1))
    np.testing.assert_allclose(load_picture(GRADIENT), GRADIENT / np.float32(255))


def test_the_result_is_a_copy() -> None:
    mine = np.zeros((2, 2, 3), np.float32)
    load_picture(mine)[:] = 1
    assert mine.max() == 0


def test_rounding_errors_are_clipped() -> None:
    picture = load_picture(np.array([[-1e-6, 1 + 1e-6]]))
    assert (picture.min(), picture.max()) == (0, 1)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros(5),
        np.zeros((0, 0)),
        np.zeros((0, 5, 3)),
        np.zeros((2, 2, 2)),
        np.zeros((2, 2, 5)),
        np.zeros((2, 4, 4, 3)),
        np.zeros((4, 4), complex),
        np.zeros((4, 4), object),
        np.array([["a", "b"]]),
        np.array(0.5),
        None,
        True,
        3,
        object(),
        [],
    ],
)
def test_what_is_no_picture_array_names_what_is_expected(values: object) -> None:
    text = message(values)
    assert "[H, W, 3]" in text or "0 x 0" in text or "5 x 0" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused(bad: float) -> None:
    values = np.full((4, 4, 3), 0.5)
    values[1, 2, 0] = bad
    assert "NaN or infinity" in message(values)


@pytest.mark.parametrize("values", [np.array([[0.0, 255.0]]), np.array([[-1.0, 1.0]])])
def test_floats_out_of_range_are_refused_with_their_range(values: np.ndarray) -> None:
    text = message(values)
    assert f"from {values.min():.4g} to {values.max():.4g}" in text


def test_too_large_an_array_is_refused() -> None:
    assert "40 million" in message(np.broadcast_to(np.uint8(0), (8_000, 8_000)))


def test_objects_that_are_arrays_are_taken_and_their_failures_told() -> None:
    class Tensor:
        def __init__(self, values: np.ndarray | None) -> None:
            self.values = values

        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            if self.values is None:
                raise NotImplementedError("symbolic")
            return self.values

    assert load_picture(Tensor(GRADIENT)).shape == (32, 48, 3)
    assert "This Tensor cannot be read" in message(Tensor(None))


def test_a_damaged_image_that_someone_else_opened_is_refused() -> None:
    data = encoded(GRADIENT)
    assert "damaged" in message(Image.open(io.BytesIO(data[: len(data) // 2])))


def test_loading_leaves_the_warning_filters_and_pillow_alone() -> None:
    before = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    load_picture(encoded(GRADIENT))
    message(b"nothing")
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == before
