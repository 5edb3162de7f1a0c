"""The user's model and process are the same after every verb, whether it ends, breaks or is stopped."""

from __future__ import annotations

import hashlib
import random
import sys
import threading
import warnings

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadModel
from cnnwidgets.explain.attribution import METHODS as ATTRIBUTIONS
from cnnwidgets.explain.class_activation_map import MAP_METHODS
from cnnwidgets.explain.hidden_region import hide_region
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.presets import CLASS_RECIPES, UNIT_RECIPES
from cnnwidgets.visualize.units import UnitsSettings

L = keras.layers
PICTURE = np.random.default_rng(0).random((24, 20, 3)).astype(np.float32)
RAISES: dict[str, object] = {"lock": threading.Lock()}  # with a lock nobody can read beforehand what it holds


@keras.saving.register_keras_serializable("tests")
class Tripwire(L.Layer):
    """Hands on what it gets, and raises what the test wants."""

    def call(self, x):
        if "error" in RAISES:
            raise RAISES["error"]("inside the model")
        return x


@pytest.fixture(scope="module")
def model():
    """A backbone with batch statistics and dropout inside a model that has been trained for one step."""
    picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(6, 3, activation="relu", name="conv1")(picture)
    x = L.Dropout(0.5, seed=1, name="dropout")(L.BatchNormalization(name="bn")(x))
    x = L.Conv2D(4, 3, activation="elu", name="conv2")(Tripwire(name="tripwire")(x))
    backbone = keras.Model(picture, x, name="backbone")
    whole = keras.Input((None, None, 3), name="whole")
    x = L.GlobalAveragePooling2D(name="gap")(backbone(L.RandomFlip(seed=2, name="flip")(whole)))
    made = keras.Model(whole, L.Dense(3, activation="softmax", name="scores")(x), name="user")
    numbers = np.random.default_rng(0)
    made.set_weights([numbers.normal(0, 0.3, w.shape).astype(w.dtype) ** 2 for w in made.get_weights()])  # none is dead
    made.get_layer("backbone").get_layer("conv1").trainable = False
    made.compile("adam", "categorical_crossentropy")
    made.train_on_batch(PICTURE[None], np.eye(3)[:1])
    made.predict(PICTURE[None], verbose=0)  # the user's own function is there from now on
    return made


VERBS = {
    "ascend": lambda net: cw.ascend(net, cw.objectives.channel("conv2", 0), size=16, steps=2),
    **{
        f"visualize_units {recipe}": lambda net, r=recipe: UnitsSettings("conv2", [1], 16, 2, r).check(net).frames()
        for recipe in UNIT_RECIPES
    },
    **{
        f"visualize_classes {recipe}": lambda net, r=recipe: cw.visualize_classes(net, [1], 16, 2, r)
        for recipe in CLASS_RECIPES
    },
    **{
        f"class_activation_map {method}": lambda net, m=method: cw.class_activation_map(net, PICTURE, method=m)
        for method in MAP_METHODS
    },
    **{
        f"attribution {method}": lambda net, m=method: cw.attribution(
            net, PICTURE, method=m, samples=2 if ATTRIBUTIONS[m].samples else None
        )
        for method in ATTRIBUTIONS
    },
    "feature_maps": lambda net: cw.feature_maps(net, PICTURE),
    "top_units": lambda net: cw.top_units(net, PICTURE, "conv2"),
    "top_patches": lambda net: cw.top_patches(net, [PICTURE], "conv2", 0),
    "receptive_field": lambda net: cw.receptive_field(net, "conv2", size=24),
    "predict": lambda net: net.predict(PICTURE),
    "deepdream": lambda net: cw.deepdream(net, PICTURE, "conv2", octaves=2, steps=1),
    "adversarial": lambda net: cw.adversarial(net, PICTURE, 1, steps=2),
    "adversarial random_search": lambda net: cw.adversarial(net, PICTURE, 1, steps=2, method="random_search"),
    "hide_region": lambda net: hide_region(net, PICTURE, (0.5, 0.5)),
    "Network": lambda net: Network(net.model).layers,
}
RUNS_NOTHING = {
    "randomized": lambda net: randomized(Network(net.model)),
    "fingerprint": lambda net: net.fingerprint(),
}


def of_the_process():
    """All that a user can see of the process: generators, settings, what is imported to draw, and threads."""
    return (
        random.getstate(),
        hashlib.sha256(str(np.random.get_state()).encode()).hexdigest(),
        np.geterr(),
        keras.config.dtype_policy().name,
        (keras.config.floatx(), keras.config.image_data_format(), keras.config.epsilon()),
        keras.config.is_traceback_filtering_enabled(),
        (tf.config.functions_run_eagerly(), tf.config.optimizer.get_jit(), tf.executing_eagerly()),
        list(warnings.filters),
        "matplotlib.pyplot" in sys.modules,
        "matplotlib" in sys.modules and sys.modules["matplotlib"].rcParams._get("backend"),
        threading.active_count(),
    )


def of_the_training(model):
    """What a user has trained so far."""
    held = [variable.numpy().tobytes() for variable in model.optimizer.variables]
    return model.compiled, model.loss, id(model.optimizer), held, [layer.trainable for layer in model._flatten_layers()]


@pytest.fixture
def unchanged(model, snapshot_of):
    """`unchanged()` fails where anything is not as it was, also the numbers that TensorFlow's own generator gives."""
    tf.random.set_seed(7)
    expected = tf.random.uniform([4]).numpy()
    tf.random.set_seed(7)
    before = snapshot_of(model), of_the_training(model), of_the_process()
    first = model(PICTURE[None], training=False).numpy()

    def check():
        for now, then in zip((snapshot_of(model), of_the_training(model), of_the_process()), before, strict=True):
            assert now == then
        np.testing.assert_array_equal(tf.random.uniform([4]), expected)
        tf.random.set_seed(7)

    yield check
    np.testing.assert_array_equal(model(PICTURE[None], training=False), first)


def _ended(running, check):
    """Run to the end; where it can be looked at between two steps, look at the first few times."""
    for step, _ in enumerate(running if hasattr(running, "__next__") else ()):
        if step < 3:
            check()


@pytest.fixture(scope="module")
def net(model):
    """One for all verbs that end, so that nothing is traced twice."""
    return Network(model)


@pytest.mark.parametrize("verb", [*VERBS, *RUNS_NOTHING])
def test_nothing_is_changed_by_a_verb_that_ends(net, unchanged, verb):
    _ended((VERBS | RUNS_NOTHING)[verb](net), unchanged)
    unchanged()


@pytest.mark.parametrize("raised", [ZeroDivisionError, KeyboardInterrupt])
@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_changed_by_a_verb_that_breaks_or_is_interrupted_inside_the_model(model, unchanged, verb, raised):
    net = Network(model)
    assert net.layers
    RAISES["error"] = raised
    try:
        wrapped = BadModel if verb == "Network" and raised is ZeroDivisionError else raised  # it says why it fails
        with pytest.raises(wrapped) as failed:
            _ended(VERBS[verb](net), unchanged)
        assert wrapped is raised or "\x1b" not in str(failed.value) and "inside the model" in str(failed.value)
    finally:
        del RAISES["error"]
    unchanged()


@pytest.mark.parametrize(
    "verb", ["ascend", "visualize_units fourier", "deepdream", "adversarial", "adversarial random_search"]
)
def test_nothing_is_changed_by_a_run_that_is_closed_midway(net, unchanged, verb):
    running = VERBS[verb](net)
    next(running)
    running.close()
    unchanged()
