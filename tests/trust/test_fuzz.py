"""Damaged and foreign files by the thousand: each gives a value or one of our errors, nothing else, and runs nothing.

More of them than a test has time for: `python -m tests.trust.test_fuzz 20000` tells how many were refused.
"""

from __future__ import annotations

import io
import json
import random
import sys
import tempfile
import time
import warnings
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.jobs.cache import decode, encode
from cnnwidgets.model.backend import keras
from cnnwidgets.model.safe_files.model_archive import read_content
from cnnwidgets.model.safe_files.model_file import load_model
from cnnwidgets.pictures import load_picture, to_png
from cnnwidgets.provenance.recipe import Recipe
from cnnwidgets.zoo.squeezenet import read_numpy_pickle
from cnnwidgets.zoo.torch_archive import read_torch_archive
from tests.model.safe_files import keras2
from tests.zoo.test_hostile_weights import NUMPY_FILE, torch_file

TELLING = [
    b"\0", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80", b"cos\nsystem\n", b"../", b"%n%n",
    b"IDAT", b"IEND", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04", b"[" * 2000, b"1e999", b"NaN", b"\xed\xa0\x80",
]  # fmt: skip


def mutated(chance: random.Random, data: bytes, others: list[bytes]) -> bytes:
    """The same bytes after one to six changes: bits, places, lengths, telling words, and parts of other files."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(changed) + 1)
        length = min(chance.choice([1, 1, 2, 4, 8, 64, 512]), len(changed) - place)
        way = chance.randrange(8)
        if way == 0 and place < len(changed):
            changed[place] ^= 1 << chance.randrange(8)
        elif way == 1:
            changed[place : place + length] = chance.randbytes(length)
        elif way == 2:
            del changed[place : place + length]
        elif way == 3:
            changed[place:place] = changed[place : place + length] * chance.choice([1, 2, 300])
        elif way == 4:
            word = chance.choice(TELLING)
            changed[place : place + chance.choice([0, len(word)])] = word
        elif way == 5:
            other = chance.choice(others)
            begin = chance.randrange(len(other))
            changed[place : place + length] = other[begin : begin + length]
        elif way == 6 and chance.random() < 0.3:
            del changed[place:]
        elif way == 7 and place + 4 <= len(changed):
            number = int.from_bytes(changed[place : place + 4], "little") + chance.choice([-1, 1, 255, 2**31])
            changed[place : place + 4] = (number % 2**32).to_bytes(4, "little")
        changed = changed or bytearray(b"\0")
    return bytes(changed)


# What is read, and from what sound files the mutations begin.


def pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (17, 23, 4), np.uint8)
    every = []
    for kind, mode in [("PNG", "RGBA"), ("PNG", "P"), ("PNG", "1"), ("JPEG", "RGB"), ("JPEG", "CMYK"), ("WEBP", "RGBA"),
                       ("GIF", "P"), ("BMP", "RGB"), ("BMP", "1")]:  # fmt: skip
        image, out = Image.fromarray(pixels).convert("RGB").convert(mode), io.BytesIO()
        more = {"save_all": True, "append_images": [image.rotate(90)]} if kind in ("GIF", "WEBP") else {}
        image.save(out, kind, **more)
        every.append(out.getvalue())
    return every


def recipe() -> Recipe:
    return Recipe("feature_maps", "squeezenet", 64 * "0", {"layers": ["conv1"], "call": 0}, {"keras": "3"}, "cpu")


def model() -> keras.Model:
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(2)]
    return keras.Sequential(layers, name="tiny")


def model_files() -> list[bytes]:
    made = []
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for suffix in (".keras", ".h5"):
            path = Path(folder) / f"model{suffix}"
            model().save(path)
            made.append(path.read_bytes())
    return made


def repacked(chance: random.Random, data: bytes) -> bytes:
    """A model file damaged inside: its entries mutated one by one, its checksums right again."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        parts = {name: old.read(name) for name in old.namelist()}
        hurt = chance.choice(list(parts))
        for name, part in parts.items():
            new.writestr(name, mutated(chance, part, list(parts.values())) if name == hurt else part)
    return out.getvalue()


def reconfigured(chance: random.Random, data: bytes) -> bytes:
    """A model file whose configuration is sound JSON, and says something else."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, json.dumps(twisted(chance, json.loads(part))) if name == "config.json" else part)
    return out.getvalue()


def twisted(chance: random.Random, value):
    """JSON with some of its values replaced, doubled, dropped or swapped."""
    odd = [None, -1, 0, 10**12, 1e300, "", "os.system", [], {}, True, "Lambda", "__lambda__", {"class_name": "Lambda"}]
    if chance.random() < 0.03:
        return chance.choice(odd)
    if isinstance(value, dict):
        return {key: twisted(chance, one) for key, one in value.items() if chance.random() > 0.01}
    if isinstance(value, list):
        kept = [twisted(chance, one) for one in value]
        return kept + kept[-1:] if chance.random() < 0.05 else kept
    return value


def old_files() -> list[bytes]:
    """As Keras 2 wrote them: a backbone in a model, with a scaling and a function of TensorFlow before it."""
    x, y = keras.Input((6, 6, 3)), keras.Input((6, 6, 3), name="picture")
    inner = keras.Model(x, keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(2, 3, name="conv")(x)))
    scaled = keras.layers.ReLU(name="f")(keras.layers.Rescaling(2.0, name="scale")(y))
    outer = keras.Model(y, keras.layers.Dense(2, name="out")(keras.layers.Flatten(name="flat")(inner(scaled))))

    def change(config):
        entry = next(one for one in config["config"]["layers"] if one["name"] == "f")
        entry.update(class_name="TFOpLambda", config={"name": "f", "function": "math.truediv"})
        entry["inbound_nodes"] = [["scale", 0, 0, {"y": 127.5, "name": None}]]

    with tempfile.TemporaryDirectory() as folder:
        return [keras2.write(outer, Path(folder) / "old.h5", change=change).read_bytes()]


def old_reconfigured(chance: random.Random, data: bytes) -> bytes:
    """A file of Keras 2 whose configuration, or whose lists of weights, say something else."""
    memory = io.BytesIO(data)
    with h5py.File(memory, "a") as hdf5:
        if chance.random() < 0.8:
            config = twisted(chance, json.loads(hdf5.attrs["model_config"]))
            hdf5.attrs["model_config"] = json.dumps(config)[:60_000]
        else:
            group = hdf5["model_weights"][chance.choice(list(hdf5["model_weights"]))]
            others = [b"", b"..", b"/model_weights", b"conv/kernel:0"]
            names = [name if isinstance(name, bytes) else name.encode() for name in group.attrs["weight_names"]]
            group.attrs["weight_names"] = np.array([chance.choice([name, *others]) for name in names], "S")
    return memory.getvalue()


def read_model(data: bytes) -> object:
    suffix = ".h5" if data[:4] == b"\x89HDF" else ".keras"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        return load_model(path)


def read_config_only(data: bytes) -> object:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        path.write_bytes(data)
        return read_content(path)


def plainly(chance: random.Random, data: bytes) -> bytes:
    return mutated(chance, data, SOUND)


READERS = {  # name -> what reads it, the sound files, how they are damaged, what a refusal is, how many in the test
    "pictures": (load_picture, pictures, plainly, cw.BadPicture, 1500),
    "numpy weights": (read_numpy_pickle, lambda: [NUMPY_FILE], plainly, cw.BadModel, 3000),
    "torch weights": (read_torch_archive, lambda: [torch_file()], plainly, cw.BadModel, 3000),
    "cache entries": (lambda data: decode(data, "key"), lambda: [encode("key", {"a": np.eye(3)}, {})], plainly,
                      ValueError, 3000),
    "recipes": (lambda data: Recipe.from_json(data.decode(errors="replace")), lambda: [recipe().to_json().encode()],
                plainly, cw.BadTarget, 3000),
    "recipes in a picture": (Recipe.from_png, lambda: [to_png(np.zeros((4, 4, 3), np.uint8), recipe().to_dict())],
                             plainly, (cw.BadPicture, cw.BadTarget), 1000),
    "model files": (read_model, model_files, plainly, cw.BadModel, 120),
    "repacked models": (read_model, lambda: model_files()[:1], repacked, cw.BadModel, 80),
    "configurations": (read_model, lambda: model_files()[:1], reconfigured, cw.BadModel, 80),
    "old models": (read_model, old_files, plainly, cw.BadModel, 60),
    "old configurations": (read_model, old_files, old_reconfigured, cw.BadModel, 100),
    "HDF5": (read_config_only, lambda: model_files()[1:], plainly, cw.BadModel, 300),
}  # fmt: skip
SOUND = [NUMPY_FILE, torch_file(), recipe().to_json().encode()]


def fuzzed(name: str, count: int, seed: int = 0) -> tuple[int, float]:
    """How many inputs were refused, and the longest that one took; anything but a value or a refusal is raised."""
    read, sound, damage, refusal, _ = READERS[name]
    chance, seeds = random.Random(f"{name} {seed}"), sound()
    refused, longest = 0, 0.0
    for number in range(count):
        data = damage(chance, seeds[number % len(seeds)])
        began = time.monotonic()
        try:
            read(data)
        except refusal as error:
            refused += 1
            assert "\x1b" not in str(error)
        except Exception as error:
            kept = Path(tempfile.gettempdir()) / "fuzzed-input"
            kept.write_bytes(data)
            raise AssertionError(f"{name}, input {number}: {error!r}; the input is kept as {kept}") from error
        longest = max(longest, time.monotonic() - began)
    return refused, longest


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("name", READERS)
def test_any_input_gives_a_value_or_a_refusal(name):
    count = READERS[name][-1]
    refused, _ = fuzzed(name, count)
    assert count // 4 < refused, "the inputs were hardly damaged, so nothing was checked"


def test_the_sound_files_are_read():
    for name, (read, sound, _, _, _) in READERS.items():
        for data in sound():
            assert read(data) is not None, name


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for reader in READERS if len(sys.argv) < 3 else sys.argv[2:]:
        many = int(sys.argv[1])
        print(reader, many, *fuzzed(reader, many, seed=1), flush=True)
