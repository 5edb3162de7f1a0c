"""Passes for one picture: activation and gradient in one device call are those of two."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import Graph

L = keras.layers


def tokens():
    x = picture = keras.Input((8, 8, 3), name="picture")
    x = L.Reshape((16, 12), name="tokens")(L.Conv2D(12, 2, 2, name="patches")(x))
    x = L.Add(name="block")([x, L.Dense(12, activation="relu")(x)])
    return keras.Model(picture, L.Dense(3, name="logits")(L.GlobalAveragePooling1D()(L.LayerNormalization()(x))))


LAYERS = {
    "plain": "conv2", "nested": None, "siamese": None, "twice": None, "subclassed": None, "inputs_as_dict": None,
    "channels_first": "conv2", "mixed_float16": "conv", "with_state": "relu", "tokens": "block",
}  # fmt: skip


@pytest.fixture
def device_calls(monkeypatch):
    made, run = [], Graph.__call__
    monkeypatch.setattr(Graph, "__call__", lambda graph, *given: made.append(graph) or run(graph, *given))
    return made


@pytest.mark.parametrize("name", LAYERS)
def test_one_device_call_finds_what_two_find(name, net, noise, device_calls):
    network = Network(tokens(), "unit") if name == "tokens" else net(name)
    convolutions = [info.path for info in network.layers if info.kind == "conv"]
    path = LAYERS[name] or convolutions[-1]
    given = [
        noise(*(n or 32 for n in info.shape[:2]), 3) if info.is_picture else noise(*info.shape)
        for info in network.inputs
    ]
    picture = given[0] if len(given) == 1 else given
    plain, quick = Probe(network, picture), Probe(network, picture)
    target = plain.named(1, None)
    plain.activations(path)
    for call in range(network.layer(path).calls):
        expected = plain.backward_to(path, call, target)
        device_calls.clear()
        found = quick.backward_to(path, call, target)
        assert len(device_calls) == 1
        np.testing.assert_allclose(found.reading.value, expected.reading.value, rtol=1e-5)
        (one,), (other,) = found.gradients, expected.gradients
        assert other is None and one is None or one.shape == other.shape
        if other is not None:
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6 * abs(other).max())
    for one, other in zip(quick.activations(path), plain.activations(path), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert len(device_calls) == 1, "the activations are computed twice"
