"""Model files of other people: the sound ones are loaded as they were saved, each hostile one is refused."""

from __future__ import annotations

import io
import itertools
import json
import random
import resource
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.safe_files.model_file import load_model

L = keras.layers
pytestmark = pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")


@keras.saving.register_keras_serializable("tests")
class Doubled(keras.Layer):
    """A layer of the user's own."""

    def call(self, x):
        return x * 2


def with_layers(*layers):
    return keras.Sequential([keras.Input((16, 16, 3)), *layers, L.GlobalAveragePooling2D(), L.Dense(2)])


@pytest.fixture
def saved(build, tmp_path):
    """`saved("model.keras")` is the path of a small model, saved."""

    def save(name="model.keras", model=None):
        path = tmp_path / name
        (model or build("plain")).save(path)
        return path

    return save


def changed(path: Path, config=None, weights=None, more=()):
    """The same archive with another configuration (a function of it) or other weights, and with more entries."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    if config is not None:
        made = config(json.loads(parts["config.json"]))
        parts["config.json"] = made if isinstance(made, str) else json.dumps(made)
    if weights is not None:
        parts["model.weights.h5"] = weights
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in [*parts.items(), *more]:
            archive.writestr(name, data)
    return path


def refused(path):
    with pytest.raises(cw.BadModel) as refusal:
        cw.Network.from_file(path)
    message = str(refusal.value)
    assert ". " in message and message.endswith(".") and "\n" not in message and len(message) < 500, "two sentences"
    assert "\x1b" not in message and "{{" not in message
    return message


# What is sound.


KINDS = ["plain", "sequential", "siamese", "twice", "inputs_as_dict", "channels_first", "with_state"]


@pytest.mark.parametrize(
    ("name", "suffix"),
    [*itertools.product(KINDS, [".keras", ".h5"]), ("nested", ".keras")],  # .h5 cannot hold two weights of one name
)
def test_a_loaded_model_is_the_saved_one(build, saved, name, suffix):
    model = build(name)
    loaded = load_model(saved("model" + suffix, model)).model
    assert [w.numpy().tobytes() for w in loaded.weights] == [w.numpy().tobytes() for w in model.weights]
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in model.layers]


def test_a_network_from_a_file_predicts_what_the_model_did(build, saved, noise):
    net = cw.Network.from_file(saved(), preprocess="unit", class_names=list("abcde"))
    picture = noise(24, 24, 3)
    assert net.predict(picture) == cw.Network(build("plain"), "unit", list("abcde")).predict(picture)
    assert net.name == "plain"


def test_names_that_do_not_fit_are_refused(saved):
    with pytest.raises(cw.BadTarget, match="class_names must have 5 names, .* got 2"):
        cw.Network.from_file(saved(), class_names=["a", "b"])


def test_a_registered_layer_of_ones_own_is_loaded(saved):
    assert isinstance(load_model(saved(model=with_layers(Doubled()))).model.layers[0], Doubled)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_compiled_model_is_loaded_without_its_optimizer(build, saved, suffix):
    model = build("plain")
    model.compile("adam", "mse")
    model.fit(np.zeros((2, 8, 8, 3)), np.zeros((2, 5)), verbose=0)
    loaded = load_model(saved("model" + suffix, model)).model
    assert not loaded.compiled and loaded.count_params() == model.count_params()


def test_many_kinds_of_layers_are_counted_exactly(saved):
    layers = [
        L.RandomFlip(), L.Rescaling(1 / 255), L.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 1.0, 1.0]),
        L.SeparableConv2D(4, 3), L.DepthwiseConv2D(3), L.Conv2DTranspose(4, 3), L.GroupNormalization(2),
        L.LayerNormalization(), L.SpectralNormalization(L.Conv2D(4, 3)), L.PReLU(), L.Dropout(0.5), L.UpSampling2D(),
        L.GaussianNoise(0.1), L.RandomRotation(0.1), L.Reshape((-1, 4)), L.LSTM(3, return_sequences=True),
        L.Bidirectional(L.GRU(2, return_sequences=True)), L.Reshape((-1, 2, 2)),
    ]  # fmt: skip
    model = with_layers(*layers)
    loaded = load_model(saved(model=model)).model
    assert [w.shape for w in loaded.weights] == [w.shape for w in model.weights]


def test_loading_moves_no_random_generator_and_no_setting(saved):
    path = saved()
    random.seed(5)
    np.random.seed(5)
    keras_seed, before = random.getstate(), np.random.get_state()[1].tolist()
    policy, precision = keras.config.dtype_policy().name, keras.config.floatx()
    load_model(path)
    assert random.getstate() == keras_seed and np.random.get_state()[1].tolist() == before
    assert (keras.config.dtype_policy().name, keras.config.floatx()) == (policy, precision)
    assert tf.executing_eagerly()


# What is no model file: each has its own reason.


def test_every_refusal_has_its_own_reason(saved, tmp_path):
    whole = saved("whole.keras").read_bytes()
    h5 = saved("whole.h5").read_bytes()
    files = {
        "text.keras": b"hello, this is text" * 100, "empty.keras": b"", "half.keras": whole[: len(whole) // 2],
        "text.h5": b"hello, this is text" * 100, "empty.h5": b"", "half.h5": h5[: len(h5) // 2], 
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "savedmodel").mkdir()
    (tmp_path / "savedmodel" / "saved_model.pb").write_bytes(b"")
    (tmp_path / "folder.keras").mkdir()
    told = {name: refused(tmp_path / name) for name in [*files, "savedmodel", "folder.keras", "missing.keras"]}
    for name, words in {
        "text.keras": "is not a Keras model", "empty.keras": "is empty", "half.keras": "cut off or damaged",
        "text.h5": "is not a Keras model", "empty.h5": "is empty", "half.h5": "cut off or damaged",
        "missing.keras": "There is no file",
        "savedmodel": "SavedModel folder", "folder.keras": "is a folder",
    }.items():  # fmt: skip
        assert words in told[name] and name.split("/")[-1] in told[name]


@pytest.mark.parametrize(
    "path", [3, None, b"model.keras", "a\0b.keras", "x" * 5000 + ".keras", "hf://some/model.keras"]
)
def test_what_is_no_path_of_a_file_is_refused(path):
    refused(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert "is an archive, and not a Keras model" in refused(tmp_path / "a.keras")


def test_weights_without_a_model_are_refused(build, tmp_path):
    build("plain").save_weights(tmp_path / "a.weights.h5")
    assert "holds weights and no model" in refused(tmp_path / "a.weights.h5")


@pytest.mark.parametrize(
    "text", ["[1, 2]", '"text"', "{}", "not json", "[" * 100_000, '{"class_name": 3, "config": {}}']
)
def test_a_configuration_that_is_none_is_refused(saved, text):
    refused(changed(saved(), config=lambda _: text))


def test_a_layer_name_that_tensorflow_refuses_leaves_no_name_scope_open(saved):
    """An open scope would become a part of the weight names of every model that is built afterwards."""
    path = saved()
    changed(path, config=lambda whole: json.dumps(whole).replace('"conv2"', '"{}"'))
    refused(path)
    conv = L.Conv2D(2, 3, name="conv")
    conv.build((None, 8, 8, 3))
    assert conv.kernel.path == "conv/kernel"


def test_an_unknown_layer_is_named_with_the_remedy(saved):
    path = saved(model=with_layers(Doubled()))
    changed(path, config=lambda whole: json.dumps(whole).replace("Doubled", "Trebled"))
    assert "needs 'Trebled'" in (told := refused(path)) and "register_keras_serializable" in told


def test_an_unknown_layer_of_the_older_form_is_named_too(saved):
    path = saved("a.h5", with_layers(Doubled()))
    with h5py.File(path, "a") as hdf5:
        hdf5.attrs["model_config"] = hdf5.attrs["model_config"].replace("Doubled", "Trebled")
    assert "Trebled'" in (told := refused(path)) and "register_keras_serializable" in told


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_weights_that_do_not_fit_are_refused(build, saved, suffix):
    path = saved("model" + suffix)
    other = saved("other" + suffix, build("sequential"))
    if suffix == ".keras":
        with zipfile.ZipFile(other) as archive:
            changed(path, weights=archive.read("model.weights.h5"))
    else:
        with h5py.File(path) as mine, h5py.File(other, "a") as theirs:
            theirs.attrs["model_config"] = mine.attrs["model_config"]
        path = other
    assert "do not fit its layers" in refused(path)


# What is hostile.


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("is_unsafe", [False, True])
def test_a_lambda_is_never_run(saved, tmp_path, suffix, is_unsafe):
    mark = tmp_path / "was_here"
    name = str(mark)  # in the function's closure, which is saved with it
    code = L.Lambda(lambda x: (__import__("pathlib").Path(name).touch(), x)[1])
    path = saved("model" + suffix, with_layers(code))
    mark.unlink()  # building it has run it
    before = keras.src.saving.serialization_lib.in_safe_mode()
    try:
        if is_unsafe:
            keras.config.enable_unsafe_deserialization()
        assert "contains Python code (a Lambda layer), and code from model files is never executed" in refused(path)
    finally:
        keras.src.backend.common.global_state.set_global_attribute("safe_mode_saving", before)
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"])
def test_layers_that_carry_programs_are_refused(saved, kind):
    def config(whole):
        whole["config"]["layers"].append(
            {"class_name": kind, "module": "keras.layers", "config": {"filepath": "/tmp/x"}}
        )
        return whole

    assert f"contains Python code (a {kind})" in refused(changed(saved(), config))


@pytest.mark.parametrize(
    ("module", "name"), [("os", "system"), ("builtins", "eval"), ("keras.utils", "get_file"), ("subprocess", "Popen"),
                         ("keras.config", "enable_unsafe_deserialization"), ("keras.saving", "load_model")],
)  # fmt: skip
def test_a_configuration_that_names_any_function_reaches_none(saved, module, name):
    def config(whole):
        evil = {"class_name": "function", "module": module, "config": name, "registered_name": name}
        whole["config"]["layers"][1]["config"]["activation"] = evil
        return whole

    refused(changed(saved(), config))
    assert keras.src.saving.serialization_lib.in_safe_mode() is not False


ENTRIES = [
    "../evil.txt",
    "/tmp/evil.txt",
    "assets/../../evil.txt",
    "assets\\..\\..\\evil.txt",
    "C:\\evil.txt",
    "C:/evil.txt",
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_an_entry_that_leads_outside_is_refused(saved, tmp_path, entry):
    path = changed(saved(), more=[(entry, b"evil")])
    assert "leads outside of it" in refused(path)
    assert not list(tmp_path.parent.rglob("evil.txt")) and not Path("/tmp/evil.txt").exists()


def test_a_link_and_a_double_entry_are_refused(saved):
    link = zipfile.ZipInfo("assets/link")
    link.external_attr = 0o120777 << 16
    assert "that is a link" in refused(changed(saved("a.keras"), more=[(link, "/etc/passwd")]))
    with pytest.warns(UserWarning, match="Duplicate name"):
        double = changed(saved("b.keras"), more=[("config.json", b"{}")])
    assert "holds an entry twice" in refused(double)


def test_an_entry_that_swells_is_refused(saved):
    path = saved()
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("assets/zeros", bytes(80_000_000))
    assert path.stat().st_size < 1_000_000 and "more than 4 times its size" in refused(path)


def h5_bytes(make) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as hdf5:
        make(hdf5)
    return memory.getvalue()


def outward_link(hdf5):
    hdf5["layers"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(hdf5):
    hdf5["layers"] = h5py.SoftLink("/elsewhere")


def outward_data(hdf5):
    hdf5.create_dataset("a", (8,), "u1", external=[("/etc/passwd", 0, 8)])


def virtual_data(hdf5):
    layout = h5py.VirtualLayout((8,), "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (8,))
    hdf5.create_virtual_dataset("deep/a", layout)


def swelling_data(hdf5):
    hdf5.create_dataset("a", (10**10,), "f4", chunks=(10**6,))


def loop(hdf5):
    hdf5.create_group("a")["again"] = hdf5["/"]


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("make", "words"),
    [(outward_link, "refers to another file, '/etc/passwd'"), (soft_link, "refers to a place by a link"),
     (outward_data, "data in another file"), (virtual_data, "data in another file"), (swelling_data, "40,000.0 MB"),
     (loop, "do not fit its layers")],
)  # fmt: skip
def test_weights_that_refer_elsewhere_or_swell_are_refused(saved, make, words, suffix):
    path = saved("model" + suffix)
    if suffix == ".keras":
        changed(path, weights=h5_bytes(make))
    else:
        with h5py.File(path, "a") as hdf5:
            del hdf5["model_weights"]
            make(hdf5.create_group("model_weights") if make is not loop else hdf5)
    assert words in refused(path)


@pytest.mark.parametrize("length", [0, 2**31, 2**63, 2**64 - 8])
def test_a_text_without_end_is_refused_where_hdf5_itself_never_returns(saved, length):
    path = saved("model.h5")
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL\1\0\0\0")
    first = place = heap + 16
    while int.from_bytes(data[place : place + 2], "little"):
        size = int.from_bytes(data[place + 8 : place + 16], "little")
        place += 16 + -(-size // 8) * 8
    where = place if length == 0 else first  # what is free, or the first text
    data[where + 8 : where + 16] = length.to_bytes(8, "little")
    path.write_bytes(data)
    assert "cut off or damaged" in refused(path)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("units", [10**8, 10**9, 10**15])
def test_weights_that_the_file_cannot_hold_are_refused_before_they_are_made(saved, suffix, units):
    path = saved("model" + suffix, keras.Sequential([keras.Input((8, 8, 3)), L.Flatten(), L.Dense(3, name="big")]))

    def config(whole):
        big = next(layer for layer in whole["config"]["layers"] if layer["config"]["name"] == "big")
        big["config"]["units"] = units
        return whole

    if suffix == ".keras":
        changed(path, config)
    else:
        with h5py.File(path, "a") as hdf5:
            hdf5.attrs["model_config"] = json.dumps(config(json.loads(hdf5.attrs["model_config"])))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "more than 4 times its size" in refused(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB: nothing of it was made"


def test_a_model_that_is_larger_than_its_file_but_not_by_much_is_loaded(saved):
    shared = L.Dense(2000)
    path = saved(model=with_layers(L.Dense(2000), shared))
    assert path.stat().st_size > 16_000_000 and load_model(path).model.count_params() > 4_000_000


def test_damage_anywhere_is_refused_or_harmless(saved):
    """A flipped bit gives a model or a BadModel, and nothing else."""
    path = saved()
    whole, numbers = path.read_bytes(), np.random.default_rng(0)
    for place in numbers.integers(0, len(whole), 40):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(numbers.integers(8))
        path.write_bytes(broken)
        try:
            load_model(path)
        except cw.BadModel as error:
            assert str(error).endswith(".")


# What earlier versions of Keras have written.


def of_keras_2(kind, name, before=(), **settings):
    inbound = [[[one, 0, 0, {}] for one in before]] if before else []
    config = {"name": name, "trainable": True, "dtype": "float32", **settings}
    return {"class_name": kind, "config": config, "name": name, "inbound_nodes": inbound}


CONVOLUTION = {
    "filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "data_format": "channels_last",
    "dilation_rate": [1, 1], "groups": 1, "activation": "relu", "use_bias": True,
    "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
    "bias_initializer": {"class_name": "Zeros", "config": {}}, "kernel_regularizer": None, "bias_regularizer": None,
    "activity_regularizer": None, "kernel_constraint": None, "bias_constraint": None,
}  # fmt: skip
DENSE = {"units": 4, "activation": "softmax", "use_bias": True}


@pytest.mark.parametrize("kind", ["Functional", "Model", "Sequential"])
def test_a_file_of_keras_2_is_loaded(tmp_path, kind):
    shape = {"batch_input_shape": [None, 8, 8, 3]}
    layers = [
        of_keras_2("InputLayer", "input_1", **shape, sparse=False, ragged=False),
        of_keras_2("Conv2D", "conv", ["input_1"], **CONVOLUTION),
        of_keras_2("GlobalAveragePooling2D", "gap", ["conv"], data_format="channels_last"),
        of_keras_2("Dense", "scores", ["gap"], **DENSE),
    ]
    ends = {"input_layers": [["input_1", 0, 0]], "output_layers": [["scores", 0, 0]]}
    config = {"name": "old", "layers": layers, **({} if kind == "Sequential" else ends)}
    numbers = np.random.default_rng(0)
    weights = {"conv": {"kernel": (3, 3, 3, 2), "bias": (2,)}, "scores": {"kernel": (2, 4), "bias": (4,)}}
    with h5py.File(tmp_path / "old.h5", "w") as hdf5:
        hdf5.attrs["model_config"] = json.dumps({"class_name": kind, "config": config})
        group = hdf5.create_group("model_weights")
        group.attrs["layer_names"] = [layer["name"].encode() for layer in layers]
        for layer in layers:
            own = group.create_group(layer["name"])
            parts = weights.get(layer["name"], {})
            own.attrs["weight_names"] = [f"{layer['name']}/{part}:0".encode() for part in parts]
            for part, size in parts.items():
                own[f"{layer['name']}/{part}:0"] = numbers.normal(size=size).astype("f4")
    net = cw.Network.from_file(tmp_path / "old.h5", "unit")
    assert net.inputs[0].size == (8, 8) and net.outputs[0].classes == 4
    with h5py.File(tmp_path / "old.h5") as hdf5:
        assert np.array_equal(net.model.get_layer("conv").kernel, hdf5["model_weights/conv/conv/kernel:0"][()])
    assert sum(one.probability for one in net.predict(np.zeros((8, 8, 3)))) == pytest.approx(1)
