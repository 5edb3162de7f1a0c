"""An objective of the user's own: it is climbed, added and multiplied as others are, and what is wrong is said."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.provenance.recipe import Recipe
from cnnwidgets.visualize import objectives as o


def of_channel(unit):
    return lambda activation: tf.reduce_mean(activation[..., unit], [1, 2])


def last(network, objective, **settings):
    *_, frame = cw.ascend(network, objective, **{"size": 16, "steps": 3, **settings})
    return frame


LAYERS = {"plain": "conv1", "channels_first": "conv2", "mixed_float16": "conv", "siamese": "encoder/conv"}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("before", [False, True])
def test_a_function_is_worth_what_the_same_named_objective_is(net, noise, value_of, name, before):
    network = net(name)
    pictures = noise(2, 32, 32, 3)
    mine = o.custom(LAYERS[name], of_channel(2), before_activation=before)
    usual = o.channel(LAYERS[name], [2, 2], before_activation=before)
    np.testing.assert_allclose(
        value_of(network, mine, pictures), value_of(network, usual, pictures), rtol=2e-3, atol=1e-4
    )


def test_its_mean_square_is_climbed_to_the_same_picture_as_the_layer(net):
    mine = o.custom("conv2", lambda activation: tf.reduce_mean(tf.square(activation), [1, 2, 3]))
    ours = last(net("plain"), mine)
    np.testing.assert_array_equal(ours.pictures, last(net("plain"), o.layer("conv2")).pictures)


def test_it_takes_part_in_sums_and_multiples_for_several_pictures(net, noise, value_of):
    pictures, network = noise(2, 16, 16, 3), net("plain")
    a, b = o.custom("conv1", lambda x: tf.reduce_max(x, [1, 2, 3])), o.channel("conv2", [1, 2])
    c = o.custom("gap", lambda x: x[:, 3])
    parts = [value_of(network, objective, pictures) for objective in (a, b, c)]
    total = value_of(network, a + 0.5 * b - c / 4, pictures)
    np.testing.assert_allclose(total, parts[0] + 0.5 * parts[1] - parts[2] / 4, rtol=1e-5, atol=1e-6)
    assert last(network, a + 0.5 * b - c / 4).values.shape == (2,)


def boom(activation):
    raise ValueError("negative numbers are not for me")


def at_run_time(activation):
    with tf.control_dependencies([tf.debugging.assert_less(activation, -1e9)]):
        return tf.reduce_mean(activation, [1, 2, 3])


WRONG = {
    "raises": (boom, "raised ValueError: negative numbers"),
    "raises while it runs": (at_run_time, "raised InvalidArgumentError"),
    "two arguments": (lambda a, b: a, "raised TypeError"),
    "numpy": (lambda a: np.mean(a, (1, 2, 3)), "raised NotImplementedError.*use TensorFlow"),
    "nothing": (lambda a: None, "returned None, which is not a number"),
    "a map": (lambda a: a[..., 1], r"returned the shape \(1, \d+, \d+\) for an activation \(1, \d+, \d+, 12\)"),
    "one number": (lambda a: tf.reduce_mean(a), r"returned the shape \(\)"),
    "a number for another batch": (lambda a: tf.reduce_mean(a, [0, 1, 2]), r"returned the shape \(12,\)"),
    "constant": (lambda a: tf.ones(1), "has no gradient"),
    "argmax": (lambda a: tf.argmax(a[:, 0, 0], -1), "has no gradient"),
    "stopped": (lambda a: tf.stop_gradient(a[:, 0, 0, 0]), "has no gradient"),
    "nan": (lambda a: tf.math.log(-1 - tf.square(a[:, 0, 0, 0])), "returned NaN or infinity"),
    "infinite gradient": (lambda a: tf.sqrt(0 * a[:, 0, 0, 0]), "its gradient is not finite"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_function_is_said_with_its_name_and_layer(net, name):
    function, words = WRONG[name]
    for objective in (o.custom("conv2", function), o.channel("conv2", 0) + 2 * o.custom("conv2", function)):
        with pytest.raises(BadTarget, match="The objective function '.*' of 'conv2' .*" + words):
            last(net("plain"), objective)


def test_a_network_that_is_not_finite_is_not_blamed_on_the_function(build):
    model = build("plain")
    model.get_layer("conv1").kernel.assign(model.get_layer("conv1").kernel * np.nan)
    with pytest.raises(cw.BadModel, match="conv1"):
        last(cw.Network(model), o.custom("conv2", of_channel(1)))


@pytest.mark.parametrize("function", [3, None, "mean", []])
def test_only_a_function_is_taken(function):
    with pytest.raises(BadTarget, match="function must be a function of a layer's activation, got "):
        o.custom("conv2", function)


def test_graphs_are_kept_by_what_the_function_does(build):
    network = cw.Network(build("plain"))

    def scaled(factor):
        return lambda activation: factor * tf.reduce_mean(activation, [1, 2, 3])

    once = last(network, o.custom("conv2", scaled(1.0))).values
    kept = len(network.traces)
    again = last(network, o.custom("conv2", scaled(1.0))).values
    assert len(network.traces) == kept  # another function object of the same content
    np.testing.assert_array_equal(once, again)
    last(network, 3 * o.custom("conv2", scaled(1.0)))
    assert len(network.traces) == kept  # a weight is a tensor
    other = last(network, o.custom("conv2", scaled(2.0)), steps=1).values
    np.testing.assert_allclose(other, 2 * last(network, o.custom("conv2", scaled(1.0)), steps=1).values, rtol=1e-5)
    assert len(network.traces) == kept + 1


def test_a_recipe_says_that_it_cannot_hold_a_function():
    with pytest.raises(BadTarget, match="is not a value for a recipe, which holds settings and not code"):
        Recipe("ascend", "plain", 64 * "0", {"layer": "conv2", "unit": of_channel(0)}, {}, "cpu")


def test_keras_operations_will_do(net):
    assert np.isfinite(last(net("plain"), o.custom("conv2", lambda a: keras.ops.mean(a, (1, 2, 3)))).values).all()
