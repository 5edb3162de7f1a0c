"""A segmentation [C, H, W] is read as one [H, W, C]."""

from functools import cache

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras

L = keras.layers
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def segmentation(order, ends_in_softmax=True, moved=False):
    first = order == "channels_first"
    x = picture = keras.Input((3, 16, 16) if first else (16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", data_format=order, name="conv")(x)
    x = L.Conv2D(5, 1, data_format=order, name="scores")(x)
    x = L.Permute((2, 3, 1))(x) if moved else x
    x = L.Softmax(axis=1 if first and not moved else -1)(x) if ends_in_softmax else x
    made, numbers = keras.Model(picture, x), np.random.default_rng(3)
    made.set_weights([numbers.normal(size=weight.shape) for weight in made.get_weights()])
    return cw.Network(made, "unit")


@cache
def channels_last(ends_in_softmax):
    """The network to compare with, traced once."""
    return segmentation("channels_last", ends_in_softmax)


@pytest.mark.parametrize("ends_in_softmax", [True, False])
@pytest.mark.parametrize("moved", [False, True])
def test_predictions_maps_and_class_pictures_are_those_of_the_same_network_channels_last(ends_in_softmax, moved):
    first, last = segmentation("channels_first", ends_in_softmax, moved), channels_last(ends_in_softmax)
    assert first.outputs[0].shape == last.outputs[0].shape == (16, 16, 5)
    for one, other in zip(first.predict(PICTURE), last.predict(PICTURE), strict=True):
        assert one.index == other.index and one.probability == pytest.approx(other.probability, abs=1e-5)
    mine, theirs = (cw.class_activation_map(net, PICTURE, "conv", target=4)[0].raw for net in (first, last))
    assert np.allclose(mine, theirs, atol=1e-5)
    if ends_in_softmax:
        mine, theirs = (cw.visualize_classes(net, [4], steps=1).pictures for net in (first, last))
        assert np.allclose(mine, theirs, atol=1e-4)
