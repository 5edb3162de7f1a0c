"""Arrays as tutorials make them: taken as the picture that is meant, or refused with the line of code that helps."""

from __future__ import annotations

import io

import ml_dtypes
import numpy as np
import pytest
from PIL import Image

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures import load_picture, read_bands, read_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
UNIT = (PICTURE / 255).astype(np.float32)
FIRST = np.moveaxis(UNIT, -1, 0)


def refusal(source: object) -> str:
    with pytest.raises(BadPicture) as caught:
        load_picture(source)
    assert len(str(caught.value)) < 400
    return str(caught.value)


@pytest.mark.parametrize(
    "source",
    [
        PICTURE[None],
        UNIT[None],
        UNIT[None, None],
        *(PICTURE.astype(kind) for kind in ("int16", "int32", "int64", "uint32")),
        PICTURE.astype(np.uint16) * 257,
        np.ma.masked_array(PICTURE),
    ],
)
def test_batches_of_one_and_integers_of_any_width_are_the_same_picture(source: np.ndarray) -> None:
    picture, note = read_picture(source)
    np.testing.assert_allclose(picture, UNIT, atol=1e-6)
    assert note == ""


class OfInterface:
    __array_interface__ = PICTURE.__array_interface__


class OfDLPack:
    def __dlpack__(self, **settings: object) -> object:
        return PICTURE.__dlpack__(**settings)

    def __dlpack_device__(self) -> tuple[int, int]:
        return PICTURE.__dlpack_device__()


