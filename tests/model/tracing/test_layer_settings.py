"""A setting of a layer that is changed after a first verb reaches the next one."""

import threading

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras
from cnnwidgets.model.tracing.dense_gradients import dense_gradients

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


class Own(L.Layer):
    """Adds a number, scaled by arrays, a list and a function, which are plain Python attributes."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self._shift, self.scales, self.table, self.function = 1.0, [2.0, 3.0], np.ones(3, np.float32), lambda x: x
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return self.function(self._shift + x * self.scales[0] * self.table)


CHANGES = {
    "rate": lambda own, relu: setattr(relu, "negative_slope", 0.5),
    "private number": lambda own, relu: setattr(own, "_shift", -4.0),
    "list in place": lambda own, relu: own.scales.__setitem__(0, -5.0),
    "array in place": lambda own, relu: own.table.__setitem__(0, -6.0),
    "function": lambda own, relu: setattr(own, "function", lambda x: -x),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_setting_is_another_graph(change):
    picture = keras.Input((6, 6, 3))
    own, relu = Own(name="own"), L.LeakyReLU(name="relu")
    x = relu(own(picture))
    net = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x))), "unit")
    given = np.random.default_rng(0).random((6, 6, 3)).astype(np.float32)
    before = cw.feature_maps(net, given, layers=["own", "relu"])
    graphs = len(net.traces)
    assert np.array_equal(cw.feature_maps(net, given, layers=["own", "relu"])["relu"], before["relu"])
    assert len(net.traces) == graphs
    own.table[1] = -1.0  # so that the slope of negative numbers counts
    before = cw.feature_maps(net, given, layers=["relu"])["relu"]
    CHANGES[change](own, relu)
    after = cw.feature_maps(net, given, layers=["relu"])["relu"]
    fresh = cw.feature_maps(cw.Network(net.model, "unit"), given, layers=["relu"])["relu"]
    np.testing.assert_array_equal(after, fresh)
    assert not np.array_equal(after, before)


FACTORS = {"lambda": 1.0, "call": 1.0}


@pytest.mark.parametrize("which", FACTORS)
def test_a_global_that_a_lambda_or_a_layer_of_ones_own_reads_may_change(noise, monkeypatch, which):
    class Scaling(L.Layer):
        def call(self, x):
            return x * FACTORS["call"]

    picture = keras.Input((6, 6, 3))
    x = L.Lambda(lambda x: x * FACTORS["lambda"])(Scaling()(L.Conv2D(4, 3)(picture)))
    net, given = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x))), "unit"), noise(6, 6, 3)
    before = cw.attribution(net, given, 1, "gradient")[0].raw
    graphs = len(net.traces)
    assert np.array_equal(cw.attribution(net, given, 1, "gradient")[0].raw, before)
    assert len(net.traces) == graphs
    monkeypatch.setitem(FACTORS, which, -2.0)
    np.testing.assert_allclose(cw.attribution(net, given, 1, "gradient")[0].raw, -2 * before, rtol=1e-5)


def test_a_layer_with_other_strides_is_surveyed_and_located_again():
    picture = keras.Input((12, 12, 3))
    conv = L.Conv2D(4, 3, padding="same", name="conv")
    net = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(conv(picture)))), "unit")
    given = np.random.default_rng(0).random((12, 12, 3)).astype(np.float32)
    assert cw.class_activation_map(net, given, "conv")[0].raw.shape == net.layer("conv").output_shape[:2] == (12, 12)
    conv.strides = (2, 2)
    (heat,) = cw.class_activation_map(net, given, "conv", method="hirescam")
    (fresh,) = cw.class_activation_map(cw.Network(net.model, "unit"), given, "conv", method="hirescam")
    assert heat.raw.shape == net.layer("conv").output_shape[:2] == (6, 6)
    np.testing.assert_array_equal(heat.map, fresh.map)


def test_a_sequential_model_that_gets_other_layers_is_surveyed_again():
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, name="conv"), L.Flatten(), L.Dense(5, name="old")])
    net, given = cw.Network(model, "unit"), np.full((8, 8, 3), 0.5, np.float32)
    assert len(net.predict(given, 99)) == 5
    model.pop()
    model.add(L.Dense(7, name="new"))
    assert len(net.predict(given, 99)) == net.outputs[0].classes == 7
    assert [info.path for info in net.layers][-1] == "new"


def test_a_run_that_another_thread_traces_is_no_change_of_the_model():
    picture = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, 2, activation="relu", name="conv")(picture)
    net = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(L.ReLU()(x)))), "unit")
    before, seen = net.read_by_graphs(), []

    def look():
        net.follow_model()
        seen.append((net.version, net.read_by_graphs() == before))

    with net.record(net.layers_by_path, activations=True), dense_gradients([net.layers_by_path["conv"]]):
        assert "convolution_op" in vars(net.layers_by_path["conv"])
        other = threading.Thread(target=look)
        other.start()
        other.join()
    assert seen == [(0, True)]
    assert "convolution_op" not in vars(net.layers_by_path["conv"])
