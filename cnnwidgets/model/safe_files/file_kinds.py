"""Kinds of model files by their content, and what to do with those that are not opened here."""

from __future__ import annotations

import json
import re
from pathlib import Path

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.safe_files.model_claims import AGAIN

ARCHIVE, HDF5 = "archive", "HDF5"
MAGIC = {b"PK\x03\x04": ARCHIVE, b"\x89HDF\r\n\x1a\n": HDF5}
GIVE = "Give a .keras or .h5 file with a whole model, as model.save writes it"

_HEAD = 4096  # bytes that are looked at
_MAX_JSON = 16_000_000
_CONVERT = "Give the Keras model that it was converted from, or build that model in Python and give it to cw.Network"
_BUILD = "Build the model in Python, copy the arrays into it with layer.set_weights, and give it to cw.Network"
_FETCH = "Download the file itself, not the page about it"
_PICTURE = "Give a picture to net.predict or cw.load_picture, and here a .keras or .h5 file"
_UNPACK = "Unpack it, and give the .keras or .h5 file in it"


def _load(name: str) -> str:
    """What can be done with weights alone."""
    return (
        f"Build the model in Python, call its load_weights({quoted(name) if name else ''}), and give it to cw.Network"
    )


_BEGINNINGS = (  # what a file begins with, what it is, what to do
    (b"version https://git-lfs", "a Git LFS pointer, a few lines that stand for the model",
     "Run git lfs pull in its repository, or download the file itself"),
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19", "a PyTorch file", _BUILD),
    (b"\x93NUMPY", "an array of NumPy", _BUILD),
    (b"GGUF", "a GGUF file", _BUILD),
    (b"\x1f\x8b", "compressed by gzip", _UNPACK),
    (b"BZh", "compressed by bzip2", _UNPACK),
    (b"\xfd7zXZ\0", "compressed by xz", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!", "a RAR archive", _UNPACK),
    (b"\x89PNG", "a picture", _PICTURE),
    (b"\xff\xd8\xff", "a picture", _PICTURE),
    (b"%PDF", "a PDF document", GIVE),
    (b"model_checkpoint_path:", "the list of a folder's checkpoints, which hold weights and no model",
     _load("")),
)  # fmt: skip
_ENDINGS = (  # the ending of a name if the content does not decide, what the file is, what to do
    (r"\.onnx$", "an ONNX model", _CONVERT),
    (r"\.mlmodel$", "a Core ML model", _CONVERT),
    (r"\.tflite$", "a TensorFlow Lite model", _CONVERT),
    (r"\.(pt|pth|ckpt|bin)$", "not a file of Keras, perhaps one of PyTorch", _BUILD),
    (r"\.(pkl|pickle|joblib)$", "a pickle, which is never opened, since that would execute what it says",
     "Open it yourself if you trust it, and give the model in it to cw.Network"),
    (r"\.caffemodel$", "a Caffe model", _BUILD),
    (r"\.weights$", "a file of weights of Darknet", _BUILD),
    (r"\.ya?ml$", "an architecture without weights",
     _load("")),
)  # fmt: skip


def kind_of(file: Path) -> str:
    """ARCHIVE or HDF5, by the first bytes of a file."""
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
    if not head:
        raise BadModel(f"{quoted(file.name)} is empty. {AGAIN}.")
    for magic, kind in MAGIC.items():
        if head[: len(magic)] == magic[: len(head)]:
            return kind
    if head.startswith(b"\x08\x01\x12") and file.suffix == ".pb":  # version 1 of a SavedModel's graph
        raise BadModel(saved_model(file.absolute().parent))
    what, remedy = _described(file, head)
    raise BadModel(f"{quoted(file.name)} is {what}. {remedy}.")


def about_folder(folder: Path) -> str:
    """Why a folder is not a model file, and what to do."""
    if (folder / "saved_model.pb").exists() or (folder / "saved_model.pbtxt").exists():
        return saved_model(folder)
    if (folder / "config.json").exists() and (folder / "model.weights.h5").exists():
        return (
            f"{quoted(folder.name)} is a .keras file that was unpacked. Give the .keras file, or pack the three files "
            "of this folder into a zip archive again, without the folder, and give that."
        )
    inside = sorted(one.name for one in folder.iterdir() if one.suffix.lower() in (".keras", ".h5", ".hdf5"))
    if inside:
        more = f", or another of its {len(inside)} model files" if len(inside) > 1 else ""
        return f"{quoted(folder.name)} is a folder. Give the path of {quoted(inside[0])} in it{more}."
    if any(folder.glob("*.index")):
        return f"{quoted(folder.name)} is a folder of checkpoints, which hold weights and no model. {_load('')}."
    return f"{quoted(folder.name)} is a folder. Give the path of a .keras or .h5 file."


def saved_model(folder: Path) -> str:
    """What can be done with a SavedModel."""
    name = quoted(folder.name)
    return (
        f"{name} is a SavedModel folder, of which Keras 3 cannot make a model again. For predictions and attribution, "
        f"wrap it: keras.Sequential([keras.Input((224, 224, 3)), keras.layers.TFSMLayer({name}, "
        f"call_endpoint='serving_default')]). For its inner layers, install tf_keras, call "
        f"tf_keras.models.load_model({name}).save('model.h5'), and give that file."
    )


def about_archive(file: Path, names: list[str]) -> str:
    """Why a zip archive is not a `.keras` file, and what to do."""
    name = quoted(file.name)
    inside = next((one for one in names if one.lower().endswith((".keras", ".h5", ".hdf5"))), None)
    if any(one.endswith("data.pkl") for one in names):
        return f"{name} is a PyTorch file. {_BUILD}."
    if any(one.endswith("saved_model.pb") for one in names):
        return f"{name} is a zip archive of a SavedModel. Unpack it, and give its folder for what to do then."
    if any("com.apple.CoreML" in one for one in names):
        return f"{name} is a Core ML model. {_CONVERT}."
    if names and all(one.endswith(".npy") for one in names):
        return f"{name} is an archive of NumPy arrays. {_BUILD}."
    if any(one.endswith("config.json") for one in names) and inside and inside.endswith("model.weights.h5"):
        return (
            f"{name} is an archive with a Keras model inside a folder. Pack its files again without the folder, or "
            "download it again."
        )
    if inside:
        return f"{name} is an archive, and not a Keras model itself. Unpack it, and give {quoted(inside)} in it."
    return f"{name} is an archive, and not a Keras model. {GIVE}."


def _described(file: Path, head: bytes) -> tuple[str, str]:
    for begin, what, remedy in _BEGINNINGS:
        if head.startswith(begin):
            return what, remedy
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")) or b"<html" in text[:1000]:
        return "a web page that was saved in place of the model", _FETCH
    if text.startswith((b"{", b"[")):
        return _json(file)
    return _binary(file, head)


def _json(file: Path) -> tuple[str, str]:
    loaded: object = None
    if file.stat().st_size <= _MAX_JSON:
        try:
            loaded = json.loads(file.read_bytes())
        except (ValueError, RecursionError):
            loaded = None
    if isinstance(loaded, dict) and ("modelTopology" in loaded or "weightsManifest" in loaded):
        return "a model of TensorFlow.js", _CONVERT
    if isinstance(loaded, dict) and "class_name" in loaded:
        return (
            "the architecture of a model, without its weights",
            "Build the model in Python (keras.models.model_from_json), call its load_weights with the file of the "
            "weights, and give it to cw.Network",
        )
    return "a JSON text, and not a model", GIVE


def _binary(file: Path, head: bytes) -> tuple[str, str]:
    size = file.stat().st_size
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model", _CONVERT
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < size and b'"' in head[9:]:
        return "a file of safetensors, which holds weights and no model", _BUILD
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    if re.search(r"\.data-\d+-of-\d+$", file.name) or _ends_as_table(file, size):
        return "a part of a checkpoint, which holds weights and no model", _load(_prefix(file.name))
    if re.match(rb"\x08[\x02-\x20](\x12[\x01-\x40][ -~]+|[\x3a\x42])", head) and file.suffix.lower() != ".mlmodel":
        return "an ONNX model", _CONVERT
    for ending, what, remedy in _ENDINGS:
        if re.search(ending, file.name, re.IGNORECASE):
            return what, remedy
    if re.match(rb"\x0a.{1,3}\x0a", head, re.DOTALL) or file.suffix.lower() == ".pb":
        return (
            "a frozen graph of TensorFlow, of which Keras cannot make a model",
            _CONVERT,
        )
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        return _ENDINGS[4][1:]
    return "not a Keras model, whatever its name says", GIVE


def _ends_as_table(file: Path, size: int) -> bool:
    """Whether it ends like the index of a checkpoint of TensorFlow."""
    with file.open("rb") as stream:
        stream.seek(max(0, size - 8))
        return stream.read() == b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"


def _prefix(name: str) -> str:
    return re.sub(r"\.(index|data-\d+-of-\d+)$", "", name)


def about_missing(file: Path) -> str:
    """The message for a path without a file; a checkpoint is often named by the common part of its files."""
    folder = quoted(str(file.parent.absolute()))
    if file.with_name(file.name + ".index").exists():
        return f"{quoted(file.name)} is a checkpoint, which holds weights and no model. {_load(file.name)}."
    return f"There is no file {quoted(file.name)} in {folder}. Give the path of a .keras or .h5 file."
