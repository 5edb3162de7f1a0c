"""Files of telephones, cameras, scanners and downloads: opened, or named with what to do instead."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnwidgets.errors import BadPicture
from cnnwidgets.pictures import free_path, load_picture, read_picture, read_png_metadata, to_png, write_file
from cnnwidgets.pictures.reading.folders import many_pictures


def refusal(data: bytes) -> str:
    with pytest.raises(BadPicture) as caught:
        load_picture(data)
    text = str(caught.value)
    assert text.endswith("Give a PNG, JPEG, WEBP, GIF or BMP file.")
    assert len(text) < 300
    return text


def media(brand: bytes, *others: bytes) -> bytes:
    content = b"ftyp" + brand + bytes(4) + b"".join(others)
    return struct.pack(">I", 4 + len(content)) + content + bytes(300)


def tiff(*tags: tuple[int, int, int], order: str = "<", after: bytes = b"", start: int = 8) -> bytes:
    """A TIFF without pixels: tags as (number, kind, value), their directory at `start`."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", start)
    entries = struct.pack(order + "H", len(tags))
    for tag, kind, value in tags:
        entries += struct.pack(order + ("HHIHH" if kind == 3 else "HHII"), tag, kind, 1, value, *[0] * (kind == 3))
    return (head + after).ljust(start, b"\0") + entries


KINDS = {
    "HEIC": media(b"heic", b"mif1"),
    "HEIC of a mark": media(b"mif1", b"heic"),
    "HEIC of ten bits": media(b"heix"),
    "AVIF": media(b"avif", b"mif1"),
    "AVIF of a mark": media(b"mif1", b"avif"),
    "Canon CR3": media(b"crx ", b"isom"),
    "video": media(b"isom", b"mp42"),
    "video of QuickTime": media(b"qt  "),
    "video in WebM": b"\x1aE\xdf\xa3" + bytes(40),
    "video in AVI": b"RIFF\0\0\0\0AVI LIST",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "JPEG XL": b"\xff\x0a" + bytes(40),
    "JPEG XL in a box": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40),
    "PSD": b"8BPS\0\1",
    "DICOM": bytes(128) + b"DICM",
    "NIfTI": struct.pack("<I", 348) + bytes(340) + b"n+1\0",
    "gzip": b"\x1f\x8b\x08",
    "TIFF": tiff((0x0115, 3, 3)),
    "TIFF of 13 bands": tiff((0x0115, 3, 13)),
    "TIFF of 4095 bands": tiff((0x0115, 3, 4095), order=">", start=9000),
    "DNG": tiff((0xC612, 1, 0x0401)),
    "Canon CR2": tiff((0x0115, 3, 3), after=b"CR\2\0", start=16),
    "Nikon NEF": tiff((0x010F, 2, 8), (0x014A, 4, 99), after=b"NIKON\0", start=16),
    "Fujifilm RAF": b"FUJIFILMCCD-RAW 0201",
    "SVG": b"<?xml version='1.0'?><!-- drawn --><svg xmlns='http://www.w3.org/2000/svg'/>",
    "HTML": b"\xef\xbb\xbf\n<!DOCTYPE html><html>404</html>",
    "XML": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "base64": b"iVBORw0KGgoAAAANSUhEUg",
    "PDF": b"%PDF-1.7",
    "ZIP": b"PK\3\4" + bytes(40),
    "numpy": b"\x93NUMPY",
    "PNM": b"P6\n2 2\n255\n" + bytes(12),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_named_by_its_content(kind: str) -> None:
    name = kind.partition(" of a")[0].partition(" in ")[0].partition(" of ten")[0].partition(" of Quick")[0]
    text = refusal(KINDS[kind])
    assert f"{name}" in text
    assert "begins with" not in text


def test_a_damaged_directory_of_a_tiff_is_still_a_tiff() -> None:
    data = tiff((0x0115, 3, 13))
    for length in range(8, len(data)):
        assert "TIFF" in refusal(data[:length])
    assert "TIFF" in refusal(data[:4] + b"\xff\xff\xff\xff" + data[8:])


