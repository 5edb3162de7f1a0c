"""Which number is explained: functions of the output in the model's own structure, and classes against each other."""

import functools

import numpy as np
import pytest

from cnnwidgets.errors import BadModel, BadTarget, JobFailed
from cnnwidgets.explain.attribution import METHODS, attribution
from cnnwidgets.explain.class_activation_map import MAP_METHODS, class_activation_map
from cnnwidgets.explain.hidden_region import hide_region
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network

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
    hidden = hide_region(network("dict"), noise(12, 12, 3), (0.5, 0.5), scalar)
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
    function, message = FAILING[name]
    for method in ("hirescam", "gradient", "occlusion"):
        with pytest.raises(BadTarget, match=message):
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


# -- log-odds, and one class rather than others


@functools.cache
def with_offset():
    """Two class scores that fall everywhere where the picture is bright; class 0 looks at the left half."""
    picture = keras.Input((8, 8, 1), name="picture")
    x = L.Conv2D(1, 1, use_bias=False, name="conv")(picture)
    model = keras.Model(picture, L.Dense(2, use_bias=False, name="scores")(L.Flatten()(x)))
    left = np.zeros((8, 8, 1))
    left[:, :4] = 1
    scores = np.stack([left.ravel() - 2, -left.ravel() - 2], -1)  # the offset is -2 everywhere
    model.set_weights([np.ones((1, 1, 1, 1)), scores])
    return Network(model, "unit")


def test_log_odds_leave_out_the_offset_that_all_classes_share():
    white = np.ones((8, 8), np.float32)
    (logit,) = class_activation_map(with_offset(), white, "conv", 0, "hirescam")
    assert not logit.map.any() and 'try of="log_odds"' in logit.note
    (odds,) = class_activation_map(with_offset(), white, "conv", 0, "hirescam", of="log_odds")
    assert odds.map[:, :3].min() == 1 and odds.map[:, 5:].max() == 0 and odds.note == ""
    np.testing.assert_allclose(odds.raw[:, :4], 2, rtol=1e-5)


def test_log_odds_of_sigmoids_and_of_one_number_are_the_logit_itself(noise):
    picture = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="relu", name="conv")(picture)
    for units, activation in ((1, "sigmoid"), (3, "sigmoid"), (1, None)):
        head = L.Dense(units, activation=activation)(L.GlobalAveragePooling2D()(x))
        net = Network(keras.Model(picture, head), "unit")
        one, two = (raw_of(net, noise(8, 8, 3), "hirescam", 0, of=of) for of in ("logit", "log_odds"))
        np.testing.assert_array_equal(one, two)


def test_log_odds_of_probabilities_whose_logits_are_not_in_the_graph(noise):
    net = network()
    mean = keras.Model(net.model.inputs[0], L.Average()([net.model.outputs[0], net.model.outputs[0]]))
    for method in ("hirescam", "occlusion"):
        expected = raw_of(net, noise(12, 12, 3), method, 2, of="log_odds")
        found = raw_of(Network(mean, "unit"), noise(12, 12, 3), method, 2, of="log_odds")
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_nearly_all_negative_and_nearly_empty_maps_are_noted():
    net, white = with_offset(), np.ones((8, 8), np.float32)
    scores = np.full((64, 2), -1.0)
    scores[:2, 0] = 3
    model = keras.models.clone_model(net.model)
    model.set_weights([np.ones((1, 1, 1, 1)), scores])
    (heat,) = class_activation_map(Network(model, "unit"), white, "conv", 0, "hirescam")
    assert heat.note.startswith("mostly negative: 8.8% of the evidence is positive for 'class 0'; try of=")
    scores[1] = 0
    model.set_weights([np.ones((1, 1, 1, 1)), np.maximum(scores, 0)])
    (heat,) = class_activation_map(Network(model, "unit"), white, "conv", 0, "hirescam")
    assert heat.note == "sparse: 1.6% of the map holds nearly all positive evidence for 'class 0'"


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"of": "probability"}, 'of must be "logit" or "log_odds", got .probability.'),
        ({"of": None}, "of must be"),
        ({"against": 1}, "against contains the target itself"),
        ({"against": [0, 1]}, "against contains the target itself"),
        ({"against": []}, "against must name at least one class"),
        ({"against": 5}, "no class 5"),
        ({"against": "cat"}, "no class 'cat'|no class names"),
        ({"against": [True]}, "no class"),
        ({"target": PLAIN, "against": 0}, "against=0 is for a class, but the target is a function"),
        ({"target": PLAIN, "of": "log_odds"}, "of='log_odds' is for a class, but the target is a function"),
    ],
)
def test_what_cannot_be_explained_is_refused(noise, keywords, message):
    settings = {"target": 1, **keywords}
    for verb in (class_activation_map, attribution):
        with pytest.raises(BadTarget, match=message):
            verb(network(), noise(12, 12, 3), **settings)


def test_the_top_class_is_not_explained_against_itself(noise):
    net, picture = network(), noise(12, 12, 3)
    top = net.predict(picture)[0].index
    for verb in (class_activation_map, attribution):
        with pytest.raises(BadTarget, match=f"against contains the target itself, class {top}"):
            verb(net, picture, against=top)


def test_other_classes_to_compare_with_trace_nothing_anew(noise):
    net, picture = Network(network().model, "unit"), noise(12, 12, 3)
    raw_of(net, picture, "hirescam", 1, against=0)
    kept = len(net.traces)
    raw_of(net, picture, "hirescam", 2, against=[3, 4, 0])
    assert len(net.traces) == kept
