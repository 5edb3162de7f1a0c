"""Every layer has a path, and `record` sees what each one puts out without leaving a trace on the model."""

from __future__ import annotations

import contextlib
import threading

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network

L = keras.layers


def recorded(model, feed, watch, activations=False):
    layers = dict(layers_.walk(model))
    with layers_.record(layers, watch, activations) as recording:
        model(feed)
    return recording


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
    assert net("subclassed").layer("deep_conv").output_shape == (28, 28, 4)


def test_two_layers_of_one_name_get_different_paths():
    class Twins(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = L.Conv2D(2, 3, name="conv"), L.Conv2D(3, 3, name="conv")

        def call(self, x):
            return self.second(self.first(x))

    model = Twins()
    assert [(path, layer.filters) for path, layer in layers_.walk(model)] == [("conv", 2), ("conv#2", 3)]


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


# -- record


def test_record_gives_one_activation_for_each_call_of_a_layer(build, noise):
    model, pictures = build("twice"), noise(2, 8, 8, 3)
    seen = recorded(model, pictures, ["conv"]).calls["conv"]
    conv = model.get_layer("conv")
    assert len(seen) == 2
    np.testing.assert_array_equal(seen[0], conv(pictures))
    np.testing.assert_array_equal(seen[1], conv(conv(pictures)))


def test_record_tells_the_calls_of_a_shared_encoder_apart(build, noise):
    model, left, right = build("siamese"), noise(1, 32, 32, 3), noise(1, 32, 32, 3, seed=8)
    recording = recorded(model, [left, right], ["encoder/gap", "difference"])
    encoder = model.get_layer("encoder")
    np.testing.assert_array_equal(recording.calls["encoder/gap"][0], encoder(left))
    np.testing.assert_array_equal(recording.calls["encoder/gap"][1], encoder(right))
    assert [path for path, _ in recording.order] == ["encoder/gap", "encoder/gap", "difference"]


@pytest.mark.parametrize(
    "name, path, inner",
    [
        ("nested", "backbone/deep.v2/conv", lambda m, x: m.get_layer("backbone").get_layer("deep.v2")(x)),
        ("nested", "backbone/conv", lambda m, x: m.get_layer("backbone")(x)),
        ("subclassed", "block/deep_conv", lambda m, x: m.block(m.conv(x))),
        ("sequential", "pool", lambda m, x: m.get_layer("pool")(m.get_layer("conv")(x))),
    ],
)
@pytest.mark.parametrize("traced", [False, True], ids=["eager", "graph"])
def test_record_reaches_inner_layers(build, noise, name, path, inner, traced):
    model = build(name)
    pictures = tf.constant(noise(1, 32, 32, model.inputs[0].shape[-1] if name == "sequential" else 3))
    layers = dict(layers_.walk(model))

    def see(x):
        with layers_.record(layers, [path]) as recording:
            model(x)
        return recording.calls[path][0]

    seen = tf.function(see, autograph=False)(pictures) if traced else see(pictures)
    np.testing.assert_allclose(seen, inner(model, pictures), atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "nested", "twice", "subclassed"])
def test_record_restores_each_layer_exactly(build, noise, snapshot_of, name):
    model, pictures = build(name), noise(1, 32, 32, 3)
    model(pictures)
    before = snapshot_of(model)
    recorded(model, pictures, dict(layers_.walk(model)), activations=True)
    assert snapshot_of(model) == before


@pytest.mark.parametrize("name", ["plain", "subclassed"])
def test_record_restores_each_layer_exactly_after_an_error(build, noise, snapshot_of, name):
    model = build(name)
    model(noise(1, 32, 32, 3))
    before = snapshot_of(model)
    with pytest.raises(ValueError):
        recorded(model, noise(1, 32, 32, 5), dict(layers_.walk(model)), activations=True)  # five channels: no conv's
    assert snapshot_of(model) == before
    with pytest.raises(KeyError), layers_.record(dict(layers_.walk(model)), ["conv", "nowhere"], activations=True):
        pass
    assert snapshot_of(model) == before


def test_record_puts_back_what_somebody_else_had_put_on_the_layer(build, noise):
    model, calls = build("plain"), []
    conv = model.get_layer("conv1")
    original = conv.call

    def spy(*args, **keywords):
        calls.append(1)
        return original(*args, **keywords)

    conv.__dict__["call"] = spy
    recorded(model, noise(1, 8, 8, 3), ["conv1"])
    assert conv.__dict__["call"] is spy
    assert calls == [1]


def test_a_run_in_another_thread_is_not_recorded(build, noise):
    model, mine, theirs = build("plain"), noise(1, 8, 8, 3), noise(1, 8, 8, 3, seed=8)
    expected, answers = model(theirs).numpy(), []
    thread = threading.Thread(target=lambda: answers.append(model(theirs).numpy()))
    with layers_.record(dict(layers_.walk(model)), ["conv1"], activations=True) as recording:
        thread.start()
        thread.join()
        assert recording.calls == {}
        model(mine)
    assert len(recording.calls["conv1"]) == 1
    np.testing.assert_array_equal(answers[0], expected)


