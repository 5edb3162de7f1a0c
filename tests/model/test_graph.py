"""What a layer sees, by connections alone, is what the gradient says, or nothing is claimed."""

import pytest

from cnnwidgets.model import graph
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.graph import surely_back, surely_from
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import from_shapes

L = keras.layers


class Rounded(L.Layer):
    def call(self, x):
        return tf.round(x)


class WithOwnGradient(L.Layer):
    def call(self, x):
        return tf.custom_gradient(lambda y: (2 * y, lambda upstream: None))(x)


class ByParts(L.Layer):
    """Each row by itself, in a graph inside the graph."""

    def call(self, x):
        return tf.map_fn(lambda row: L.Activation("relu", name="inner")(row), x)


def behind(*middle, before=False):
    """A convolution, other layers, and another convolution, with a second picture that goes around all of them."""
    one, other = keras.Input((16, 16, 3), name="one"), keras.Input((16, 16, 3), name="other")
    x = L.Conv2D(4, 3, 2, name="first")(one)
    for layer in middle:
        x = layer(x)
    x = L.Conv2D(4, 3, name="second")(x)
    around = L.Conv2D(4, 3, 2, name="around")(other)
    both = L.Concatenate(name="both")([L.GlobalAveragePooling2D()(x), L.GlobalMaxPooling2D()(around)])
    return keras.Model([one, other], L.Dense(2, name="scores")(both))


MIDDLES = {
    "nothing": [],
    "curves": [L.BatchNormalization(), L.ELU(), L.Activation("gelu"), L.ZeroPadding2D(), L.UpSampling2D()],
    "swish": [L.Activation("silu")],
    "stopped": [L.Lambda(tf.stop_gradient)],
    "rounded": [Rounded()],
    "own gradient": [WithOwnGradient()],
    "parts": [ByParts()],
    "whole numbers": [L.Lambda(lambda x: tf.cast(tf.cast(x, tf.int32), tf.float32))],
    "shape alone": [L.Lambda(lambda x: tf.ones_like(x))],
}


def gradients_say(network, path):
    return graph.pictures_seen(network, path, network.layer(path).calls)


OF_SEVERAL_KINDS = ["siamese", "twice", "inputs_as_dict", "channels_first", "mixed_float16", "subclassed"]


@pytest.mark.parametrize("name", OF_SEVERAL_KINDS)
def test_connections_say_what_gradients_say_in_every_kind_of_model(net, name):
    network = net(name)
    for info in network.layers[1:]:
        assert [network.sees(info.path, call) for call in range(info.calls)] == gradients_say(network, info.path)


@pytest.mark.parametrize("name", MIDDLES)
def test_connections_say_what_gradients_say_whatever_stands_in_between(name):
    network = Network(behind(*MIDDLES[name]), "none")
    for path in ("second", "scores"):
        assert [network.sees(path)] == gradients_say(network, path)


def test_a_preprocessing_that_stops_gradients_is_noticed():
    network = Network(behind(), lambda pictures: tf.stop_gradient(pictures))
    assert network.sees("second") == ()


def test_ordinary_layers_need_no_gradient(monkeypatch, net):
    monkeypatch.setattr(graph, "pictures_seen", None)
    network = Network(behind(*MIDDLES["curves"]), "none")
    assert network.sees("first") == (0,) and network.sees("scores") == (0, 1)
    assert net("plain").sees("conv2") == (0,)


# Where a gradient surely passes: never where there is none, and in usual networks wherever there is one.


@tf.custom_gradient
def ignoring_the_second(x, y):
    return x + y, lambda upstream: (upstream, None)


def ways(make):
    """(sure on the way back, sure on the way there, by gradient) for the first layer of a model of two inputs."""

    def run():
        first, second = (tf.raw_ops.Placeholder(dtype=tf.float32, shape=[1, 8, 8, 3]) for _ in range(2))
        value = make(first * 2, second * 3)
        back = surely_back(value.op)
        found = [(one.op in back, value.op in surely_from(one.op)) for one in (first, second)]
        gradients = tf.gradients(value, [first, second])
        return [(*sure, one is not None) for sure, one in zip(found, gradients, strict=True)]

    return from_shapes(run)


def convolved(x):
    return tf.nn.bias_add(tf.nn.conv2d(x, tf.ones([3, 3, 3, 4]), 2, "SAME"), tf.ones(4))


USUAL = {
    "convolutions": lambda x, y: tf.reduce_sum(tf.nn.relu(convolved(x)) + tf.nn.max_pool2d(convolved(y), 2, 1, "SAME")),
    "a class": lambda x, y: tf.gather(tf.reduce_mean(x + y, [1, 2]), [[1]], batch_dims=1)[0, 0],
    "swish": lambda x, y: tf.reduce_sum(tf.nn.silu(x) * keras.activations.gelu(y)),
}
CUT = {
    "stop_gradient": lambda x, y: tf.reduce_sum(x + tf.stop_gradient(y)),
    "rounding": lambda x, y: tf.reduce_sum(x * tf.round(y)),
    "whole numbers": lambda x, y: tf.reduce_sum(x) + tf.cast(tf.reduce_sum(tf.cast(y, tf.int32)), tf.float32),
    "a choice": lambda x, y: tf.reduce_sum(tf.where(y > 0, x, 0.0)),
    "shapes": lambda x, y: tf.reduce_sum(x) * tf.cast(tf.size(y), tf.float32),
    "its own gradient": lambda x, y: tf.reduce_sum(ignoring_the_second(x, y)),
}


@pytest.mark.parametrize("make", USUAL.values(), ids=USUAL)
def test_every_gradient_of_a_usual_network_is_sure_on_the_way_back(make):
    assert [(back, is_there) for back, _, is_there in ways(make)] == [(True, True)] * 2


@pytest.mark.parametrize("make", CUT.values(), ids=CUT)
def test_no_gradient_is_sure_where_there_is_none(make):
    (back, _, is_there), second = ways(make)
    assert back and is_there
    assert second == (False, False, False)
