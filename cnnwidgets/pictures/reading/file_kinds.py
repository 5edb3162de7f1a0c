"""Kinds of files, found by their first bytes, and advice for those that are not read here."""

from __future__ import annotations

import re
import struct
from typing import BinaryIO, NamedTuple

HEAD = 4096  # bytes that tell every kind below
WITH_PILLOW = "Open it with Pillow and give the image: PIL.Image.open(path)."
AS_ARRAY = "Read it with its own library and give an array of one picture."
EXPORT = "Export it as JPEG or PNG with the program that made it."
DOWNLOAD_AGAIN = "The download saved a page or a reference in place of the picture: download the picture itself."


class Kind(NamedTuple):
    """A kind of file.

    Attributes:
        name: as people call it.
        advice: a sentence about how to get a picture out of it, or "".
    """

    name: str
    advice: str = ""


RAW = "a raw camera file"
VIDEO = Kind("a video", "Save one of its frames as PNG or JPEG, or give it as an array.")
HEIC = Kind("HEIC (HEIF)", "Export it as JPEG or PNG, or read it with pillow_heif and give the PIL image.")
AVIF = Kind("AVIF", "Export it as JPEG or PNG, or open it with Pillow and give the image: PIL.Image.open(path).")
JPEG_2000 = Kind("JPEG 2000", WITH_PILLOW)
JPEG_XL = Kind("JPEG XL", EXPORT)
TIFF = Kind("TIFF", WITH_PILLOW)

# The five that are read have no advice: such a file is damaged.
BEGINNINGS: tuple[tuple[bytes, Kind], ...] = (
    (b"\x89PNG", Kind("PNG")),
    (b"\xff\xd8\xff\xf7", Kind("JPEG-LS", EXPORT)),
    (b"\xff\xd8", Kind("JPEG")),
    (b"GIF8", Kind("GIF")),
    (b"BM", Kind("BMP")),
    (b"\0\0\0\x0cjP  \r\n\x87\n", JPEG_2000),
    (b"\xff\x4f\xff\x51", JPEG_2000),
    (b"\0\0\0\x0cJXL \r\n\x87\n", JPEG_XL),
    (b"\xff\x0a", JPEG_XL),
    (b"8BPS", Kind("Photoshop (PSD)", EXPORT)),
    (b"gimp xcf", Kind("GIMP (XCF)", EXPORT)),
    (b"IIRO", Kind(f"{RAW} (Olympus ORF)", EXPORT)),
    (b"IIRS", Kind(f"{RAW} (Olympus ORF)", EXPORT)),
    (b"IIU\0", Kind(f"{RAW} (Panasonic RW2)", EXPORT)),
    (b"FUJIFILMCCD-RAW", Kind(f"{RAW} (Fujifilm RAF)", EXPORT)),
    (b"FOVb", Kind(f"{RAW} (Sigma X3F)", EXPORT)),
    (b"II+\0", Kind("BigTIFF", "Read it with tifffile and give an array of one picture.")),
    (b"MM\0+", Kind("BigTIFF", "Read it with tifffile and give an array of one picture.")),
    (b"%PDF", Kind("PDF", "Export the page as PNG.")),
    (b"%!PS", Kind("PostScript", "Export it as PNG.")),
    (b"\x1aE\xdf\xa3", VIDEO),
    (b"\0\0\1\xba", VIDEO),
    (b"\0\0\1\xb3", VIDEO),
    (b"FLV\1", VIDEO),
    (b"OggS", VIDEO),
    (b"0&\xb2u\x8ef\xcf\x11", VIDEO),
    (b"\0\0\1\0", Kind("an icon (ICO)", WITH_PILLOW)),
    (b"icns", Kind("an icon (ICNS)", WITH_PILLOW)),
    (b"qoif", Kind("QOI", WITH_PILLOW)),
    (b"DDS ", Kind("DDS", WITH_PILLOW)),
    (b"v/1\1", Kind("OpenEXR", AS_ARRAY)),
    (b"#?RADIANCE", Kind("Radiance HDR", AS_ARRAY)),
    (b"#?RGBE", Kind("Radiance HDR", AS_ARRAY)),
    (b"SIMPLE  =", Kind("FITS", "Read it with astropy and give an array of one picture, scaled to 0..1.")),
    (b"NRRD", Kind("NRRD", AS_ARRAY)),
    (b"ZISRAWFILE", Kind("CZI (Zeiss)", AS_ARRAY)),
    (b"MATLAB 5.0", Kind("MATLAB", "Read it with scipy.io.loadmat and give an array of one picture.")),
    (b"\x93NUMPY", Kind("numpy", "Give the array: numpy.load(path).")),
    (b"\x89HDF", Kind("HDF5", "Read it with h5py and give an array of one picture.")),
    (b"PK\3\4", Kind("a ZIP archive", "Unpack it and give one picture of it; from an .npz give an array.")),
    (b"PK\5\6", Kind("a ZIP archive", "It is an empty archive.")),
    (b"Rar!", Kind("a RAR archive", "Unpack it and give one picture of it.")),
    (b"7z\xbc\xaf", Kind("a 7-Zip archive", "Unpack it and give one picture of it.")),
    (b"\x1f\x8b", Kind("gzip", "Unpack it first; a .nii.gz is NIfTI: read it with nibabel and give one slice.")),
    (b"BZh", Kind("bzip2", "Unpack it and give one picture of it.")),
    (b"\xfd7zXZ", Kind("xz", "Unpack it and give one picture of it.")),
    (b"\xd0\xcf\x11\xe0", Kind("an Office document", EXPORT)),
    (b"PAR1", Kind("Parquet", "Give the bytes of one picture out of the table.")),
    (b"\x7fELF", Kind("a program")),
    (b"version https://git-lfs", Kind("a Git LFS pointer", "Fetch the picture that it stands for: git lfs pull.")),
    (b"/9j/", Kind("base64 text", "Give its bytes: base64.b64decode(text).")),
    (b"iVBORw0KGgo", Kind("base64 text", "Give its bytes: base64.b64decode(text).")),
    (b"data:image/", Kind("base64 text", "Give its bytes: base64.b64decode(text.partition(',')[2]).")),
)
BRANDS = (  # of ISO media files, the first that occurs counts
    ({b"avif", b"avis"}, AVIF),
    ({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"mif2", b"msf1"}, HEIC),
    ({b"crx "}, Kind(f"{RAW} (Canon CR3)", EXPORT)),
    ({b"jp2 ", b"jpx ", b"jph "}, JPEG_2000),
)
DNG_VERSION, BANDS, MAKE, RAW_NUMBERS = 0xC612, 0x0115, 0x010F, 0x014A  # tags of TIFF; the last one: SubIFDs
SHORT, MOST_TAGS = 3, 256


