"""What feeds a unit and what it feeds, by weight, through what lies between."""

import numpy as np
import pytest

from cnnwidgets.activations.unit_links import unit_links
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from tests.tiny_networks import seeded

L = keras.layers


def network(*layers, size=(16, 16), channels=3):
    x = picture = keras.Input((*size, channels), name="picture")
    for layer in layers:
        x = layer(x)
    return Network(seeded(keras.Model(picture, x)), preprocess="unit")


def strengths(kernel):
    """[kh, kw, in, out] -> [in, out]: sums of absolute weights with the sign of their sum."""
    return np.abs(kernel).sum((0, 1)) * np.where(kernel.sum((0, 1)) < 0, -1, 1)


def of(links):
    return {(link.path, link.unit): link.weight for link in links}


def test_weights_are_followed_through_normalization_activation_and_pooling():
    net = network(
        L.Conv2D(4, 3, name="a"), L.BatchNormalization(name="bn"), L.ReLU(name="relu"), L.MaxPooling2D(name="pool"),
        L.Conv2D(5, 3, name="b"), L.GlobalAveragePooling2D(name="gap"), L.Dense(3, name="c"),
    )  # fmt: skip
    between = strengths(net.model.get_layer("b").kernel.numpy())
    after = net.model.get_layer("c").kernel.numpy()
    for layer in ("a", "bn", "relu", "pool"):
        found = unit_links(net, layer, 2)
        assert of(found.outgoing) == pytest.approx({("b", v): between[2, v] for v in range(5)}, rel=1e-5)
        assert found.incoming == (), "the picture has no units"
    found = unit_links(net, "b", 4)
    assert of(found.incoming) == pytest.approx({("pool", u): between[u, 4] for u in range(4)}, rel=1e-5)
    assert of(found.outgoing) == pytest.approx({("c", v): after[4, v] for v in range(3)}, rel=1e-5)
    sizes = [abs(link.weight) for link in found.incoming]
    assert sizes == sorted(sizes, reverse=True)


def test_a_concatenation_leads_to_the_branch_that_the_unit_is_of():
    x = picture = keras.Input((16, 16, 3), name="picture")
    first = L.Conv2D(4, 1, name="first")(x)
    left, right = L.Conv2D(2, 1, name="left")(first), L.Conv2D(3, 1, name="right")(first)
    both = L.Concatenate(name="both")([left, right])
    net = Network(seeded(keras.Model(picture, L.Conv2D(2, 1, name="last")(both))), preprocess="unit")
    right, last = (strengths(net.model.get_layer(name).kernel.numpy()) for name in ("right", "last"))
    found = unit_links(net, "both", 3)
    assert of(found.incoming) == pytest.approx({("first", u): right[u, 1] for u in range(4)}, rel=1e-5)
    assert of(unit_links(net, "right", 1).outgoing) == pytest.approx(
        {("last", v): last[3, v] for v in range(2)}, rel=1e-5
    )
    assert of(unit_links(net, "last", 0).incoming).keys() == {("both", u) for u in range(5)}


def test_a_sum_leads_to_every_branch():
    x = picture = keras.Input((16, 16, 3), name="picture")
    x = L.Conv2D(4, 1, name="first")(x)
    x = L.Add(name="sum")([x, L.Conv2D(4, 1, name="second")(x)])
    net = Network(seeded(keras.Model(picture, L.Conv2D(2, 1, name="last")(x))), preprocess="unit")
    assert {path for path, _ in of(unit_links(net, "sum", 1).incoming)} == {"first"}
    assert {path for path, _ in of(unit_links(net, "first", 1).outgoing)} == {"second", "last"}


def test_groups_and_depthwise_lead_to_their_own_channels():
    net = network(
        L.Conv2D(4, 1, name="a"), L.Conv2D(6, 3, groups=2, name="grouped"),
        L.DepthwiseConv2D(3, depth_multiplier=2, name="deep"), L.SeparableConv2D(3, 3, name="separable"),
    )  # fmt: skip
    assert of(unit_links(net, "grouped", 4).incoming).keys() == {("a", 2), ("a", 3)}
    assert of(unit_links(net, "a", 1).outgoing).keys() == {("grouped", v) for v in range(3)}
    assert of(unit_links(net, "deep", 7).incoming).keys() == {("grouped", 3)}
    assert of(unit_links(net, "grouped", 3).outgoing).keys() == {("deep", 6), ("deep", 7)}
    assert len(unit_links(net, "separable", 1, count=20).incoming) == 12


def test_a_transposed_convolution_is_followed_both_ways():
    net = network(
        L.Conv2D(4, 3, name="a"), L.Conv2DTranspose(5, 3, 2, "same", name="up"), L.ReLU(name="relu"),
        L.Conv2DTranspose(2, 2, name="last"),
    )  # fmt: skip
    up, last = (strengths(net.model.get_layer(name).kernel.numpy().swapaxes(2, 3)) for name in ("up", "last"))
    assert of(unit_links(net, "a", 1).outgoing) == pytest.approx({("up", v): up[1, v] for v in range(5)}, rel=1e-5)
    assert of(unit_links(net, "up", 3).incoming) == pytest.approx({("a", u): up[u, 3] for u in range(4)}, rel=1e-5)
    assert of(unit_links(net, "relu", 3).outgoing) == pytest.approx(
        {("last", v): last[3, v] for v in range(2)}, rel=1e-5
    )


def test_a_dense_layer_behind_a_flattening_sees_a_unit_at_every_position():
    net = network(L.Conv2D(4, 3, name="a"), L.Flatten(name="flat"), L.Dense(3, name="dense"), size=(5, 5))
    kernel = net.model.get_layer("dense").kernel.numpy().reshape(9, 4, 3)
    expected = np.abs(kernel).sum(0) * np.where(kernel.sum(0) < 0, -1, 1)
    assert of(unit_links(net, "a", 2).outgoing) == pytest.approx(
        {("dense", v): expected[2, v] for v in range(3)}, rel=1e-5
    )
    incoming = of(unit_links(net, "dense", 1).incoming)
    assert incoming.keys() == {("a", u) for u in range(4)}


def test_a_nested_model_is_looked_into(net):
    found = unit_links(net("nested"), "backbone/conv", 1)
    assert {path for path, _ in of(found.incoming)} == {"backbone/deep.v2/conv"}
    assert {path for path, _ in of(found.outgoing)} == {"logits"}
    assert of(unit_links(net("nested"), "backbone/deep.v2", 1).outgoing) == of(
        unit_links(net("nested"), "backbone/deep.v2/conv", 1).outgoing
    )


def test_any_tiny_model_has_links_or_none(net):
    for name in ("plain", "twice", "subclassed", "channels_first", "siamese", "inputs_as_dict", "mixed_float16"):
        for info in net(name).layers:
            if info.units and info.calls:
                unit_links(net(name), info.path, info.units - 1)


def test_what_does_not_exist_is_refused(net):
    for arguments in (("nope", 0), ("conv1", 99), ("conv1", -1)):
        with pytest.raises(BadTarget):
            unit_links(net("plain"), *arguments)
