"""Shapes by Keras' rules are those of a run that is traced."""

from __future__ import annotations

import pytest

from cnnwidgets import zoo
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing import cost
from cnnwidgets.model.tracing.shapes_by_rules import shapes_by_rules

L = keras.layers


def branches():
    """Every kind of layer that Keras' rules tell of."""
    x = picture = keras.Input((None, None, 3))
    x = L.Rescaling(2.0)(x)
    x = L.ZeroPadding2D(((0, 1), (2, 0)))(x)
    shared = L.Conv2D(3, 3, 2, "valid", name="shared")
    x = L.BatchNormalization()(shared(shared(x)))
    parts = [L.Activation("tanh")(x), L.ReLU()(x), L.Dropout(0.5)(L.LeakyReLU()(x))]
    x = L.Concatenate()([L.Add()(parts), L.Multiply()(parts[:2])])
    x = L.DepthwiseConv2D(3, padding="same", dilation_rate=2)(x)
    x = L.Concatenate()([L.MaxPooling2D(3, 2)(x), L.AveragePooling2D(3, 2)(x)])
    flat = [L.GlobalAveragePooling2D()(x), L.Flatten()(L.GlobalMaxPooling2D(keepdims=True)(x))]
    return keras.Model(picture, L.Softmax()(L.Dense(4)(L.Concatenate()(flat))))


@pytest.mark.parametrize("height, width", [(32, 32), (37, 54), (64, 31)])
def test_shapes_by_rules_are_those_of_a_traced_run(height, width):
    network, canvas = Network(branches(), "none"), Canvas((height, width, 3))
    found = cost._calls_by_rules(network, canvas)
    assert len(found) == 22 and found == cost._calls_as_traced(network, canvas)


def test_shapes_by_rules_are_those_of_a_bundled_network():
    network = zoo.load_network("squeezenet")
    for canvas in (Canvas((128, 96, 3)), Canvas((64, 64, 3), fed=(224, 224))):
        assert cost._calls_by_rules(network, canvas) == cost._calls_as_traced(network, canvas)


@pytest.mark.parametrize("side", [1, 5, 8, 12])
def test_rules_say_nothing_of_pictures_that_are_too_small(side):
    assert shapes_by_rules(branches(), (1, side, side, 3)) is None


@pytest.mark.parametrize("name", ["nested", "siamese", "subclassed", "channels_first", "inputs_as_dict"])
def test_other_kinds_of_models_are_traced(net, name):
    network = net(name)
    info = network.inputs[network.picture_inputs[-1]]
    assert cost._calls_by_rules(network, Canvas((32, 32, info.channels), network.picture_inputs[-1])) is None


def test_a_preprocessing_of_the_users_own_is_traced():
    network = Network(branches(), lambda pictures: pictures[:, ::2, ::2])
    assert cost._calls_by_rules(network, Canvas((64, 64, 3))) is None
