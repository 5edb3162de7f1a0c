"""Every layer has a path, a kind and a shape."""

import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.reachability import layer_of_interest
from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras
from cnnwidgets.model.layers import (
    convolutions,
    convolutions_of_any_axes,
    last_convolution,
    layers_with_units,
    map_layers,
    spatial_layers,
)
from cnnwidgets.model.network import Network

L = keras.layers


# -- paths


def test_nested_layers_are_listed_outer_before_inner_by_path(net):
    assert [info.path for info in net("nested").layers] == [
        "c", "backbone", "backbone/b", "backbone/deep.v2", "backbone/deep.v2/a", "backbone/deep.v2/conv",
        "backbone/conv", "gap", "logits",
    ]  # fmt: skip


def test_a_shared_encoder_is_listed_once_with_its_calls(net):
    assert {i.path: i.calls for i in net("siamese").layers} == {
        "left": 0, "right": 0, "encoder": 2, "encoder/i": 0, "encoder/conv": 2, "encoder/gap": 2,
        "difference": 1, "same": 1,
    }  # fmt: skip


def test_layers_inside_a_custom_layer_have_paths(net):
    assert [i.path for i in net("subclassed").layers] == ["conv", "block", "block/deep_conv", "gap", "logits"]
    assert net("subclassed").layer("deep_conv").output_shape == (None, None, 4)


def test_two_layers_of_one_name_get_different_paths():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Conv2D(2, 3, name="conv"), L.Conv2D(3, 3, name="conv")

        def call(self, x):
            return self.second(self.first(x))

    model = Twins()
    assert [(path, layer.filters) for path, layer in layers_.by_path(model).items()] == [("conv", 2), ("conv#2", 3)]


def test_a_layer_knows_kind_shape_units_parameters_and_calls(net):
    paths = ("conv2", "pool1", "gap", "logits", "predictions")
    conv, pool, gap, logits, softmax = (net("plain").layer(path) for path in paths)
    assert (conv.kind, conv.output_shape, conv.units, conv.parameters, conv.calls) == (
        "conv", (None, None, 12), 12, 3 * 3 * 8 * 12 + 12, 1,
    )  # fmt: skip
    assert (pool.kind, pool.output_shape, pool.units, pool.parameters) == ("pooling", (None, None, 8), 8, 0)
    assert (gap.output_shape, gap.is_spatial, conv.is_spatial) == ((12,), False, True)
    assert (logits.kind, logits.units, softmax.kind) == ("dense", 5, "activation")


def test_units_are_the_channels_where_channels_come_first(net):
    units = {i.path: (i.output_shape, i.units) for i in net("channels_first").layers}
    assert units["picture"] == ((3, 32, 32), 3)
    assert units["conv1"] == ((6, 30, 30), 6)
    assert units["bn1"] == ((6, 30, 30), 6)
    assert units["relu1"] == ((6, 30, 30), 6)
    assert units["conv2"] == ((5, 13, 13), 5)


KINDS = {
    "conv": [L.DepthwiseConv2D(3), L.SeparableConv2D(3, 3), L.Conv2DTranspose(3, 3), L.Conv1D(3, 3)],
    "activation": [L.ReLU(), L.Activation("tanh"), L.Softmax(), L.PReLU()],
    "pooling": [L.GlobalMaxPooling2D(), L.AveragePooling2D(2)],
    "normalization": [L.BatchNormalization(), L.LayerNormalization()],
    "dense": [L.Dense(3)],
    "merge": [L.Add(), L.Concatenate()],
    "other": [L.Flatten(), L.Dropout(0.1), L.Rescaling(2.0)],
    "input": [L.InputLayer((3,))],
    "model": [keras.Sequential()],
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(kind):
    assert {layers_.kind_of(layer) for layer in KINDS[kind]} == {kind}


def test_listing_layers_runs_nothing_and_changes_nothing(build, snapshot_of):
    class Counting(L.Layer):
        def build(self, shape):
            self.runs = self.add_weight(name="runs", shape=(), initializer="zeros", trainable=False)

        def call(self, x):
            self.runs.assign_add(1.0)
            return x

    inner = build("plain")
    model = keras.Sequential([keras.Input((None, None, 3)), Counting(name="counting"), inner])
    before = snapshot_of(model)
    assert Network(model).layer("counting").calls == 1
    assert float(model.layers[0].runs.numpy()) == 0
    assert snapshot_of(model) == before


def test_a_path_or_an_unambiguous_last_part_finds_a_layer(net):
    nested = net("nested")
    assert nested.layer("backbone/deep.v2/conv").path == "backbone/deep.v2/conv"
    assert nested.layer("deep.v2/conv").path == "backbone/deep.v2/conv"
    assert nested.layer("deep.v2").path == "backbone/deep.v2"


def test_an_ambiguous_last_part_names_the_candidates(net):
    with pytest.raises(BadTarget, match=r"2 layers 'conv'.*backbone/deep.v2/conv, backbone/conv"):
        net("nested").layer("conv")


@pytest.mark.parametrize("path", ["conv3", "", "onv2", None, 3, ["conv1"], "conv1/"])
def test_an_unknown_layer_is_named_with_what_exists(net, path):
    with pytest.raises(BadTarget, match="There is no layer .*conv1"):
        net("plain").layer(path)


def test_a_layer_itself_is_answered_with_its_path(net):
    nested = net("nested")
    for layer in (nested.layer("deep.v2"), nested.model.get_layer("backbone")):
        with pytest.raises(BadTarget, match="named by its path.*Give 'backbone"):
            nested.layer(layer)


# The layers that are taken if none is named, each with its own meaning.


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
