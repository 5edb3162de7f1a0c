"""A model file is opened by what it holds, whatever its name; what cannot be opened is named for what it is."""

import json
import pickle
import shutil
import struct
import time
import zipfile

import h5py
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.safe_files.model_file import load_model

L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


def small():
    return keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Dense(2)])


@pytest.mark.parametrize("written", ["model.keras", "model.h5"])
@pytest.mark.parametrize("called", ["a.keras", "a.h5", "a.hdf5", "A.H5", "a.model", "a", "a.KERAS", "a.keras.zip"])
def test_the_content_counts_and_not_the_name(tmp_path, written, called):
    model = small()
    model.save(tmp_path / written)
    shutil.move(tmp_path / written, tmp_path / called)
    loaded, note = load_model(tmp_path / called)
    assert note == "" and all(np.array_equal(a, b) for a, b in zip(loaded.weights, model.weights, strict=True))
    assert [one.name for one in tmp_path.iterdir()] == [called], "nothing else was written there"


def refused(path):
    began = time.monotonic()
    with pytest.raises(cw.BadModel) as refusal:
        cw.Network.from_file(path)
    message = str(refusal.value)
    assert time.monotonic() - began < 1 and message.endswith(".") and "\n" not in message and len(message) < 500
    return message


TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03."
FILES = {  # name -> content, words of the refusal
    "m.tflite": (b"\x1c\0\0\0TFL3" + bytes(50), ["TensorFlow Lite", "Keras model"]),
    "renamed.h5": (b"\x1c\0\0\0TFL3" + bytes(50), ["TensorFlow Lite"]),
    "m.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x032.0", ["ONNX"]),
    "onnx.keras": (b"\x08\x08\x12\x07tf2onnx\x1a\x031.0", ["ONNX"]),
    "m.mlmodel": (b"\x08\x01\x12\x10\x0a\x05image", ["Core ML"]),
    "frozen.pb": (b"\x0a\x1b\x0a\x01x\x12\x0bPlaceholder", ["frozen graph"]),
    "m.pth": (TORCH, ["PyTorch", "set_weights"]),
    "m.safetensors": (struct.pack("<Q", 20) + b'{"a":{"dtype":"F32"}' + bytes(9), ["safetensors", "set_weights"]),
    "m.pkl": (pickle.dumps({"a": 1}), ["pickle", "never"]),
    "m.joblib": (b"x\x9c\x01\0", ["pickle"]),
    "lfs.h5": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", ["Git LFS", "git lfs pull"]),
    "page.h5": (b"\n<!DOCTYPE html><html><head>", ["web page", "Download"]),
    "denied.keras": (b'<?xml version="1.0"?><Error><Code>AccessDenied', ["web page"]),
    "m.json": (json.dumps({"class_name": "Sequential", "config": []}).encode(), ["architecture", "load_weights"]),
    "tfjs.json": (json.dumps({"format": "layers-model", "modelTopology": {}}).encode(), ["TensorFlow.js"]),
    "other.json": (b'{"a": 1}', ["JSON"]),
    "long.json": (b"[" * 100_000, ["JSON"]),
    "m.yaml": (b"backend: tensorflow\nclass_name: Sequential\n", ["architecture"]),
    "ck.data-00000-of-00001": (b"\x01\x02\x03\x04" * 9, ["checkpoint", "load_weights('ck')"]),
    "ck.index": (bytes(40) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb", ["checkpoint", "load_weights('ck')"]),
    "checkpoint": (b'model_checkpoint_path: "ck"\n', ["checkpoint"]),
    "m.h5.gz": (b"\x1f\x8b\x08\0" + bytes(20), ["gzip", "Unpack"]),
    "m.tar": (b"m.h5" + bytes(253) + b"ustar\0" + bytes(100), ["tar", "Unpack"]),
    "cat.png": (b"\x89PNG\r\n\x1a\n" + bytes(20), ["picture", "predict"]),
    "yolo.weights": (b"\0\0\0\0\2\0\0\0", ["Darknet"]),
    "random.h5": (bytes(range(128, 200)), ["not a Keras model"]),
    "empty.pt": (b"", ["is empty"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_kind_is_named_with_what_to_do(tmp_path, name):
    content, words = FILES[name]
    (tmp_path / name).write_bytes(content)
    told = refused(tmp_path / name)
    assert told.startswith(repr(name)) and all(word in told for word in words)


ARCHIVES = {
    "m.pt": (["archive/data.pkl", "archive/version"], "PyTorch"),
    "converted_keras.zip": (["keras_model.h5", "labels.txt"], "'keras_model.h5'"),
    "m.mlpackage.zip": (["m/Manifest.json", "m/Data/com.apple.CoreML/model.mlmodel"], "Core ML"),
    "a.npz": (["a.npy", "b.npy"], "NumPy"),
    "saved.zip": (["m/saved_model.pb", "m/variables/variables.index"], "SavedModel"),
    "inside.keras": (["m/config.json", "m/metadata.json", "m/model.weights.h5"], "inside a folder"),
    "other.zip": (["readme.txt"], "not a Keras model"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_of_another_kind_is_named(tmp_path, name):
    entries, words = ARCHIVES[name]
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        for entry in entries:
            archive.writestr(entry, b"0")
    assert words in refused(tmp_path / name)


def test_weights_alone_are_told_from_other_hdf5_files(tmp_path):
    small().save_weights(tmp_path / "a.weights.h5")
    shutil.copy(tmp_path / "a.weights.h5", tmp_path / "checkpoint-07.hdf5")
    with h5py.File(tmp_path / "of keras 2.h5", "w") as hdf5:
        hdf5.attrs["layer_names"] = [b"conv"]
    for name in ("a.weights.h5", "checkpoint-07.hdf5", "of keras 2.h5"):
        assert "holds weights and no model" in (told := refused(tmp_path / name)) and "load_weights" in told
    with h5py.File(tmp_path / "matlab.mat", "w") as hdf5:
        hdf5["x"] = np.zeros(3)
    assert "without a Keras model" in refused(tmp_path / "matlab.mat")


def test_folders_are_named(tmp_path):
    tf.saved_model.save(tf.Module(), str(tmp_path / "eye"))
    for path in (tmp_path / "eye", tmp_path / "eye" / "saved_model.pb"):
        assert "SavedModel" in (told := refused(path)) and "TFSMLayer('eye'" in told and "tf_keras" in told
    small().save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        archive.extractall(tmp_path / "unpacked")
    assert "was unpacked" in refused(tmp_path / "unpacked")
    assert "'m.keras' in it" in refused(tmp_path)
    (tmp_path / "ck.index").write_bytes(b"")
    assert "is a checkpoint" in refused(tmp_path / "ck")


@keras.saving.register_keras_serializable("tests")
class Mine(keras.losses.Loss):
    def call(self, y_true, y_pred):
        return y_pred


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_compiled_model_needs_nothing_of_its_training(tmp_path, nested, suffix):
    def dice(y_true, y_pred):
        return y_pred

    inner = small()
    inner.compile("adam", Mine(), metrics=[dice])
    x = keras.Input((8, 8, 3))
    model = keras.Model(x, inner(x)) if nested else inner
    model.save(path := tmp_path / f"m{suffix}")
    if suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        parts["config.json"] = parts["config.json"].replace(b"Mine", b"Lost")
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
    loaded = load_model(path).model
    assert not loaded.compiled and np.array_equal(loaded.weights[0], model.weights[0])
