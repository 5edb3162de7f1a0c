"""The mean of a channel is the same, with its gradient, whether its map is computed or not."""

import keras
import numpy as np
import pytest

from cnnwidgets.model import fast_means
from cnnwidgets.model.backend import tf
from cnnwidgets.model.fast_means import channel_means
from cnnwidgets.model.layers import by_path
from cnnwidgets.model.network import Network
from cnnwidgets.model.recording import record
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize import objectives as o
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.terms.objective_values import checked, values_of

L = keras.layers
SIZE = (14, 11)


def model_of(*layers, join=None):
    """A picture through layers, or through each of them and then joined."""
    x = picture = keras.Input((*SIZE, 3))
    if join is None:
        for layer in layers:
            x = layer(x)
    else:
        x = join([layer(picture) for layer in layers])
    model = keras.Model(picture, x)
    draw = np.random.default_rng(0)
    model.set_weights([draw.uniform(0.1, 1.0, w.shape) for w in model.get_weights()])
    return model


def means_both_ways(model):
    """(means, gradient) through `channel_means` and of the map itself, and how many convolutions the first runs."""
    layers = by_path(model)
    last = model.layers[-1].name
    picture = tf.constant(np.random.default_rng(1).random((2, *SIZE, 3), np.float32))
    weights = tf.constant(np.random.default_rng(2).random((1, model.output_shape[-1])), tf.float32)

    def by(mean):
        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                with record(layers, [last], activations=True) as recording:
                    model(x, training=False)
                means = mean(recording, recording.before_activation(recording.calls[last][0]))
                total = tf.reduce_sum(means * weights)
            return means, tape.gradient(total, x)

        return compiled(run)

    quick = by(channel_means)
    slow = by(lambda recording, activation: tf.reduce_mean(activation, [1, 2]))
    operations = [op.type for op in quick.get_concrete_function(picture).graph.get_operations()]
    return quick(picture), slow(picture), operations


def of_many_layers():
    for stride, padding, dilation in [(1, "same", 1), (2, "same", 1), (3, "valid", 1), (1, "valid", 2), (1, "same", 3)]:
        setting = {"strides": stride, "padding": padding, "dilation_rate": dilation}
        for size in (1, 3, (5, 2)):
            yield (
                f"conv {size} {setting}",
                lambda size=size, setting=setting: model_of(
                    L.Conv2D(4, 3, padding="same", activation="relu"), L.Conv2D(5, size, activation="relu", **setting)
                ),
            )
    yield "depthwise", lambda: model_of(L.Conv2D(4, 3), L.DepthwiseConv2D(3, 2, "same", depth_multiplier=2))
    yield "without bias", lambda: model_of(L.Conv2D(4, 3), L.Conv2D(5, 3, use_bias=False))
    yield "grouped", lambda: model_of(L.Conv2D(4, 3), L.Conv2D(6, 3, groups=2))
    yield "normalized", lambda: model_of(L.Conv2D(4, 3, use_bias=False), L.BatchNormalization(), L.ReLU(6.0))
    yield "normalized rows", lambda: model_of(L.Conv2D(4, 3), L.BatchNormalization(axis=1))
    yield (
        "joined",
        lambda: model_of(
            L.Conv2D(4, 1, activation="relu"), L.Conv2D(5, 3, padding="same", activation="relu"), join=L.Concatenate()
        ),
    )
    yield "joined rows", lambda: model_of(L.Conv2D(4, 1), L.Conv2D(4, 1), join=L.Concatenate(axis=1))
    yield "summed", lambda: model_of(L.Conv2D(4, 1), L.Conv2D(4, 3, padding="same", activation="tanh"), join=L.Add())
    yield "pooled", lambda: model_of(L.Conv2D(4, 3), L.MaxPooling2D())
    yield "dropped out", lambda: model_of(L.Conv2D(4, 3), L.Dropout(0.5))
    yield "subclassed", lambda: model_of(L.Conv2D(4, 3), Doubled(4, 3))


class Doubled(L.Conv2D):
    """A convolution in name only: its map is no longer linear in what it sees."""

    def call(self, inputs):
        return super().call(inputs) ** 2


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in of_many_layers()])
def test_means_and_their_gradient_are_those_of_the_map(make):
    quick, slow, _ = means_both_ways(make())
    for one, other in zip(quick, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


def test_the_last_convolution_gets_no_gradient_of_its_own():
    *_, operations = means_both_ways(model_of(L.Conv2D(4, 3, activation="relu"), L.Conv2D(5, 3, activation="relu")))
    assert operations.count("Conv2DBackpropInput") == 1  # the first one's


OBJECTIVES = {
    "channel": o.channel("conv2", [3, 5]),
    "after": o.channel("conv2", 3, before_activation=False),
    "unit": o.unit("conv2", [0, 7]),
    "unit of a row": o.unit("gap", 5),
    "direction": o.direction("conv2", np.arange(12) - 5),
    "class": o.class_logit([3, 0]),
    "rivals": o.class_logit(1) - 0.5 * o.rival_logits(1),
    "sum": o.channel("conv2", 1) + 2 * o.direction("conv1", np.ones(8)) - o.neuron("conv1", 2),
}


def value_and_gradient(network, objective, pictures, on):
    objective = checked(network, objective)
    with fast_means.switched(on):
        values = values_of(network, objective)
    pictures = tf.constant(pictures)

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = values(network.feed(x, network.picture_inputs[0]), objective.numbers())
            total = tf.reduce_sum(found)
        return found, tape.gradient(total, x)

    return compiled(run)(pictures)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_objective_of_means_is_the_same_with_them_switched_off(net, noise, name):
    objective = OBJECTIVES[name]
    pictures = noise(objective.pictures, 14, 11, 3)
    fast, slow = (value_and_gradient(net("plain"), objective, pictures, on) for on in (True, False))
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_the_two_classes_of_one_sigmoid_are_the_same_with_means_switched_off(net, noise):
    for objective in (o.class_logit(0), o.rival_logits(1)):
        fast, slow = (value_and_gradient(net("siamese"), objective, noise(1, 32, 32, 3), on) for on in (True, False))
        for one, other in zip(fast, slow, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


def test_a_run_asks_the_switch_where_it_begins_and_graphs_are_kept_apart(build):
    network = Network(build("plain"))

    def run():
        *_, frame = ascend(network, o.channel("conv2", 1), 16, 2)
        return frame.pictures

    first, kept = run(), len(network.traces)
    with fast_means.switched(False):
        assert not fast_means.is_on()
        slow = run()
        assert len(network.traces) == kept + 1
    assert fast_means.is_on()
    np.testing.assert_array_equal(first, run())
    assert len(network.traces) == kept + 1
    np.testing.assert_allclose(first, slow, atol=1e-3)
