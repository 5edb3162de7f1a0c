"""Switches of the whole process that people leave on change no result, and stay as they were."""

import contextlib

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadModel
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.tracing.compiled import compiled

L, ops = keras.layers, keras.ops


@contextlib.contextmanager
def functions_run_eagerly():
    tf.config.run_functions_eagerly(True)
    try:
        yield
        assert tf.config.functions_run_eagerly()
    finally:
        tf.config.run_functions_eagerly(False)


@contextlib.contextmanager
def numpy_raises():
    with np.errstate(all="raise"):
        yield


@contextlib.contextmanager
def half_precision_everywhere():
    policy, floats = keras.config.dtype_policy(), keras.config.floatx()
    keras.config.set_floatx("float16")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        yield
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float16", "mixed_float16")
    finally:
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)


@contextlib.contextmanager
def another_order_of_axes():
    usual = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        yield
    finally:
        keras.config.set_image_data_format(usual)


@contextlib.contextmanager
def unfiltered_tracebacks():
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        keras.config.enable_traceback_filtering()


def classifier():
    """Its softmax is a bare operation, which only the graph knows; its probabilities are nearly saturated."""
    picture = keras.Input((12, 12, 3))
    x = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, activation="relu", name="conv")(picture))
    model = keras.Model(picture, ops.softmax(L.Dense(4, name="logits")(x)))
    numbers = np.random.default_rng(0)
    model.set_weights([numbers.normal(0, 3 if w.ndim == 2 else 0.3, w.shape) for w in model.get_weights()])
    return model


def results(net, picture):
    *_, frame = cw.adversarial(net, picture, 2, steps=2)
    return {
        "predict": [p.probability for p in net.predict(picture)],
        "map": cw.class_activation_map(net, picture, target=1)[0].raw,
        "classes": cw.visualize_classes(net, [2], steps=1, recipe="textbook").pictures,
        "adversarial": frame.pictures,
    }


@pytest.fixture(scope="module")
def alone(noise):
    model, picture = classifier(), noise(12, 12, 3)
    return model, picture, results(cw.Network(model, preprocess="unit"), picture)


def test_functions_that_run_eagerly_change_no_byte(alone):
    with functions_run_eagerly():
        _assert_same(alone)


def test_other_switches_left_on_change_no_byte(alone):
    kept = numpy_raises(), half_precision_everywhere(), another_order_of_axes(), unfiltered_tracebacks()
    with contextlib.ExitStack() as scopes, keras.RematScope(mode="full"):
        for switch in kept:
            scopes.enter_context(switch)
        _assert_same(alone)


def _assert_same(alone):
    model, picture, expected = alone
    seen = results(cw.Network(model, preprocess="unit"), picture)
    for name, value in expected.items():
        np.testing.assert_array_equal(seen[name], value, err_msg=name)


def test_a_graph_of_somebody_else_is_refused(alone):
    model, picture, _ = alone
    net = cw.Network(model, preprocess="unit")
    calls = lambda: cw.Network(model), lambda: net.predict(picture), lambda: cw.class_activation_map(net, picture)  # noqa: E731
    for call in calls:
        with tf.Graph().as_default(), pytest.raises(BadModel, match="does not execute eagerly here.*outside of"):
            call()


def test_a_graph_does_not_run_its_python_code_again_while_functions_run_eagerly():
    times = []
    graph = compiled(lambda x: times.append(tf.executing_eagerly()) or x + 1)
    with functions_run_eagerly():
        assert [int(graph(tf.constant(i))) for i in range(3)] == [1, 2, 3]
    assert times == [False]


def test_bundled_networks_are_built_the_same_under_any_switch():
    usual = cw.load_network("squeezenet")
    with half_precision_everywhere(), another_order_of_axes():
        under = cw.load_network("squeezenet")
    assert under.fingerprint() == usual.fingerprint()
    assert under.layers == usual.layers
    assert {layer.compute_dtype for layer in under.model.layers[1:]} == {"float32"}