def kind_of(file: BinaryIO) -> Kind | None:
    """The kind of an open file by its content, or `None` where it is not known."""
    head = _read(file, 0, HEAD)
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(file, head)
    return _by_beginning(head)


def _by_beginning(head: bytes) -> Kind | None:
    if head[4:8] == b"ftyp":
        return _iso_media(head)
    if head[:4] == b"RIFF":
        return {b"WEBP": Kind("WEBP"), b"AVI ": VIDEO}.get(head[8:12], Kind("sound or video (RIFF)"))
    if head[128:132] == b"DICM":
        return Kind("DICOM", "Read it with pydicom and give ds.pixel_array, scaled to 0..1.")
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0"):
        return Kind("NIfTI", "Read it with nibabel and give one slice as an array, scaled to 0..1.")
    if head[257:262] == b"ustar":
        return Kind("a tar archive", "Unpack it and give one picture of it.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()  # a byte order mark of an editor
    if text[:1] == b"<":
        return _markup(text)
    if re.match(rb"P[1-7fF]\s", head):
        return Kind("PNM (PPM, PGM)", WITH_PILLOW)
    return next((kind for begins, kind in BEGINNINGS if head.startswith(begins) or text.startswith(begins)), None)


def _iso_media(head: bytes) -> Kind:
    length = min(struct.unpack(">I", head[:4])[0], 256)
    brands = {head[i : i + 4] for i in (8, *range(16, length - 3, 4))}
    return next((kind for names, kind in BRANDS if names & brands), VIDEO)


def _markup(text: bytes) -> Kind:
    text = text.lower()
    if b"<svg" in text:
        return Kind("SVG", "Export it as PNG.")
    if b"<!doctype html" in text or b"<html" in text or b"<head" in text or b"<body" in text:
        return Kind("a web page (HTML)", DOWNLOAD_AGAIN)
    return Kind("XML", DOWNLOAD_AGAIN)


def _tiff(file: BinaryIO, head: bytes) -> Kind:
    """TIFF by its first directory: the raw files of most cameras are TIFF too."""
    tags = _tags(file, head)
    if DNG_VERSION in tags:
        return Kind(f"{RAW} (DNG)", EXPORT)
    if head[8:10] == b"CR":
        return Kind(f"{RAW} (Canon CR2)", EXPORT)
    make = _read(file, tags[MAKE], 8).upper() if MAKE in tags else b""
    for maker, suffix in ((b"NIKON", "Nikon NEF"), (b"SONY", "Sony ARW"), (b"PENTAX", "Pentax PEF")):
        if make.startswith(maker) and RAW_NUMBERS in tags:
            return Kind(f"{RAW} ({suffix})", EXPORT)
    if tags.get(BANDS, 1) > 4:
        three = "Give three of them as an array, scaled to 0..1: tifffile.imread(path)[..., :3] / largest."
        return Kind(f"TIFF of {tags[BANDS]} bands", three)
    return TIFF


def _tags(file: BinaryIO, head: bytes) -> dict[int, int]:
    """The first directory of a TIFF: tag -> its number or offset."""
    order = "<" if head[:2] == b"II" else ">"
    try:
        start = struct.unpack_from(order + "I", head, 4)[0]
        entries = _read(file, start, 2 + 12 * MOST_TAGS)
        count = struct.unpack_from(order + "H", entries)[0]
        tags = {}
        for i in range(min(count, MOST_TAGS)):
            tag, kind = struct.unpack_from(order + "HH", entries, 2 + 12 * i)
            tags[tag] = struct.unpack_from(order + ("H" if kind == SHORT else "I"), entries, 10 + 12 * i)[0]
    except struct.error:  # cut short
        return {}
    return tags


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)
