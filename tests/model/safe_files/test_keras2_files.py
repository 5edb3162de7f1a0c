"""Files of Keras 2 open with their weights where they belong, or are refused with a way out."""

import json
import time

import h5py
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras
from cnnwidgets.model.safe_files.model_file import load_model
from tests.model.safe_files.keras2 import lively, write

L = keras.layers


def backbone(name="backbone", frozen=""):
    x = keras.Input((12, 12, 3))
    y = L.Conv2D(4, 3, activation="relu", name="conv_a")(x)
    y = L.BatchNormalization(name="norm_a")(y)
    y = L.Conv2D(4, 3, name="conv_b")(y)
    model = keras.Model(x, L.BatchNormalization(name="norm_b")(y), name=name)
    for layer in model.layers:
        layer.trainable = frozen != "all" and layer.name not in frozen.split()
    return model


def head(y):
    return L.Dense(3, activation="softmax", name="scores")(L.GlobalAveragePooling2D(name="pool")(y))


def transfer(frozen=""):
    x = keras.Input((12, 12, 3), name="picture")
    return keras.Model(x, head(backbone(frozen=frozen)(L.Rescaling(2.0, name="scale")(x))), name="transfer")


def siamese():
    left, right, shared = keras.Input((12, 12, 3), name="left"), keras.Input((12, 12, 3), name="right"), backbone()
    return keras.Model([left, right], head(L.Subtract(name="difference")([shared(left), shared(right)])))


def sequential(frozen=""):
    pooling, scores = L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input((12, 12, 3)), backbone(frozen=frozen), pooling, scores])


def two_deep():
    x, inner = keras.Input((12, 12, 3)), keras.Input((12, 12, 3))
    middle = keras.Model(inner, L.Conv2D(3, 3, name="after")(backbone("deep")(inner)), name="middle")
    return keras.Model(x, head(middle(x)))


def ends_in_a_model():
    x = keras.Input((12, 12, 3))
    return keras.Model(x, backbone()(L.ReLU(name="first")(x)))


def teachable_machine():
    x = keras.Input((12, 12, 3))
    y = L.DepthwiseConv2D(3, use_bias=False, name="depthwise")(L.Conv2D(4, 3, use_bias=False, name="Conv1")(x))
    eye = keras.Sequential([keras.Input((12, 12, 3)), keras.Model(x, L.ReLU(6.0)(y)), L.GlobalAveragePooling2D()])
    mind = keras.Sequential([keras.Input((4,)), L.Dense(6, activation="relu"), L.Dense(2, activation="softmax")])
    return keras.Sequential([keras.Input((12, 12, 3)), eye, mind])


def u_net():
    x = keras.Input((12, 12, 3))
    y = L.Conv2D(4, 3, padding="same", name="down")(x)
    y = L.Concatenate(name="skip")([L.Conv2DTranspose(4, 2, strides=2, name="up")(L.MaxPooling2D(name="half")(y)), y])
    return keras.Model(x, L.SeparableConv2D(2, 3, activation="softmax", name="out")(L.LeakyReLU(name="leak")(y)))


MODELS = {
    "nested": transfer, "frozen": lambda: transfer("all"), "partly frozen": lambda: transfer("conv_a norm_a"),
    "frozen norms": lambda: transfer("norm_a norm_b"), "siamese": siamese, "sequential": sequential,
    "sequential, frozen": lambda: sequential("all"), "two deep": two_deep, "ends in a model": ends_in_a_model,
    "teachable machine": teachable_machine, "u-net": u_net,
}  # fmt: skip


def predicted(model):
    pictures = [np.random.default_rng(i).random((2, *x.shape[1:]), "f4") for i, x in enumerate(model.inputs)]
    return np.asarray(model(pictures if len(pictures) > 1 else pictures[0], training=False))


def refused(path):
    with pytest.raises(cw.BadModel) as refusal:
        load_model(path)
    message = str(refusal.value)
    assert "load_weights" in message and "\x1b" not in message and len(message) < 500
    return message


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("nameless", [False, True], ids=["weights by name", "weights by order"])
def test_the_weights_are_where_they_belong(tmp_path, name, nameless):
    model = lively(MODELS[name]())
    path = write(model, tmp_path / "old.h5")
    if nameless:  # as of layers that were renamed after they were made
        with h5py.File(path, "a") as hdf5:
            for group in hdf5["model_weights"].values():
                places = list(group.attrs["weight_names"])
                for number, place in enumerate(places):
                    group.move(place, f"w{number}")
                group.attrs["weight_names"] = [f"w{number}".encode() for number in range(len(places))]
    assert np.abs(predicted(load_model(path).model) - predicted(model)).max() < 1e-6


