"""Units whose values before their activation function depend on the picture's average color alone."""

import keras
import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize import objectives as o
from cnnwidgets.visualize.terms.linear_maps import is_linear
from cnnwidgets.visualize.terms.objective_values import checked, values_of
from cnnwidgets.visualize.units import visualize_units

L = keras.layers
SIZE = 24


def model_of(*layers):
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])


def contrast(shape, dtype=None):
    """Weights that sum to zero, so that a map is below zero in some positions and above it in others."""
    drawn = np.random.default_rng(3).normal(size=shape)
    return tf.constant(drawn - drawn.mean((0, 1), keepdims=True), dtype)


def conv(name="unit", **settings):
    return L.Conv2D(6, 3, name=name, **{"activation": "relu", "kernel_initializer": contrast, **settings})


def value(model, layer="unit", before=True, picture=None):
    """What a picture gives for unit 2, and the means of its map before and after the activation function."""
    net = Network(model)
    picture = np.random.default_rng(1).random((1, SIZE, SIZE, 3), np.float32) if picture is None else picture
    wanted = checked(net, o.unit(layer, 2, before_activation=before))
    found = compiled(lambda x: values_of(net, wanted)(net.feed(x, 0, {}), wanted.numbers()))(tf.constant(picture))
    with net.record([layer], activations=True) as recording:
        net.call(net.feed(tf.constant(picture), 0, {}))
    means = [float(recording.activation(layer, 0, early)[..., 2].numpy().mean()) for early in (True, False)]
    return float(found[0]), *means


FIRST = {
    "a convolution": lambda: [conv()],
    "a scaled picture": lambda: [L.Rescaling(1 / 255), conv()],
    "a normalized picture": lambda: [L.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.1, 0.2]), conv()],
    "padding": lambda: [L.ZeroPadding2D(2), conv()],
    "a layer for the function": lambda: [conv("c", activation=None), L.BatchNormalization(), L.ReLU(6, name="unit")],
    "depthwise": lambda: [L.DepthwiseConv2D(3, activation="relu", depthwise_initializer=contrast, name="unit")],
    "two without a function between": lambda: [conv("c", activation=None), L.AveragePooling2D(2), conv()],
    "half precision": lambda: [conv(dtype="mixed_float16")],
    "a function of another shape": lambda: [conv(activation="gelu")],
    "inside another model": lambda: [keras.Sequential([L.Rescaling(1 / 255), L.Identity()]), conv()],
    "strides": lambda: [conv(strides=2, padding="same")],
}
LATER = {
    "after a function": lambda: [conv("c"), conv()],
    "after pooling by the largest": lambda: [L.MaxPooling2D(), conv()],
    "after a function that is a layer": lambda: [L.Conv2D(4, 3), L.LeakyReLU(), conv()],
    "without a function": lambda: [conv(activation=None)],
    "multiplied by a picture of itself": lambda: [Squared(), conv()],
}


class Squared(L.Layer):
    def call(self, inputs):
        return inputs * inputs


@pytest.mark.parametrize("layers", FIRST.values(), ids=FIRST)
def test_a_unit_of_a_first_layer_counts_by_its_activation(layers):
    found, before, after = value(model_of(*layers()))
    assert found == pytest.approx(after + 0.01 * before, rel=2e-3, abs=1e-4)
    assert after > before + 1e-3 * abs(before)


@pytest.mark.parametrize("layers", LATER.values(), ids=LATER)
def test_any_other_unit_counts_by_its_value_before_the_activation(layers):
    found, before, _ = value(model_of(*layers()))
    assert found == pytest.approx(before, rel=1e-4, abs=1e-5)


def test_the_activation_itself_can_be_maximized_alone():
    found, _, after = value(model_of(conv()), before=False)
    assert found == pytest.approx(after, rel=1e-5)


def test_a_direction_in_a_first_layer_has_a_gradient_for_patterns():
    net = Network(edges())
    wanted = checked(net, o.direction("unit", [1.0, 0.0, 0.0, 0.0]))
    stripes = np.tile(np.where(np.arange(SIZE) % 8 < 4, 0.1, 0.9)[None, None, :, None], (1, SIZE, 1, 3))
    pictures = np.concatenate([stripes, np.full_like(stripes, 0.5)]).astype(np.float32)
    run = compiled(lambda x: values_of(net, wanted)(net.feed(x, 0, {}), wanted.numbers()))
    striped, gray = run(tf.constant(pictures)).numpy()
    assert striped > gray + 1


def edges():
    """Four edges of four directions, whose weights sum to zero: an average color tells nothing of them."""
    model = model_of(L.Conv2D(4, 3, padding="same", activation="relu", name="unit"))
    across = np.array([[-1, 0, 1]] * 3, np.float32)
    kernels = np.stack([across, across.T, -across, -across.T], -1)[:, :, None, :].repeat(3, 2)
    model.get_layer("unit").set_weights([kernels, np.zeros(4)])
    return model


def test_the_picture_of_an_edge_has_edges_of_its_direction():
    found = visualize_units(Network(edges()), "unit", range(4), size=SIZE, steps=40)
    inner = found.pictures.mean(-1)[:, 3:-3, 3:-3]
    down, across = (np.abs(np.diff(inner, axis=axis)).mean((1, 2)) for axis in (1, 2))
    assert (across[[0, 2]] > 1.2 * down[[0, 2]]).all()
    assert (down[[1, 3]] > 1.2 * across[[1, 3]]).all()
    assert (found.values > 1).all()


def test_what_is_run_eagerly_is_not_known():
    assert not is_linear(tf.ones([1, 4, 4, 3]), [])
