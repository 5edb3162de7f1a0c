"""A network's fingerprint: another one for all that changes a pixel, the same one for the same network anywhere."""

import functools
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.identity.fingerprint import fingerprint, identity
from cnnwidgets.model.identity.lasting_content import LastingReader
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import ByInput, Scale

L = keras.layers


def model(activation="relu", strides=1, end=None, first=None, name="net"):
    picture = keras.Input((16, 16, 3), name="picture")
    x = first(picture) if first else picture
    x = L.Conv2D(4, 3, strides, activation=activation, name="conv")(x)
    x = L.GlobalAveragePooling2D(name="gap")(x)
    made = keras.Model(picture, end(x) if end else x, name=name)
    made.set_weights([np.full(w.shape, 0.5) for w in made.get_weights()])
    return made


class Scaled(L.Layer):
    """A layer of one's own that tells nothing of what it does."""

    def __init__(self, activation):
        super().__init__(name="scaled")
        self.inner = L.Dense(2, activation=activation, use_bias=False, name="inner")

    def get_config(self):
        raise NotImplementedError

    def call(self, x):
        return self.inner(x)


class Doubled(Scaled):
    def call(self, x):
        return self.inner(x) * 2


DIFFERENT = {
    "a layer's activation": (lambda: model("relu"), lambda: model("elu")),
    "an activation of one's own": (lambda: model(lambda x: x * 2.0), lambda: model(lambda x: x * 3.0)),
    "strides": (lambda: model(), lambda: model(strides=2)),
    "a rescaling": (lambda: model(first=L.Rescaling(1.0, name="r")), lambda: model(first=L.Rescaling(2.0, name="r"))),
    "a function in a Lambda": (
        lambda: model(end=L.Lambda(lambda x: x + 1, name="l")), lambda: model(end=L.Lambda(lambda x: x + 2, name="l")),
    ),
    "the inside of a custom layer": (lambda: model(end=Scaled("relu")), lambda: model(end=Scaled("elu"))),
    "the code of a custom layer": (lambda: model(end=Scaled("relu")), lambda: model(end=Doubled("relu"))),
    "precision": (
        lambda: model(end=L.Dense(2, dtype="float32", name="d")),
        lambda: model(end=L.Dense(2, dtype="mixed_float16", name="d")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DIFFERENT)
def test_equal_weights_in_another_architecture_are_another_network(what):
    one, other = DIFFERENT[what]
    first, second, again = Network(one()), Network(other()), Network(one())
    for mine, theirs in zip(first.model.get_weights(), second.model.get_weights(), strict=True):
        assert mine.shape == theirs.shape
    second.model.set_weights(first.model.get_weights())
    again.model.set_weights(first.model.get_weights())
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != second.fingerprint()


def half(pictures, by=2):
    return pictures / by


@pytest.mark.parametrize(
    "one, other",
    [("unit", "tf"), ("caffe", "torch"), (half, "unit"), (half, lambda x: x / 3),
     (functools.partial(half, by=2), functools.partial(half, by=3)),
     (np.float32(2).__mul__, np.float32(2).__add__)],
)  # fmt: skip
def test_another_preprocessing_is_another_network(one, other):
    made = model()
    assert Network(made, one).fingerprint() == Network(made, one).fingerprint() != Network(made, other).fingerprint()


def test_what_a_preprocessing_took_along_counts():
    def shifted(by):
        return lambda pictures: pictures - by

    made = model()
    assert Network(made, shifted(1.0)).fingerprint() == Network(made, shifted(1.0)).fingerprint()
    assert Network(made, shifted(1.0)).fingerprint() != Network(made, shifted(2.0)).fingerprint()
    mean = np.ones(3)
    assert Network(made, shifted(mean)).fingerprint() != Network(made, shifted(mean * 2)).fingerprint()


def test_an_activation_that_is_taken_off_is_another_network():
    network = Network(model("relu"))
    before = network.fingerprint()
    network.model.get_layer("conv").activation = keras.activations.linear
    assert network.fingerprint() != before


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("name", ["plain", "sequential", "siamese", "inputs_as_dict", "with_state", "mixed_float16"])
def test_a_model_that_is_saved_and_loaded_is_the_same_network(build, tmp_path, name, ending):
    made = build(name)
    made.save(tmp_path / f"net.{ending}")
    again = keras.models.load_model(tmp_path / f"net.{ending}", compile=False)
    assert Network(again).fingerprint() == Network(made).fingerprint()


def test_training_settings_change_nothing():
    network = Network(model())
    before = network.fingerprint()
    network.model.trainable = False
    network.model.compile("adam", "mse")
    network.predict(np.zeros((16, 16, 3), np.uint8))
    assert network.fingerprint() == before


@pytest.mark.filterwarnings("error:The object being serialized")
def test_no_model_and_no_function_is_too_strange(build):
    def myself(x):
        return myself(x)

    class Callable:
        def __call__(self, x):
            return x

    strange = [
        model(lambda x: x, end=L.Lambda(lambda x: tf.nn.relu(x))),
        model(end=Scaled("relu")),
        build("subclassed"),
    ]
    for made in strange:  # none of them makes Keras warn, either
        for preprocess in (
            myself,
            Callable(),
            Callable().__call__,
            tf.math.abs,
            len,
            functools.partial(myself, x=made),
        ):
            assert fingerprint(made, preprocess) == fingerprint(made, preprocess)


def test_another_process_finds_the_same(build):
    program = (
        "from tests import tiny_networks\n"
        "from cnnwidgets.model.network import Network\n"
        "print([Network(tiny_networks._build(n), lambda x: x / 7).fingerprint() for n in ('nested', 'subclassed')])\n"
    )
    here = [Network(build(n), lambda x: x / 7).fingerprint() for n in ("nested", "subclassed")]
    root = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, check=True)
    assert told.stdout.strip() == str(here)


FACTOR, SHIFT = 1.0, np.zeros(3)


class Centered:
    def __init__(self, mean):
        self._mean = np.array(mean, np.float32)

    def __call__(self, x):
        return x - self._mean


def test_arrays_and_globals_that_a_preprocessing_reads_count(monkeypatch):
    made = model()

    def by_globals(x):
        """Scale."""
        return x * FACTOR + SHIFT

    assert Network(made, Centered([0, 0, 0])).fingerprint() == Network(made, Centered([0, 0, 0])).fingerprint()
    assert Network(made, Centered([0, 0, 0])).fingerprint() != Network(made, Centered([9, 0, 0])).fingerprint()
    before = Network(made, by_globals).fingerprint()
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    assert Network(made, by_globals).fingerprint() != before
    monkeypatch.undo()
    monkeypatch.setitem(globals(), "SHIFT", np.ones(3))
    assert Network(made, by_globals).fingerprint() != before


def test_where_a_function_stands_and_what_it_says_of_itself_counts_nothing():
    def one(x):
        return x / 2

    def other(x):
        """The same."""
        # on other lines
        return x / 2

    made = model()
    assert Network(made, one).fingerprint() == Network(made, other).fingerprint()


def test_private_arrays_of_a_layer_count():
    @keras.saving.register_keras_serializable("tests")
    class Shifted(L.Layer):
        def __init__(self, by, **more):
            super().__init__(**more)
            self._by = np.float32(by) * np.ones(4, np.float32)

        def call(self, x):
            return x + self._by

    one, again, other = (model(end=Shifted(by, name="shifted")) for by in (1, 1, 2))
    assert Network(one).fingerprint() == Network(again).fingerprint() != Network(other).fingerprint()


def unnamed(precision="float32", crossed=False):
    """A model that leaves its names to Keras: a sum, a nested model, operations, a wrapper, two inputs of one shape."""
    keras.utils.set_random_seed(0)
    one, other = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    x = L.Conv2D(3, 3, padding="same")(one / 255.0)
    y = L.Conv2D(3, 3, padding="same", dtype=precision)(other)
    z = L.Subtract()([y, x] if crossed else [x, y])
    rows = L.TimeDistributed(L.Dense(2))(L.Reshape((8, 24))(z))
    head = keras.Sequential([L.GlobalAveragePooling1D(), L.Dense(2)])
    return keras.Model([one, other], [head(rows), L.Flatten()(z)])


def test_names_of_layers_count_nothing():
    first, second = unnamed(), unnamed()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    assert Network(first).fingerprint() == Network(second).fingerprint()
    assert Network(model(name="one")).fingerprint() == Network(model(name="other")).fingerprint()


@pytest.mark.parametrize("change", [{"precision": "mixed_float16"}, {"crossed": True}])
def test_which_layer_another_follows_counts_whatever_they_are_called(change):
    assert Network(unnamed()).fingerprint() != Network(unnamed(**change)).fingerprint()


def test_training_a_model_of_ones_own_class_changes_its_weights_alone():
    @keras.saving.register_keras_serializable("tests")
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = L.Conv2D(2, 3)

        def call(self, x):
            return tf.reduce_mean(self.conv(x), (1, 2))

    trained, fresh = Own(), Own()
    pictures = np.ones((1, 8, 8, 3), np.float32)
    trained(pictures), fresh(pictures)
    trained.compile("sgd", "mse")
    trained.fit(pictures, np.zeros((1, 2)), verbose=0)
    trained.predict(pictures, verbose=0)
    fresh.set_weights(trained.get_weights())
    assert Network(trained, "unit").fingerprint() == Network(fresh, "unit").fingerprint()


def test_own_classes_are_told_by_name_and_fields_wherever_their_code_lies(monkeypatch):
    def content(thing):
        return LastingReader().read(thing)

    before = content(ByInput(((0, Scale(2.0)),)))
    assert before == content(ByInput(((0, Scale(2.0, meaning="doubled")),)))
    assert before != content(ByInput(((0, Scale(3.0)),)))
    monkeypatch.setattr(Scale, "__module__", "cnnwidgets.elsewhere")
    monkeypatch.setattr(Scale, "__call__", lambda self, x: self.factor * x)
    assert before == content(ByInput(((0, Scale(2.0)),)))


def test_a_preprocessing_that_reads_the_clock_or_a_file_is_not_told_whole():
    def by_clock(x):
        return x * (time.time() > 0)

    def from_file(x):
        return x * np.load("mean.npy")

    made = model()
    assert identity(made, half).is_complete
    assert not identity(made, by_clock).is_complete
    assert not identity(made, from_file).is_complete
