"""The layers that are taken if none is named, each with its own meaning."""

from __future__ import annotations

import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.reachability import layer_of_interest
from cnnwidgets.model.backend import keras
from cnnwidgets.model.layer_choices import (
    convolutions,
    convolutions_of_any_axes,
    last_convolution,
    layers_with_units,
    map_layers,
    spatial_layers,
)
from cnnwidgets.model.network import Network

L = keras.layers


@pytest.fixture(scope="module")
def mixed():
    """A convolution that is called twice, one over tokens, and layers without rows and columns."""
    picture = keras.Input((8, 8, 3), name="picture")
    twice = L.Conv2D(3, 3, padding="same", name="twice")
    x = L.MaxPooling2D(name="pool")(twice(twice(picture)))
    x = L.Conv1D(5, 3, padding="same", name="over_tokens")(L.Reshape((16, 3), name="tokens")(x))
    return Network(keras.Model(picture, L.Dense(2, name="scores")(L.GlobalAveragePooling1D(name="mean")(x))), "unit")


def test_each_choice_has_its_own_condition(mixed):
    assert [info.path for info in layers_with_units(mixed)] == [
        "twice", "pool", "tokens", "over_tokens", "mean", "scores",
    ]  # fmt: skip
    assert spatial_layers(mixed) == ["twice", "pool"]
    assert map_layers(mixed) == ["twice", "pool", "tokens", "over_tokens"]
    assert (convolutions(mixed), convolutions(mixed, 1), convolutions(mixed, 2)) == (["twice"], ["twice"], [])
    assert [info.path for info in convolutions_of_any_axes(mixed)] == ["twice", "over_tokens"]
    assert last_convolution(mixed) == "twice"


def test_without_a_convolution_the_last_layer_with_units_comes_first(net):
    network = net("dense_only")
    assert not convolutions(network) and last_convolution(network) == network.layers[-1].path


def test_a_network_without_units_is_refused():
    picture = keras.Input((8, 8, 3))
    bare = Network(keras.Model(picture, keras.ops.mean(picture, (1, 2, 3))[:, None]), "unit")
    assert not layers_with_units(bare)
    for choose in (last_convolution, layer_of_interest):
        with pytest.raises(BadTarget, match="no layer with units"):
            choose(bare)
