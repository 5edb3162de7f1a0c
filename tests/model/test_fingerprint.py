"""A network's fingerprint: another one for all that changes a pixel, the same one for the same network anywhere."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.fingerprint import fingerprint
from cnnwidgets.model.network import Network

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


def test_another_process_finds_the_same(build, tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import conftest\n"
        "from cnnwidgets.model.network import Network\n"
        "print([Network(conftest._build(n), lambda x: x / 7).fingerprint() for n in ('nested', 'subclassed')])\n"
    )
    here = [Network(build(n), lambda x: x / 7).fingerprint() for n in ("nested", "subclassed")]
    root = Path(__file__).parents[2]
    told = subprocess.run(
        [sys.executable, "-c", program, str(Path(__file__).parent)],
        capture_output=True,
        text=True,
        cwd=root,
        check=True,
    )
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
