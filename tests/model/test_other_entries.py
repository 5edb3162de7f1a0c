"""Layers that Keras does not run by `call` alone: quantized ones, and ones that are recomputed on the way back."""

import contextlib

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf

L, ops = keras.layers, keras.ops


class Block(L.Layer):
    """A dense layer inside a custom one."""

    def __init__(self, **more):
        super().__init__(**more)
        self.inner = L.Dense(8, activation="relu", name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


def model_with_a_head(scope=contextlib.nullcontext):
    picture = keras.Input((8, 8, 3), name="picture")
    with scope():
        x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv")(picture)
        x = ops.relu(L.Conv2D(8, 3, name="last")(x))
    x = L.EinsumDense("bhwc,cd->bhwd", output_shape=(None, None, 8), name="mixing")(x)
    x = Block(name="block")(L.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(picture, L.Dense(3, activation="softmax", name="scores")(x))
    numbers = np.random.default_rng(3)
    model.set_weights([numbers.normal(0.05, 0.4, w.shape) for w in model.get_weights()])
    return model


@pytest.mark.filterwarnings("ignore:Layer")
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_a_quantized_network_is_seen_and_explained_like_any_other(noise, mode):
    model, picture = model_with_a_head(), noise(8, 8, 3)
    exact = cw.Network(model_with_a_head(), preprocess="unit")
    model.quantize(mode)
    before = [np.asarray(w).tobytes() for w in model.weights]
    net = cw.Network(model, preprocess="unit")
    assert {info.path: (info.calls, info.units) for info in net.layers} == {
        info.path: (info.calls, info.units) for info in exact.layers
    }
    assert net.outputs[0].squashed_by == "softmax"
    found = [p.probability for p in sorted(net.predict(picture), key=lambda p: p.index)]
    np.testing.assert_allclose(found, model(picture[None])[0], atol=1e-5)
    by_keras = tf.function(lambda x: tf.gradients(model(x)[:, 1], x)[0])  # float8 has no gradient outside a graph
    right = by_keras(tf.constant(picture[None]))[0].numpy().sum(-1)
    raw = cw.attribution(net, picture, lambda y: y[:, 1], "gradient")[0].raw
    assert np.corrcoef(raw.ravel(), right.ravel())[0, 1] > 0.95  # float8 rounds gradients too, by their scale
    assert cw.class_activation_map(net, picture, "conv", 1, "hirescam")[0].raw.any()
    assert cw.visualize_units(net, "inner", [0, 1], size=8, steps=1).pictures.shape == (2, 8, 8, 3)
    assert [np.asarray(w).tobytes() for w in model.weights] == before


@pytest.mark.parametrize("mode", ["full", "activations"])
def test_layers_that_are_recomputed_are_explained_as_without(noise, mode):
    usual, again = (model_with_a_head(s) for s in (contextlib.nullcontext, lambda: keras.RematScope(mode=mode)))
    picture, modes = noise(8, 8, 3), [layer._remat_mode for layer in again._operations]
    usual, other = (cw.Network(m, preprocess="unit") for m in (usual, again))
    assert {i.path: i.calls for i in other.layers} == {i.path: i.calls for i in usual.layers}
    for verb in (
        lambda net: cw.class_activation_map(net, picture, method="hirescam")[0].raw,
        lambda net: cw.class_activation_map(net, picture, "conv", 1, "hirescam")[0].raw,
        lambda net: cw.attribution(net, picture, 1, "guided_backprop")[0].raw,
        lambda net: cw.visualize_classes(net, [1], steps=1, recipe="textbook").pictures,
    ):
        np.testing.assert_array_equal(verb(usual), verb(other))
    assert [layer._remat_mode for layer in again._operations] == modes
    assert any(modes)


def test_a_model_that_is_itself_built_in_a_scope_runs(noise):
    with keras.RematScope(mode="full"):
        model = model_with_a_head()
    found = cw.Network(model, preprocess="unit").predict(noise(8, 8, 3))
    expected = cw.Network(model_with_a_head(), preprocess="unit").predict(noise(8, 8, 3))
    assert found == expected
