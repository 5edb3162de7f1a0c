"""The logit is found wherever a softmax or sigmoid hides it."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.compute.ascent import ascend
from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.compute.network import Network
from cnnwidgets.compute.objectives import class_logit

L, ops = keras.layers, keras.ops

HEADS = {
    "no activation": (lambda x: L.Dense(3, name="head")(x), ""),
    "in the layer": (lambda x: L.Dense(3, "softmax", name="head")(x), "softmax"),
    "a layer of its own": (lambda x: L.Softmax()(L.Dense(3, name="head")(x)), "softmax"),
    "an Activation": (lambda x: L.Activation("softmax")(L.Dense(3, name="head")(x)), "softmax"),
    "a bare operation": (lambda x: ops.softmax(L.Dense(3, name="head")(x)), "softmax"),
    "log softmax": (lambda x: L.Dense(3, "log_softmax", name="head")(x), "log_softmax"),
    "sigmoids": (lambda x: L.Dense(3, "sigmoid", name="head")(x), "sigmoid"),
    "another activation": (lambda x: L.Dense(3, "tanh", name="head")(x), ""),
}


@pytest.mark.parametrize("head", HEADS)
def test_the_logit_is_found_wherever_it_hides(noise, head):
    make, squashed_by = HEADS[head]
    picture = keras.Input((None, None, 3), name="picture")
    pooled = L.GlobalAveragePooling2D(name="pooled")(picture)
    network, pictures = Network(keras.Model(picture, make(pooled))), noise(2, 6, 6, 3)
    (info,) = network.outputs
    assert (info.squashed_by, info.classes, info.is_decision) == (squashed_by, 3, False)
    kernel, bias = network.model.get_layer("head").get_weights()
    expected = pictures.mean((1, 2)) @ kernel + bias
    expected = np.tanh(expected) if head == "another activation" else expected
    graph = tf.function(lambda p: network.logits(network.feed(p, 0)), autograph=False)
    np.testing.assert_allclose(graph(tf.constant(pictures)), expected, atol=1e-5)


def test_a_logit_is_climbed_though_its_softmax_is_saturated(build):
    """At probability 1 the softmax has no gradient; its logit has."""
    model = build("plain")
    model.get_layer("logits").bias.assign([1e4, 0, 0, 0, 0])
    first, *_, last = ascend(model, class_logit(1), size=16, steps=4)
    assert last.values > first.values
