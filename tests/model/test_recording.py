"""`record` captures the output of each call of each layer, and leaves the model as it was."""

import threading

import numpy as np
import pytest

from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.keras_internals import changed, shadowed
from cnnwidgets.model.recording import record

L = keras.layers


def recorded(model, feed, watch, activations=False):
    layers = layers_.by_path(model)
    with record(layers, watch, activations) as recording:
        model(feed)
    return recording


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
    layers = layers_.by_path(model)

    def see(x):
        with record(layers, [path]) as recording:
            model(x)
        return recording.calls[path][0]

    seen = tf.function(see, autograph=False)(pictures) if traced else see(pictures)
    np.testing.assert_allclose(seen, inner(model, pictures), atol=1e-5)


@pytest.mark.parametrize("name", ["plain", "nested", "twice", "subclassed"])
def test_record_restores_each_layer_exactly(build, noise, snapshot_of, name):
    model, pictures = build(name), noise(1, 32, 32, 3)
    model(pictures)
    before = snapshot_of(model)
    recorded(model, pictures, layers_.by_path(model), activations=True)
    assert snapshot_of(model) == before


@pytest.mark.parametrize("name", ["plain", "subclassed"])
def test_record_restores_each_layer_exactly_after_an_error(build, noise, snapshot_of, name):
    model = build(name)
    model(noise(1, 32, 32, 3))
    before = snapshot_of(model)
    with pytest.raises(ValueError):
        recorded(model, noise(1, 32, 32, 5), layers_.by_path(model), activations=True)  # five channels: no conv's
    assert snapshot_of(model) == before
    with pytest.raises(KeyError), record(layers_.by_path(model), ["conv", "nowhere"], activations=True):
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
    with record(layers_.by_path(model), ["conv1"], activations=True) as recording:
        thread.start()
        thread.join()
        assert recording.calls == {}
        model(mine)
    assert len(recording.calls["conv1"]) == 1
    np.testing.assert_array_equal(answers[0], expected)


def test_two_recordings_wait_for_each_other(build, noise):
    model, order = build("plain"), []
    layers, opened = layers_.by_path(model), threading.Event()

    def other():
        opened.set()
        with record(layers, ["conv1"]):
            order.append("other")

    thread = threading.Thread(target=other)
    with record(layers, ["conv1"]):
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
    layers = layers_.by_path(model)
    with record(layers, ["conv2"], activations=True):
        seen = model(pictures).numpy()
    np.testing.assert_array_equal(seen, model(pictures))


def test_logits_stand_before_a_softmax_or_sigmoid_however_it_is_written(build, noise):
    for name, head in [("sequential", "predictions"), ("plain", "logits"), ("mixed_float16", "logits")]:
        model = build(name)
        layers = layers_.by_path(model)
        with record(layers, [head], activations=True) as recording:
            output = model(noise(1, 32, 32, 1 if name == "sequential" else 3))
        logits = recording.before_activation(output)
        np.testing.assert_allclose(tf.nn.softmax(tf.cast(logits, tf.float32)), output, atol=2e-3)
        assert not np.allclose(logits, output, atol=0.05)


def test_what_follows_the_awaited_calls_is_not_run(net):
    network = net("twice")
    ran = []
    head = network.layers_by_path["logits"]
    noting = changed(head, "call", lambda call: lambda *a, **k: (ran.append("logits"), call(*a, **k))[1])
    with shadowed([noting]):
        for until, count in [([("conv", 0)], 1), ([("conv", 1)], 2), ([("conv", 1), ("conv", 0)], 2)]:
            with record(network.layers_by_path, ["conv"], until=until) as recording:
                network.call([tf.zeros([1, 16, 16, 3])])
                ran.append("everything")
            assert len(recording.calls["conv"]) == count
        assert ran == []
        with record(network.layers_by_path, ["conv"]):
            network.call([tf.zeros([1, 16, 16, 3])])
        assert ran == ["logits"]
    assert keras.Variable(0.0, name="later").path == "later"  # Keras has left the layers it was in


# -- what all rooms read of it


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_an_activation_is_float32_with_its_channels_last_whatever_the_layer_has(net, noise, dtype):
    x = keras.Input((6, 5, 3))
    y = L.Permute((3, 1, 2), name="first", dtype=dtype)(x)
    model = keras.Model(x, L.Flatten()(L.Reshape((3, 6, 5), name="same", dtype=dtype)(y)))
    pictures = noise(2, 6, 5, 3)
    with record(layers_.by_path(model), ["first", "same"], channels_first={"same"}) as recording:
        model(pictures)
    as_it_is, last = recording.activation("first"), recording.activation("same")
    assert (as_it_is.dtype, last.dtype) == (tf.float32, tf.float32)
    np.testing.assert_allclose(as_it_is, pictures.transpose(0, 3, 1, 2), atol=4e-3)
    np.testing.assert_allclose(last, pictures, atol=4e-3)


def test_an_activation_is_that_of_its_call_and_may_be_the_one_before_the_activation_function(net, noise):
    twice, left = net("twice"), noise(1, 16, 16, 3)
    with twice.record(["conv"], activations=True) as recording:
        twice.call([tf.constant(left)])
    one, two = (recording.activation("conv", call) for call in (0, 1))
    assert not np.array_equal(one, two)
    for call in (0, 1):
        before = recording.activation("conv", call, before=True)
        np.testing.assert_array_equal(before, recording.before_activation(recording.calls["conv"][call]))


def test_of_a_layer_with_several_outputs_the_first_is_recorded_and_of_one_without_none(noise):
    class Several(L.Layer):
        def call(self, x):
            return {"b": x + 1, "a": x - 1}

    class Nothing(L.Layer):
        def call(self, x):
            return []

    layers = {"several": Several(), "nothing": Nothing()}
    x = tf.constant(noise(1, 4, 4, 3))
    with record(layers, layers) as recording:
        layers["nothing"](layers["several"](x)["a"])
    np.testing.assert_array_equal(recording.activation("several"), x - 1)  # in Keras' order: by key
    assert recording.calls["nothing"] == [None]
    assert [path for path, _ in recording.order] == ["several"]
