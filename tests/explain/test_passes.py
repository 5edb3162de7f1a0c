"""Passes for one picture: activation and gradient in one device call are those of two; heads without their map."""

import numpy as np
import pytest

from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.reachability import leads_to
from cnnwidgets.explain.targets import has_runner_up, named
from cnnwidgets.model.backend import keras, tf
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


@pytest.mark.parametrize("name", ["plain", "mixed_float16", "tokens"])
@pytest.mark.parametrize("is_new", [True, False])
def test_the_runner_up_comes_with_the_same_device_call(name, is_new, net, noise, device_calls):
    network = Network(tokens(), "unit") if name == "tokens" else net(name)
    path, picture = LAYERS[name], noise(*(n or 32 for n in network.inputs[0].shape[:2]), 3)
    plain = Probe(network, picture)
    plain.activations(path)
    scores = plain.class_scores(plain.named(0, None))[0]
    for unit in range(len(scores)):
        target = plain.named(unit, None)
        assert has_runner_up(network, target)
        probe = Probe(network, picture) if is_new else plain
        device_calls.clear()
        found = probe.backward_to(path, 0, target, is_compared=True).runner_up
        assert len(device_calls) == 1
        assert found.unit == max(set(range(len(scores))) - {unit}, key=lambda one: scores[one])
        (expected,) = plain.backward_to(path, 0, plain.named(found.unit, None)).gradients
        assert found.gradient.shape == expected.shape
        np.testing.assert_allclose(found.gradient, expected, rtol=1e-3, atol=1e-3 * abs(expected).max())


HEADS = {
    "1x1": lambda x: L.GlobalAveragePooling2D(name="logits")(L.Conv2D(4, 1, name="head")(x)),
    "normalized": lambda x: L.GlobalAveragePooling2D(name="logits")(
        L.BatchNormalization(name="head")(L.Conv2D(4, 1)(x))
    ),
    "3x3": lambda x: L.GlobalAveragePooling2D(name="logits")(L.Conv2D(4, 3, 2, "same", name="head")(x)),
    "relu": lambda x: L.GlobalAveragePooling2D(name="logits")(L.Conv2D(4, 1, activation="relu", name="head")(x)),
    "kept": lambda x: L.Flatten(name="logits")(L.GlobalAveragePooling2D(keepdims=True)(L.Conv2D(4, 1, name="head")(x))),
    "maximum": lambda x: L.GlobalMaxPooling2D(name="logits")(L.Conv2D(4, 1, name="head")(x)),
}


def ending_in(head, size):
    keras.utils.set_random_seed(0)
    picture = keras.Input((size, size, 3))
    x = L.Conv2D(6, 3, activation="relu", name="conv")(picture)
    x = HEADS[head](x)
    return keras.Model(picture, L.Softmax(name="scores")(x))


@pytest.mark.parametrize("size", [None, 12])
@pytest.mark.parametrize("head", HEADS)
def test_scores_and_gradients_are_those_of_the_model_itself(head, size, noise):
    model = ending_in(head, size)
    network = Network(model, "unit")
    picture, probe = noise(12, 12, 3), None
    parts = keras.Model(model.input, [model.get_layer(one).output for one in ("conv", "head", "logits")])
    for place, path in enumerate(["conv", "head", "logits"]):
        probe = Probe(network, picture)
        with tf.GradientTape() as tape:
            given = tf.constant(picture[None])
            tape.watch(given)
            found = parts(given)
            value = found[2][0, 2]
        expected = tape.gradient(value, found[place])
        passed = probe.backward_to_units(path, 0, probe.named(2, None))
        np.testing.assert_allclose(passed.reading.value[0], value, rtol=1e-5)
        np.testing.assert_allclose(passed.gradients[0].reshape(expected.shape), expected, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(probe.values(probe.named(2, None)).probability, model(picture[None])[:, 2], rtol=1e-5)


def test_a_map_that_is_only_averaged_is_not_computed(noise, device_calls):
    probe = Probe(Network(ending_in("1x1", None), "unit"), noise(12, 12, 3))
    device_calls.clear()
    probe.backward_to("conv", 0, probe.named(2, None))
    assert not any(op.type == "Conv2DBackpropInput" for op in device_calls[0].graph.get_operations())


def test_layers_that_are_only_averaged_still_lead_to_the_scores():
    network = Network(ending_in("1x1", None), "unit")
    target = named(network, 2, None)
    assert all(leads_to(network, target, path, 0) for path in ("conv", "head", "logits"))
