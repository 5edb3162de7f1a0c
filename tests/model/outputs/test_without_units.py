"""Predictions without some units of a layer."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.unit_attribution import unit_attribution
from cnnwidgets.model.network import Network


def logits(network, picture, **keywords):
    found = network.predict(picture, top=99, **keywords)
    return np.log([one.probability for one in sorted(found)])


def test_what_a_unit_adds_to_the_logit_is_missing_without_it(net, noise):
    network, picture = net("nested"), noise(24, 24, 3)
    before, after = logits(network, picture), logits(network, picture, without={"backbone/conv": [1, 4]})
    lost = [unit_attribution(network, picture, "backbone", target)[0].shares[[1, 4]].sum() for target in range(3)]
    np.testing.assert_allclose(np.diff(before - after), np.diff(lost), atol=1e-5)


def test_every_call_of_a_layer_loses_the_unit(build, noise):
    network, picture = Network(build("twice"), "unit"), noise(24, 24, 3)
    conv, head = network.model.get_layer("conv"), network.model.get_layer("logits")
    keep = np.array([1, 0, 1], np.float32)
    last = conv(conv(picture[None]) * keep).numpy() * keep
    expected = last.mean((1, 2)) @ head.kernel.numpy() + head.bias.numpy()
    found = logits(network, picture, without={"conv": [1]})
    np.testing.assert_allclose(np.diff(found), np.diff(expected[0]), rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "layer"), [("channels_first", "conv1"), ("subclassed", "deep_conv"), ("plain", "gap")]
)
def test_all_units_off_leave_what_the_biases_say(net, noise, name, layer):
    network = net(name)
    every = range(network.layer(layer).units)
    one, other = (logits(network, noise(32, 32, 3, seed=seed), without={layer: every}) for seed in (1, 2))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_several_layers_one_number_and_nothing_at_all(net, noise):
    network, picture = net("plain"), noise(24, 24, 3)
    assert network.predict(picture, without={}) == network.predict(picture)
    np.testing.assert_allclose(logits(network, picture, without={"conv1": []}), logits(network, picture), atol=1e-5)
    both = logits(network, picture, without={"conv1": 2, "conv2": np.array([3])})
    assert not np.allclose(both, logits(network, picture, without={"conv1": [2]}))


def test_other_units_trace_nothing_new_and_the_model_is_untouched(build, net, noise, snapshot_of):
    network, picture = net("plain"), noise(24, 24, 3)
    before = snapshot_of(network.model)
    network.predict(picture, without={"conv1": [0]})
    kept = len(network.traces)
    network.predict(picture, without={"conv1": [5, 6]})
    assert len(network.traces) == kept
    assert snapshot_of(network.model) == before


@pytest.mark.parametrize(
    "without",
    [{"nope": [1]}, {"conv1": [8]}, {"conv1": [-1]}, {"conv1": "0"}, {"conv1": [True]}, {"picture": [0]}, [3], "conv1"],
)
def test_what_does_not_exist_is_refused(net, noise, without):
    with pytest.raises(BadTarget):
        net("plain").predict(noise(24, 24, 3), without=without)
