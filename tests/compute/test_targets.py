"""Which number is explained: functions of the output in the model's own structure, and classes against each other."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from cnnwidgets.compute.attributions import METHODS, attribution
from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.compute.heatmaps import MAP_METHODS, class_activation_map
from cnnwidgets.compute.hiding import hide_place
from cnnwidgets.compute.network import Network
from cnnwidgets.errors import BadModel, BadTarget, JobFailed

L = keras.layers
KINDS = {"tensor": lambda a, b: a, "list": lambda a, b: [a, b], "dict": lambda a, b: {"scores": a, "box": b}}


@functools.cache
def network(kind="tensor"):
    """Five class scores, and a box beside them where the model returns several outputs."""
    picture = keras.Input((12, 12, 3), name="picture")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(picture))
    outputs = KINDS[kind](L.Dense(5, activation="softmax", name="scores")(x), L.Dense(4, name="box")(x))
    model = keras.Model(picture, outputs)
    for weight in model.weights:  # the same scores, whatever else there is
        weight.assign(np.random.default_rng(weight.shape[-1]).normal(0, 0.5, weight.shape))
    return Network(model, "unit")


def raw_of(net, picture, method, target, **keywords):
    if method in MAP_METHODS:
        return class_activation_map(net, picture, "conv", target, method, **keywords)[0].raw
    return attribution(net, picture, target, method, samples=6, **keywords)[0].raw


PLAIN = lambda y: y[:, 3]  # noqa: E731
ALIKE = {  # functions that mean the same number: by kind of model, with the output that is named
    "one number of one picture": ("tensor", lambda y: y[0, 3], None),
    "a mean": ("tensor", lambda y: tf.reduce_mean(y[..., 3]), None),
    "a column": ("tensor", lambda y: y[:, 3:4], None),
    "a matrix of one": ("tensor", lambda y: tf.reduce_sum(y[:, 3:4], keepdims=True), None),
    "a dict": ("dict", lambda y: y["scores"][:, 3], None),
    "one number of a dict": ("dict", lambda y: y["scores"][0, 3], None),
    "one number of a list": ("list", lambda y: y[0][0, 3], None),
    "one output of a dict": ("dict", lambda y: y[0, 3], "scores"),
    "one output of a list": ("list", lambda y: y[0, 3], 0),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_function_gets_the_models_own_structure_and_may_return_one_number(noise, name):
    kind, function, output = ALIKE[name]
    picture = noise(12, 12, 3)
    for method in ("hirescam", "score_cam", "ablation_cam", "smoothgrad", "integrated_gradients", "occlusion", "rise"):
        expected = raw_of(network(), picture, method, PLAIN)
        found = raw_of(network(kind), picture, method, function, output=output)
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max(), err_msg=method)


@pytest.mark.parametrize("method", [*MAP_METHODS, *METHODS])
def test_a_number_for_one_picture_serves_for_every_method(noise, method):
    picture, scalar = noise(12, 12, 3), lambda y: tf.reduce_sum(y[0] * tf.range(5.0))
    expected = raw_of(network(), picture, method, lambda y: tf.reduce_sum(y * tf.range(5.0), -1))
    np.testing.assert_allclose(raw_of(network(), picture, method, scalar), expected, atol=1e-5 * np.abs(expected).max())


def test_the_default_layer_and_a_hidden_place_take_a_number_for_one_picture(noise):
    scalar = lambda y: y["scores"][0, 3]  # noqa: E731
    (heat,) = class_activation_map(network("dict"), noise(12, 12, 3), target=scalar)
    assert heat.path == "conv"
    hidden = hide_place(network("dict"), noise(12, 12, 3), (0.5, 0.5), scalar)
    assert hidden.before != hidden.after and np.isfinite(hidden.after)


FAILING = {
    "a key that is missing": (lambda y: y["score"], "raised KeyError: 'score'.*a dict of 'scores', 'box'"),
    "a division": (lambda y: 1 / 0, "raised ZeroDivisionError: division by zero"),
    "numpy": (lambda y: y["scores"].numpy(), "raised AttributeError.*use TensorFlow"),
    "a row that is not there": (lambda y: tf.gather(y["scores"], 9, axis=1), "9 is (not in|out of range)"),
    "nan": (lambda y: tf.math.log(-y["scores"][:, 0]), "function returned nan, although every output"),
    "infinity": (lambda y: 1 / (0 * y["scores"][:, 0]), "function returned inf, although every output"),
    "text": (lambda y: "high", "'high', which is not a number"),
    "complex": (lambda y: tf.cast(y["scores"][:, 0], tf.complex64), "which is not a number"),
}


@pytest.mark.parametrize("name", FAILING)
def test_a_function_that_fails_is_reported_with_its_own_error(noise, name):
    function, told = FAILING[name]
    for method in ("hirescam", "gradient", "occlusion"):
        with pytest.raises(BadTarget, match=told):
            raw_of(network("dict"), noise(12, 12, 3), method, function)


def test_a_gradient_that_is_not_finite_is_blamed_on_the_function(noise):
    root = lambda y: tf.sqrt(0 * y[:, 0])  # noqa: E731
    with pytest.raises(JobFailed, match="gradient of your target function is not finite"):
        raw_of(network(), noise(12, 12, 3), "gradient", root)


def test_a_network_that_is_not_finite_is_still_blamed_itself(noise):
    model = keras.models.clone_model(network().model)
    model.get_layer("scores").bias.assign([np.nan, 0, 0, 0, 0])
    with pytest.raises(BadModel, match="NaN"):
        raw_of(Network(model, "unit"), noise(12, 12, 3), "occlusion", PLAIN)


def test_a_function_that_does_not_depend_on_the_picture_is_refused(noise):
    for constant in (lambda y: 1.0, lambda y: tf.constant([1.0])):
        with pytest.raises(BadTarget, match="does not lead to your target function"):
            raw_of(network(), noise(12, 12, 3), "gradient", constant)
    with pytest.raises(BadTarget, match="by argmax"):
        raw_of(network(), noise(12, 12, 3), "gradient", lambda y: tf.argmax(y[0]))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_reported_although_a_relu_hides_them(noise, value):
    model = keras.models.clone_model(network().model)
    kernel = model.get_layer("conv").kernel.numpy()
    kernel[0, 0, 0, 2] = value
    model.get_layer("conv").kernel.assign(kernel)
    net = Network(model, "unit")
    for verb in (net.predict, lambda p: class_activation_map(net, p, "conv"), lambda p: attribution(net, p)):
        with pytest.raises(BadModel, match="'conv/kernel' of .* hold NaN or infinity"):
            verb(noise(12, 12, 3))