def jpeg(width: int, height: int, **options: object) -> bytes:
    out = io.BytesIO()
    quarters = Image.fromarray(np.uint8([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [220, 220, 220]]]))
    quarters.resize((width, height), Image.Resampling.NEAREST).save(out, "JPEG", quality=50, **options)
    return out.getvalue()


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    return exif


@pytest.mark.parametrize(
    ("size", "options", "read", "first"),
    [
        ((8064, 6048), {}, (3024, 4032), [200, 40, 40]),
        ((8064, 6048), {"exif": turned(), "progressive": True}, (4032, 3024), [40, 40, 200]),
        ((24_000, 2_000), {}, (1_000, 12_000), [200, 40, 40]),
    ],
)
def test_large_photographs_are_read_smaller_and_the_note_says_so(size, options, read, first) -> None:
    data = jpeg(*size, **options)
    for source in (data, Image.open(io.BytesIO(data))):
        picture, note = read_picture(source)
        assert picture.shape[:2] == read
        np.testing.assert_allclose(picture[20, 20] * 255, first, atol=6)
        assert note.startswith(f"smaller: this photograph of {size[0]} x {size[1]} pixels")


def test_a_large_photograph_that_is_in_memory_is_reduced() -> None:
    picture, note = read_picture(Image.new("RGB", (9_000, 5_000), "red"))
    assert picture.shape == (2_500, 4_500, 3)
    assert note.startswith("smaller: ")


def test_a_jpeg_of_a_billion_pixels_is_refused_before_it_is_decoded() -> None:
    data = bytearray(jpeg(64, 64))
    at = data.index(b"\xff\xc0") + 5  # height and width in the frame header
    data[at : at + 4] = struct.pack(">HH", 40_000, 40_000)
    with pytest.raises(BadPicture, match="40000 x 40000 pixels is too large"):
        load_picture(bytes(data))


def test_200_megapixels_take_bounded_memory() -> None:
    code = (
        "import resource, sys; from cnnwidgets.pictures import load_picture\n"
        "size = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "data = sys.stdin.buffer.read(); before = size(); load_picture(data); print(size() - before)"
    )
    grown = subprocess.run([sys.executable, "-c", code], input=jpeg(16_320, 12_240), capture_output=True, check=True)
    assert int(grown.stdout) < 400  # megabytes; 200 million pixels as floats are 2,400


# "~"


def test_home_is_the_home_folder_for_reading_and_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(work)
    data = to_png(np.full((4, 4, 3), 200, np.uint8), {"size": 4})
    assert write_file("~/cat.png", data) == home / "cat.png"
    assert free_path("~", "cat", ".png") == home / "cat-1.png"
    for path in ("~/cat.png", Path("~/cat.png")):
        np.testing.assert_allclose(load_picture(path), 200 / 255)
        assert read_png_metadata(path) == {"size": 4}
    assert list(work.iterdir()) == []
    (work / "~backup.png").write_bytes(data)  # the home of nobody
    assert load_picture("~backup.png").shape == (4, 4, 3)


# The pictures of a folder, or of a list.


def test_files_of_a_folder_and_its_subfolders_are_sorted_and_hidden_ones_left_out(tmp_path):
    for name in ("b.png", "a/z.jpg", ".DS_Store", ".git/x.png", "a/.y.png"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"x")
    found = many_pictures(str(tmp_path))
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a/z.jpg", "b.png"]
    assert many_pictures(tmp_path) == found


@pytest.mark.parametrize("given", [["a.png", "b.png"], ("a.png",), np.zeros((2, 4, 5, 3))])
def test_lists_and_arrays_stay_as_they_are(given):
    assert many_pictures(given) is given


def test_a_generator_is_a_list():
    assert many_pictures(name for name in ("a.png", "b.png")) == ["a.png", "b.png"]


@pytest.mark.parametrize("given", ["", "no/such/folder", "nul\0name", 3, None, b"x", {"a": 1}, np.zeros((4, 5, 3)), []])
def test_anything_else_is_refused(given):
    with pytest.raises(BadPicture):
        many_pictures(given)
