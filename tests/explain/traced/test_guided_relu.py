"""Guided backpropagation guides activations and leaves gates alone, and its note says what was guided."""

import numpy as np
import pytest

from cnnwidgets.explain.attribution import attribution
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from tests.tiny_networks import fill

L = keras.layers
clip = lambda x: keras.ops.clip(x / 6 + 0.5, 0, 1)  # noqa: E731  # a hard sigmoid without a ReLU


def relu6_gate(x):
    return tf.nn.relu6(x + 3.0) * (1 / 6)


def network(block, first="relu", last=None):
    """A convolution, a block of layers, and class scores; weights by the order of layers, the same for each block."""
    picture = keras.Input((10, 10, 3))
    x = block(L.Conv2D(6, 3, padding="same", activation=first, name="conv")(picture))
    model = keras.Model(picture, L.Dense(3, activation=last)(L.GlobalAveragePooling2D()(x)))
    return Network(fill(model, 1, mean=0.1, bias=0.3), "unit")


def squeezed(gate, inner="silu"):
    """Squeeze-and-excitation: channels weighed by what their means say."""

    def block(x):
        s = L.Dense(6)(L.Dense(3, activation=inner)(L.GlobalAveragePooling2D()(x)))
        return L.Multiply()([x, L.Reshape((1, 1, 6))(L.Activation(gate)(s))])

    return block


def activated(function):
    return lambda x: L.Activation(function)(L.Conv2D(6, 3, padding="same")(x))


class Rectified(L.Layer):
    """relu(a) * b, a gate that is not scaled."""

    def __init__(self, relu, **keywords):
        super().__init__(**keywords)
        self.a, self.b, self.relu = L.Conv2D(6, 1), L.Conv2D(6, 1), relu

    def call(self, x):
        return self.relu(self.a(x)) * self.b(x)


GATES = {  # two blocks that are the same function, the second without any ReLU in its gate
    "hard sigmoid": (squeezed("hard_sigmoid"), squeezed(clip)),
    "hard sigmoid of Keras' MobileNetV3": (squeezed(relu6_gate), squeezed(clip)),
    "hard swish": (activated("hard_silu"), activated(lambda x: x * clip(x))),
    "hard sigmoid as an activation": (activated("hard_sigmoid"), activated(clip)),
    "a rectified factor": (Rectified(tf.nn.relu), Rectified(lambda x: tf.maximum(x, 0.0))),
}


def raw_of(net, picture):
    (heat,) = attribution(net, picture, 1, "guided_backprop")
    return heat.raw, heat.note


@pytest.mark.parametrize("name", GATES)
def test_a_gate_keeps_its_gradient(noise, name):
    block, same = GATES[name]
    picture = noise(10, 10, 3)
    (found, note), (expected, _) = (raw_of(network(one), picture) for one in (block, same))
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert note.startswith("not class-specific: ") and "parts of gates" in note


def test_features_that_a_gate_weighs_are_guided(noise):
    """relu(conv) * sigmoid(...): the ReLU is the activation, the sigmoid is the gate."""
    picture = noise(10, 10, 3)
    found, note = raw_of(network(squeezed("sigmoid")), picture)
    assert note.startswith("not class-specific: ") and "gates" not in note
    plain = attribution(network(squeezed("sigmoid")), picture, 1, "gradient")[0].raw
    assert np.abs(found - plain).max() > 0.01 * np.abs(plain).max()


def test_a_squared_relu_is_guided(noise):
    def square(x):
        rectified = tf.nn.relu(x)
        return rectified * rectified

    _, note = raw_of(network(activated(square), first=None), noise(10, 10, 3))
    assert note.startswith("not class-specific: ") and "gates" not in note


def test_the_note_says_where_the_main_path_has_no_relu(noise):
    picture = noise(10, 10, 3)
    _, note = raw_of(network(squeezed("sigmoid", "relu"), first="silu"), picture)
    assert note.startswith("partly guided: the main path") and "only one ReLU off that path is guided" in note
    found, note = raw_of(network(squeezed("hard_sigmoid"), first="silu"), picture)
    assert note == "not guided: the ReLUs of this network are all parts of gates, so this is the plain gradient"
    plain = attribution(network(squeezed("hard_sigmoid"), first="silu"), picture, 1, "gradient")[0].raw
    np.testing.assert_array_equal(found, plain)


def test_a_prelu_is_guided_like_the_leaky_relu_that_it_equals(noise):
    def prelu(x):
        return L.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.2))(x)

    def leaky(x):
        return L.LeakyReLU(negative_slope=0.2)(x)

    nets = [network(lambda x: x, first=None) for _ in range(2)]
    for index, layer in enumerate((prelu, leaky)):
        base = nets[index].model
        x = layer(base.layers[1](base.inputs[0]))
        nets[index] = Network(keras.Model(base.inputs[0], base.layers[-1](base.layers[-2](x))), "unit")
    (found, _), (expected, _) = (raw_of(net, noise(10, 10, 3)) for net in nets)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
