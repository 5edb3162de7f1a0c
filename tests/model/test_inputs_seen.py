"""What a layer sees, by connections alone, is what the gradient says, or nothing is claimed."""

from __future__ import annotations

import pytest

from cnnwidgets.model import graph
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network

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