def test_two_recordings_wait_for_each_other(build, noise):
    model, order = build("plain"), []
    layers, opened = dict(layers_.walk(model)), threading.Event()

    def other():
        opened.set()
        with layers_.record(layers, ["conv1"]):
            order.append("other")

    thread = threading.Thread(target=other)
    with layers_.record(layers, ["conv1"]):
        thread.start()
        opened.wait(5)
        thread.join(0.05)  # it has all the time it wants, and may not use it
        order.append("mine")
    thread.join(5)
    assert order == ["mine", "other"]


# -- what stands before an activation


def conv_by_hand(layer, x):
    return tf.nn.conv2d(x, layer.kernel, 1, layer.padding.upper()) + layer.bias


def test_before_a_fused_activation_stands_the_convolution_itself(build, noise):
    model, pictures = build("plain"), noise(1, 8, 8, 3)
    recording = recorded(model, pictures, ["conv1"], activations=True)
    seen = recording.calls["conv1"][0]
    before = recording.before_activation(seen)
    np.testing.assert_allclose(before, conv_by_hand(model.get_layer("conv1"), pictures), atol=1e-5)
    np.testing.assert_array_equal(tf.nn.relu(before), seen)
    assert tf.reduce_min(before) < 0


def forked(merge):
    """One branch with a fused ReLU, one with a ReLU6 layer behind a batch normalization, then `merge`."""
    x = keras.Input((8, 8, 3))
    a = L.Conv2D(4, 3, activation="relu", name="a")(x)
    b = L.ReLU(6.0, name="b")(L.BatchNormalization(name="bn")(L.Conv2D(4, 3, use_bias=False, name="conv")(x)))
    return keras.Model(x, merge([a, b]))


def test_before_a_concatenation_stand_its_branches_before_their_activations(noise):
    model, pictures = forked(L.Concatenate(name="both")), noise(2, 8, 8, 3) - 0.5
    recording = recorded(model, pictures, ["both", "bn"], activations=True)
    before = recording.before_activation(recording.calls["both"][0])
    expected = [conv_by_hand(model.get_layer("a"), pictures), recording.calls["bn"][0]]
    np.testing.assert_allclose(before, np.concatenate(expected, -1), atol=1e-5)


def test_before_a_pooling_of_a_concatenation_stands_the_pooling_of_what_stands_before(noise):
    pool = L.MaxPooling2D(name="pool")
    model, pictures = forked(lambda parts: pool(L.Concatenate(name="both")(parts))), noise(2, 8, 8, 3) - 0.5
    recording = recorded(model, pictures, ["both", "pool"], activations=True)
    both, pooled = (recording.before_activation(recording.calls[name][0]) for name in ("both", "pool"))
    np.testing.assert_array_equal(pooled, tf.nn.max_pool2d(both, 2, 2, "VALID"))


def test_a_sum_has_nothing_before_it(noise):
    model, pictures = forked(L.Add(name="sum")), noise(1, 8, 8, 3)
    recording = recorded(model, pictures, ["sum"], activations=True)
    seen = recording.calls["sum"][0]
    assert recording.before_activation(seen) is seen


def test_recording_what_stands_before_leaves_the_output_as_it_is(build, noise):
    model, pictures = build("plain"), noise(1, 8, 8, 3)
    layers = dict(layers_.walk(model))
    with layers_.record(layers, ["conv2"], activations=True):
        seen = model(pictures).numpy()
    np.testing.assert_array_equal(seen, model(pictures))


def test_logits_stand_before_a_softmax_or_sigmoid_however_it_is_written(build, noise):
    for name, head in [("sequential", "predictions"), ("plain", "logits"), ("mixed_float16", "logits")]:
        model = build(name)
        layers = dict(layers_.walk(model))
        with layers_.record(layers, [head], activations=True) as recording:
            output = model(noise(1, 32, 32, 1 if name == "sequential" else 3))
        logits = recording.before_activation(output)
        np.testing.assert_allclose(tf.nn.softmax(tf.cast(logits, tf.float32)), output, atol=2e-3)
        assert not np.allclose(logits, output, atol=0.05)


def test_what_lies_behind_the_calls_that_are_waited_for_is_not_run(net):
    network = net("twice")
    ran = []
    head = network.layers_by_path["logits"]
    with contextlib.ExitStack() as restore:
        layers_.wrap(head, "call", lambda call: lambda *a, **k: (ran.append("logits"), call(*a, **k))[1], restore)
        for until, count in [([("conv", 0)], 1), ([("conv", 1)], 2), ([("conv", 1), ("conv", 0)], 2)]:
            with layers_.record(network.layers_by_path, ["conv"], until=until) as recording:
                network.call([tf.zeros([1, 16, 16, 3])])
                ran.append("everything")
            assert len(recording.calls["conv"]) == count
        assert ran == []
        with layers_.record(network.layers_by_path, ["conv"]):
            network.call([tf.zeros([1, 16, 16, 3])])
        assert ran == ["logits"]
    assert keras.Variable(0.0, name="later").path == "later"  # Keras has left the layers it was in
