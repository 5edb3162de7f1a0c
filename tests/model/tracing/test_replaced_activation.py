"""An activation function that is replaced after a first verb reaches the next one."""

from __future__ import annotations

import numpy as np

import cnnwidgets as cw
from cnnwidgets.model.backend import keras

L = keras.layers


def test_a_replaced_activation_is_another_graph():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), L.Conv2D(2, 3, activation="relu", name="conv"), L.Flatten(), L.Dense(2)]
    )
    model.layers[0].kernel.assign(-np.ones((3, 3, 1, 2)))  # negative everywhere, so that the ReLU hides it
    net, picture = cw.Network(model, "unit"), np.full((8, 8), 0.5, np.float32)
    assert not cw.feature_maps(net, picture, layers=["conv"])["conv"].any()
    model.layers[0].activation = keras.activations.linear
    maps = cw.feature_maps(net, picture, layers=["conv"])["conv"]
    np.testing.assert_allclose(maps, -4.5, rtol=1e-5)