def test_what_was_changed_is_said(tmp_path):
    net = cw.Network.from_file(write(lively(teachable_machine()), tmp_path / "keras_model.h5"), "unit")
    assert net.file_note.startswith("Written by Keras 2.12.0") and "groups=1 of DepthwiseConv2D" in net.file_note
    keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3)]).save(tmp_path / "new.keras")
    assert cw.Network.from_file(tmp_path / "new.keras", "unit").file_note == ""


def test_slashes_in_names_become_other_characters(tmp_path):
    x = keras.Input((12, 12, 3))
    y = L.Conv2D(4, 3, name="conv1_conv_")(L.Conv2D(3, 1, name="conv1_conv")(x))
    model = lively(keras.Model(x, head(L.BatchNormalization(name="conv1_bn")(y))))
    names = {"conv1_conv_": "conv1/conv", "conv1_bn": "conv1/bn"}  # where the plain name is taken
    loaded, note = load_model(write(model, tmp_path / "densenet.h5", names))
    assert np.abs(predicted(loaded) - predicted(model)).max() < 1e-6 and "conv1/bn is conv1_bn" in note
    assert len({layer.name for layer in loaded.layers}) == len(model.layers)


FUNCTIONS = {  # what Keras 2 wrote for a function of TensorFlow, and what it computes
    "x / 127.5": ("math.truediv", {"y": 127.5}, lambda x: x / 127.5),
    "x - 1": ("math.subtract", {"y": 1.0}, lambda x: x - 1),
    "x + [1, 2, 3]": ("nn.bias_add", {"bias": [1.0, 2.0, 3.0], "data_format": "NHWC"}, lambda x: x + [1, 2, 3]),
    "BGR": ("__operators__.getitem",
            {"slice_spec": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}]},
            lambda x: x[..., ::-1]),
    "x + x": ("__operators__.add", {"y": ["picture", 0, 0]}, lambda x: x + x),
    "mean": ("math.reduce_mean", {"axis": [1, 2], "keepdims": True}, lambda x: x.mean((1, 2), keepdims=True)),
    "relu": ("nn.relu", {}, lambda x: np.maximum(x, 0)),
}  # fmt: skip


def of_functions(path, function, settings, kind="TFOpLambda", node=None):
    """A file with one function of TensorFlow after its input."""

    def change(config):
        layer = next(one for one in config["config"]["layers"] if one["name"] == "f")
        layer.update(class_name=kind, config={"name": "f", "trainable": True, "function": function})
        layer["inbound_nodes"] = [node or ["picture", 0, 0, {**settings, "name": None}]]

    x = keras.Input((4, 4, 3), name="picture")
    return write(keras.Model(x, L.ReLU(name="f")(x)), path, change=change)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_tensorflow_become_operations(tmp_path, name):
    function, settings, expected = FUNCTIONS[name]
    picture = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("f4")
    found = load_model(of_functions(tmp_path / "f.h5", function, settings)).model(picture)
    assert np.allclose(found, expected(picture), atol=1e-6)


def test_a_constant_may_come_first(tmp_path):
    node = ["_CONSTANT_VALUE", -1, 1.0, {"y": ["picture", 0, 0], "name": None}]
    picture = np.ones((1, 4, 4, 3), "f4") * 0.25
    assert np.allclose(load_model(of_functions(tmp_path / "f.h5", "math.subtract", {}, node=node)).model(picture), 0.75)


@pytest.mark.parametrize("function", ["io.read_file", "py_function", "numpy_function", "os.system", "__class__", ""])
def test_no_other_function_is_reached(tmp_path, function):
    assert function in refused(of_functions(tmp_path / "f.h5", function, {}))
    refused(of_functions(tmp_path / "g.h5", "nn.relu", {"unknown": 1}))


