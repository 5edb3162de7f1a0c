"""PNG with settings, JPEG, GIF: what is decoded again is what was meant."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import load_picture, read_png_metadata, resize, to_gif, to_jpeg, to_png, to_still, to_uint8
from cnnwidgets.pictures.encode import LONGEST, MOST_BYTES

RNG = np.random.default_rng(0)
PICTURE = RNG.random((12, 20, 3)).astype(np.float32)
SETTINGS = {"layer": "fire5/<img src=x>\u202e\0é", "units": [1, 2], "size": 64, "decay": 0.1, "deep": {"x": None}}


def decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def test_png_is_exact() -> None:
    levels = to_uint8(PICTURE)
    for picture in (PICTURE, levels, levels[::1, ::1]):
        np.testing.assert_array_equal(np.asarray(decoded(to_png(picture))), levels)
    np.testing.assert_array_equal(to_uint8(load_picture(to_png(PICTURE))), levels)


def test_png_of_the_same_picture_is_the_same_bytes() -> None:
    assert to_png(PICTURE, SETTINGS) == to_png(PICTURE.copy(), dict(reversed(SETTINGS.items())))


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 1), (6, 5, 2), (6, 5, 7)])
def test_any_number_of_channels_can_be_encoded(shape: tuple[int, ...]) -> None:
    picture = RNG.random(shape)
    for data in (to_png(picture), to_jpeg(picture), to_gif([picture])):
        image = decoded(data)
        assert image.size == (5, 6)
    assert decoded(to_png(picture)).mode == "RGB"


@pytest.mark.parametrize("shape", [(5,), (0, 5, 3), (2, 5, 5, 3)])
def test_what_is_no_picture_cannot_be_encoded(shape: tuple[int, ...]) -> None:
    for encode in (to_png, to_jpeg, lambda p: to_gif([p])):
        with pytest.raises(BadPicture):
            encode(np.zeros(shape))


def test_metadata_comes_back(tmp_path: Path) -> None:
    data = to_png(PICTURE, SETTINGS)
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    for source in (data, path, str(path)):
        assert read_png_metadata(source) == SETTINGS
    assert list(decoded(data).info) == ["cnnwidgets"]


@pytest.mark.parametrize("metadata", [{"f": print}, {"x": float("nan")}, {"long": "x" * 2**18}])
def test_metadata_that_is_not_json_or_too_long_is_refused(metadata: dict[str, object]) -> None:
    with pytest.raises(BadTarget):
        to_png(PICTURE, metadata)


def with_text(text: str, key: str = "cnnwidgets", compressed: bool = False) -> bytes:
    info = PngInfo()
    info.add_text(key, text, zip=compressed)
    out = io.BytesIO()
    Image.new("RGB", (2, 2)).save(out, "PNG", pnginfo=info)
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        to_png(PICTURE),
        with_text("{}", key="comment"),
        with_text("not json"),
        with_text("[1, 2]"),
        with_text("[" * 100_000),
        with_text("1" * 10_000),
        with_text('{"x": "' + "x" * 2**18 + '"}'),
        with_text('{"x": "' + "x" * 5_000_000 + '"}', compressed=True),
        to_jpeg(PICTURE),
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"text",
    ],
    ids=range(12),
)
def test_png_without_sound_settings_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture) as caught:
        read_png_metadata(data)
    assert len(str(caught.value)) < 300


def test_of_a_file_that_is_no_png_the_message_says_what_it_is() -> None:
    with pytest.raises(BadPicture, match="this is JPEG. Give a PNG file."):
        read_png_metadata(to_jpeg(PICTURE))


def test_reading_metadata_decodes_no_pixels() -> None:
    damaged = bytearray(to_png(RNG.random((64, 64, 3)), SETTINGS))
    damaged[-200] ^= 1
    assert read_png_metadata(bytes(damaged)) == SETTINGS


def test_jpeg_is_close_and_small() -> None:
    y, x = np.mgrid[0:128, 0:128] / 128
    picture = np.stack([x, y, (x + y) / 2], -1)
    data = to_jpeg(picture)
    assert decoded(data).format == "JPEG"
    assert len(data) < len(to_jpeg(picture, quality=98))
    assert np.abs(load_picture(data) - picture).mean() < 0.01


def frames(count: int = 6, size: int = 48) -> list[np.ndarray]:
    y, x = np.mgrid[0:size, 0:size] / size
    return [np.stack([x * (k + 1) / count, y, np.full_like(x, k / count)], -1).astype(np.float32) for k in range(count)]


def played(data: bytes) -> tuple[list[np.ndarray], list[int]]:
    image, pictures, pauses = decoded(data), [], []
    for k in range(image.n_frames):
        image.seek(k)
        pictures.append(np.asarray(image.convert("RGB")) / 255)
        pauses.append(image.info["duration"])
    return pictures, pauses


def test_gif_plays_every_frame_endlessly_and_rests_on_the_last() -> None:
    data = to_gif((f for f in frames()), fps=10)
    pictures, pauses = played(data)
    assert decoded(data).info["loop"] == 0
    assert pauses == [100] * 5 + [1500]
    for picture, frame in zip(pictures, frames(), strict=True):
        assert np.abs(picture - frame).mean() < 0.03


def test_gif_mixes_colors_that_it_does_not_have() -> None:
    y, x = np.mgrid[0:96, 0:96] / 96
    frame = np.stack([x, y, 1 - x], -1)
    picture = played(to_gif([frame]))[0][0]
    from_afar = resize(picture, (12, 12)) - resize(frame, (12, 12))
    assert np.abs(from_afar).mean() < 0.0025  # without dithering 0.0032


def test_gif_of_growing_frames_has_the_last_one_s_size() -> None:
    pictures, _ = played(to_gif([frames(size=s)[0] for s in (16, 24, 48)]))
    assert [p.shape for p in pictures] == [(48, 48, 3)] * 3
    assert np.abs(pictures[0] - frames()[0]).mean() < 0.05


def test_gif_takes_bytes_and_grey() -> None:
    pictures, _ = played(to_gif([to_uint8(frames()[0]), frames()[1][..., 0]]))
    assert np.abs(pictures[1] - frames()[1][..., :1]).mean() < 0.02


def test_gif_of_nothing_is_refused() -> None:
    with pytest.raises(BadPicture, match="no frames"):
        to_gif([])


@pytest.mark.parametrize("fps", [0, -1, 51, float("nan")])
def test_gif_of_an_impossible_speed_is_refused(fps: float) -> None:
    with pytest.raises(BadTarget, match="frames a second"):
        to_gif(frames(), fps)


# The small picture that a saved notebook holds.


def opened(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("size", [(700, 900, 3), (2000, 300, 3), (512, 512, 1)])
def test_it_is_small_whatever_the_picture(size):
    noise = np.random.default_rng(0).random(size, dtype=np.float32)
    data = to_still(noise)
    assert data.startswith(b"\x89PNG") and len(data) <= MOST_BYTES
    height, width = opened(data).shape[:2]
    assert max(height, width) <= LONGEST and height / width == pytest.approx(size[0] / size[1], rel=0.02)


def test_a_picture_of_few_colors_keeps_every_pixel():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:20, 5:30] = (200, 30, 90)
    np.testing.assert_array_equal(opened(to_still(picture)), picture)
