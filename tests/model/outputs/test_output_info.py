"""The logit is found wherever a softmax or sigmoid hides it."""

import collections

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.objectives import class_logit

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


def doubled(first, second):
    class Pair(L.Layer):
        def call(self, x):
            return ops.mean(x, [1, 2]), ops.max(x, [1, 2])

    picture = keras.Input((8, 8, 3))
    mean, high = Pair(name="pair")(picture)
    outputs = [mean, high] if second is None else [mean, high, L.Identity(name=second)(mean)]
    return keras.Model(picture, outputs, name=first)


def test_each_of_two_outputs_of_one_name_is_reached_and_the_shared_name_is_refused(noise):
    net, picture = Network(doubled("pairs", None), preprocess="unit"), noise(8, 8, 3)
    assert [info.name for info in net.outputs] == ["pair_0", "pair_1"]
    for index, name in enumerate(["pair_0", "pair_1"]):
        by_index, by_name = (cw.attribution(net, picture, 0, "gradient", output=o)[0].raw for o in (index, name))
        np.testing.assert_array_equal(by_index, by_name)
        assert (np.count_nonzero(by_index) == 64) == (index == 0)  # every pixel has a part in a mean, one in a maximum
    with pytest.raises(BadTarget, match="2 outputs are called 'pair'. Choose one of: pair_0, pair_1"):
        net.predict(picture, output="pair")


def test_a_number_in_a_name_never_collides_with_an_output_called_so():
    names = [info.name for info in Network(doubled("collides", "pair_0")).outputs]
    assert names == ["pair_1", "pair_2", "pair_0"]


class Dictionary(keras.Model):
    """Its outputs are a dict in an order of its own, one of them a pair."""

    def __init__(self):
        super().__init__(name="dictionary")
        self.low, self.high = L.Dense(2, "softmax", name="low"), L.Dense(3, name="high")

    def call(self, x):
        x = ops.mean(x, [1, 2])
        return collections.OrderedDict(z=self.low(x), a=(self.high(x), x))


def test_outputs_in_a_dict_of_any_order_and_nesting_have_their_own_names(noise):
    model = Dictionary()
    model(noise(1, 8, 8, 3))
    found = {info.name: info.shape for info in Network(model, preprocess="unit").outputs}
    assert found == {"z": (2,), "a/0": (3,), "a/1": (3,)}