@pytest.mark.parametrize("source", [OfInterface(), OfDLPack(), memoryview(PICTURE), memoryview(UNIT)])
def test_arrays_of_other_libraries_are_taken_by_what_they_share(source: object) -> None:
    np.testing.assert_allclose(load_picture(source), UNIT, atol=1e-6)
    np.testing.assert_allclose(read_bands(source, 3)[0], UNIT, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_is_taken(dtype: type) -> None:
    np.testing.assert_allclose(load_picture(UNIT.astype(dtype)), UNIT, atol=1 / 128)


@pytest.mark.parametrize("shape", [(1, 12, 10), (1, 1, 12, 10), (1, 12, 10, 1)])
def test_a_gray_batch_of_one_is_taken_wherever_its_channel_is(shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(load_picture(UNIT[..., 0].reshape(shape))[..., 2], UNIT[..., 0])


REMEDIES = [  # the name that a message uses, the array, the line it must hold
    ("picture", PICTURE.astype(np.float32), "picture / 255"),
    ("picture", UNIT * 4095, "picture / 4095"),
    ("picture", UNIT * 65535, "picture / 65535"),
    ("picture", UNIT * 1.05 - 0.02, "numpy.clip(picture, 0, 1)"),
    ("picture", UNIT * 3, "picture / picture.max()"),
    ("picture", UNIT * 2 - 1, "(picture + 1) / 2"),
    ("picture", PICTURE.astype(np.int32) * 16, "picture / 4095"),
    ("picture", (PICTURE.astype(np.int16) * 16) - 1024, "(numpy.float32(picture) + 1024) / 4095"),
    ("picture", (PICTURE.astype(np.int16) - 128).astype(np.int8), "(numpy.float32(picture) + 128) / 255"),
    ("picture", FIRST, "numpy.moveaxis(picture, 0, -1)"),
    ("picture", FIRST[None], "numpy.moveaxis(picture[0], 0, -1)"),
    ("pictures", np.stack([UNIT] * 4), "pictures[0]"),
    ("pictures", np.stack([FIRST] * 4), "numpy.moveaxis(pictures[0], 0, -1)"),
    ("pictures", np.zeros((50, 28, 28)), "pictures[0]"),
    ("pictures", np.zeros((2, 5, 24, 24, 3)), "pictures[0][0]"),
    ("picture", np.zeros(784), "picture.reshape(28, 28)"),
    ("picture", np.zeros((16, 16, 13)), "picture[..., :3]"),
    ("picture", np.zeros((16, 16, 2)), "picture[..., 0]"),
    ("picture", np.ma.masked_array(PICTURE, PICTURE > 200), "picture.filled(0)"),
    ("picture", PICTURE.tolist(), "numpy.array(picture, 'uint8')"),
    ("picture", (UNIT, 3), "picture[0]"),
    ("picture", {"image": UNIT, "label": 3}, "picture['image']"),
]


@pytest.mark.parametrize(("name", "source", "line"), REMEDIES)
def test_a_refused_array_comes_with_the_line_that_makes_it_a_picture(name: str, source: object, line: str) -> None:
    text = refusal(source)
    assert line in text
    assert "astype" not in text
    made = eval(line, {"numpy": np, name: source})  # noqa: S307  # the line that a reader would copy
    picture = load_picture(made)
    assert picture.ndim == 3
    assert picture.max() <= 1


def test_preprocessed_arrays_are_sent_back_to_the_picture() -> None:
    levels = PICTURE.astype(np.float32)
    caffe = levels[..., ::-1] - np.float32([103.939, 116.779, 123.68])
    torch = (levels / 255 - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    for values in (caffe, torch, levels / 127.5 - 1):
        text = refusal(values)
        assert "preprocess_input" in text
        assert "negative" in text
        assert "uint8" not in text


def test_tensors_that_hold_no_numbers_say_how_to_get_them() -> None:
    class Torch:
        def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")

        def detach(self) -> Torch:
            return self

    assert "picture.detach().cpu().float().numpy()" in refusal(Torch())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (io.BytesIO(b"x"), "picture.read()"),
        (iter([UNIT]), "next(iter(pictures))[0]"),
        (np.array(["a.png"]), "'a.png'"),
        (np.array([b"a.png"], object), "b'a.png'"),
        ("https://example.org/cat.jpg", "keras.utils.get_file(origin=url)"),
        ("s3://bucket/cat.jpg", "Download it first"),
        ("file:///tmp/cat.jpg", "without 'file://'"),
        ("data:image/png;base64,AAAA", "base64.b64decode"),
        ("", "is empty"),
    ],
)
def test_what_people_take_for_a_picture_is_named(source: object, words: str) -> None:
    assert words in refusal(source)


# Dark pictures


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_few_bits_in_sixteen_are_dark_and_the_note_says_so(bits: int) -> None:
    levels = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    out = io.BytesIO()
    Image.fromarray(levels).save(out, "PNG")
    for source in (levels, out.getvalue(), Image.fromarray(levels)):
        picture, note = read_picture(source)
        np.testing.assert_allclose(picture[..., 0], levels / 65535, atol=1e-6)
        assert note.startswith("dark: ")
        assert f"{bits}-bit numbers" in note
        assert "picture / picture.max()" in note


def test_ordinary_and_black_pictures_have_no_note() -> None:
    for source in (PICTURE, UNIT, np.zeros((4, 4), np.uint8), np.full((4, 4), 40_000, np.uint16), UNIT / 2):
        assert read_picture(source)[1] == ""


def test_floats_that_were_divided_twice_are_dark() -> None:
    assert read_picture(UNIT / 255)[1].startswith("dark: ")


# Pictures of many channels


@pytest.mark.parametrize("channels", [2, 5, 13])
def test_bands_are_read_as_they_are(channels: int) -> None:
    bands = np.random.default_rng(0).random((6, 7, channels))
    for source in (bands, bands[None]):
        np.testing.assert_allclose(read_bands(source, channels)[0], bands, atol=1e-6)
    assert read_bands(PICTURE, channels)[0].shape == (12, 10, 3)
    with pytest.raises(BadPicture, match=r"numpy\.moveaxis\(picture, 0, -1\)"):
        read_bands(np.zeros((channels, 32, 32)), channels)