def one_layer(path, kind, **settings):
    def change(config):
        layer = next(one for one in config["config"]["layers"] if one["name"] == "f")
        layer.update(class_name=kind, config={"name": "f", "trainable": True, "dtype": "float32", **settings})

    x = keras.Input((4, 4, 3), name="picture")
    return write(keras.Model(x, L.ReLU(name="f")(x)), path, change=change)


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("Activation", {"activation": "hard_sigmoid"}, lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
        ("LeakyReLU", {"alpha": 0.25}, lambda x: np.where(x > 0, x, 0.25 * x)),
        ("ThresholdedReLU", {"theta": 0.5}, lambda x: np.where(x > 0.5, x, 0)),
        ("Activation", {"activation": {"class_name": "function", "config": "softplus"}}, lambda x: np.log1p(np.exp(x))),
        ("FixedDropout", {"rate": 0.2, "noise_shape": None, "seed": None}, lambda x: x),
        ("RandomFlip", {"mode": "horizontal", "seed": None, "rng_type": "stateful"}, lambda x: x),
        ("ReLU", {"dtype": {"class_name": "Policy", "config": {"name": "float32"}}}, lambda x: np.maximum(x, 0)),
    ],
)
def test_a_layer_that_changed_computes_what_it_did(tmp_path, kind, settings, expected):
    picture = np.random.default_rng(0).normal(0, 2, size=(2, 4, 4, 3)).astype("f4")
    loaded = load_model(one_layer(tmp_path / "f.h5", kind, **settings)).model
    assert np.allclose(loaded(picture, training=False), expected(picture), 1e-5)


def test_a_setting_that_would_change_the_result_is_refused(tmp_path):
    model = lively(teachable_machine())

    def change(value):
        if isinstance(value, dict):
            if value.get("class_name") == "DepthwiseConv2D":
                value["config"]["groups"] = 2
            for one in value.values():
                change(one)
        for one in value if isinstance(value, list) else ():
            change(one)

    assert "groups" in refused(write(model, tmp_path / "a.h5", change=change))
    assert "hard_sigmoid" in refused(one_layer(tmp_path / "b.h5", "Dense", units=2, activation="hard_sigmoid"))


def test_the_first_versions_wrote_a_list_and_no_input(tmp_path):
    model = lively(keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(2, 3), L.Flatten(), L.Dense(2)]))

    def change(config):
        first, *layers = config["config"]["layers"]
        layers[0]["config"]["batch_input_shape"] = first["config"]["batch_input_shape"]
        config["config"] = layers

    path = write(model, tmp_path / "old.h5", change=change, version="2.1.6")
    assert np.abs(predicted(load_model(path).model) - predicted(model)).max() < 1e-6


@pytest.mark.parametrize("place", [["pool", 0, 0], ["backbone", 9, 0], ["nowhere", 0, 0], ["backbone", -5, 0]])
def test_calls_that_lead_nowhere_are_refused_at_once(tmp_path, place):
    def change(config):
        layer = next(one for one in config["config"]["layers"] if one["name"] == "scale")
        layer["inbound_nodes"] = [[[*place, {}]]]

    path = write(lively(transfer()), tmp_path / "circle.h5", change=change)
    began = time.process_time()
    message = refused(path)
    assert time.process_time() - began < 1
    assert ("takes the output of 'nowhere', and the file has no such layer" in message) == (place[0] == "nowhere")


def test_weights_that_are_missing_or_too_many_are_refused(tmp_path):
    path = write(lively(transfer()), tmp_path / "old.h5")
    with h5py.File(path, "a") as hdf5:
        places = hdf5["model_weights/backbone"].attrs["weight_names"]
        hdf5["model_weights/backbone"].attrs["weight_names"] = places[:-1]
    assert "11 for the 12 of the layer 'backbone'" in refused(path)
    with h5py.File(path, "a") as hdf5:
        hdf5["model_weights"].attrs["layer_names"] = [b"scale", b"scores"]
    assert "there are none for the layer 'backbone'" in refused(path)


def test_byte_code_is_never_run_and_the_weights_are_named_as_the_way_out(tmp_path):
    path = one_layer(tmp_path / "facenet.h5", "Lambda", function=["4wAAAA==", None, None], function_type="lambda")
    assert "Lambda layer" in (message := refused(path)) and "load_weights('facenet.h5')" in message


def test_an_archive_of_keras_2_is_translated_too(tmp_path):
    import zipfile

    model = lively(transfer("all"))
    model.save(tmp_path / "new.keras")
    old = write(model, tmp_path / "old.h5")
    with h5py.File(old) as hdf5, zipfile.ZipFile(tmp_path / "new.keras") as new:
        config = json.loads(hdf5.attrs["model_config"])
        config["module"] = "tf_keras.src.engine.functional"
        config["compile_config"] = {"optimizer": "adam", "loss": {"module": "builtins", "config": "mine"}}
        weights = new.read("model.weights.h5")
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as made:
        made.writestr("config.json", json.dumps(config))
        made.writestr("metadata.json", json.dumps({"keras_version": "2.15.0"}))
        made.writestr("model.weights.h5", weights)
    loaded, note = load_model(tmp_path / "old.keras")
    assert np.abs(predicted(loaded) - predicted(model)).max() < 1e-6 and "Keras 2.15.0" in note
