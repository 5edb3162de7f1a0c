"""What weights say of units: bounds that no picture leaves, the size of weights, and which units are not retried."""

import numpy as np
import pytest

from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.visualize.dead_units import retries
from cnnwidgets.visualize.dead_units.unit_activity import measuring, weights_of
from cnnwidgets.visualize.units import UnitsSettings
from tests.tiny_networks import seeded

L = keras.layers
SIDE = 12


def convolutions(x):
    x = L.Conv2D(5, 3, padding="same", activation="relu")(L.Rescaling(1 / 127.5, -1.0)(x))
    return L.Conv2D(4, 3, name="unit")(L.MaxPooling2D()(x))


def residual(x):
    x = L.Conv2D(6, 3, padding="same")(x)
    x = L.ReLU()(L.BatchNormalization()(x))
    return L.ReLU(6.0, name="unit")(L.Add()([x, L.BatchNormalization()(L.Conv2D(6, 1)(x))]))


def concatenated(x):
    x = L.Conv2D(4, 3, 2, activation="relu")(L.ZeroPadding2D()(x))
    linear = L.Conv2D(3, 1)(x)
    x = L.Concatenate(name="unit")([L.Conv2D(3, 1, activation="relu")(x), linear])
    return L.MaxPooling2D(name="later")(x)


def dense(x):
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu6")(x))
    return L.Dense(5, activation="relu", name="unit")(L.Dropout(0.5)(x))


def with_unknown_parts(x):
    x = L.Conv2D(4, 3, activation="gelu")(L.Lambda(lambda y: y * 3 - 1)(x))
    return L.Conv2D(4, 1, activation="relu", name="unit")(L.ReLU(negative_slope=0.1)(x))


MODELS = {make.__name__: make for make in (convolutions, residual, concatenated, dense, with_unknown_parts)}


def network(make, preprocess="unit"):
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    return Network(seeded(keras.Model(picture, make(picture))), preprocess)


def weights(net):
    info, canvas = net.layer("unit"), Canvas((SIDE, SIDE, 3))
    measuring(net, info, 1, 0, canvas)(np.zeros((1, SIDE, SIDE, 3), np.float32), [0])
    return weights_of(net, info, 0, canvas)


@pytest.mark.parametrize("preprocess", ["unit", "caffe"])
@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_no_picture_leaves_the_bounds(make, preprocess, noise):
    net = network(make, preprocess)
    found = weights(net).after
    corners = np.indices((2, 2, 2)).reshape(3, -1).T[:, None, None] + np.zeros((1, SIDE, SIDE, 1))
    pictures = np.concatenate([noise(24, SIDE, SIDE, 3), np.round(noise(24, SIDE, SIDE, 3, seed=1)), corners])
    layer = keras.Model(net.model.input, net.model.get_layer("unit").output)
    reached = layer(net.preprocess(pictures.astype(np.float32) * 255)).numpy()
    reached = reached.reshape(-1, reached.shape[-1])
    assert (reached.max(0) <= found.high + 1e-4).all() and (reached.min(0) >= found.low - 1e-4).all()
    assert np.isfinite(found.high).all() == (make is not with_unknown_parts)


def test_bounds_are_reached_where_each_picture_value_counts_once():
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    net = Network(seeded(keras.Model(picture, L.Conv2D(4, 1, name="unit")(picture))), "unit")
    kernel, bias = net.model.get_layer("unit").get_weights()
    found = weights(net).before
    np.testing.assert_allclose(found.high, np.maximum(kernel, 0).sum((0, 1, 2)) + bias, rtol=1e-6)
    np.testing.assert_allclose(found.low, np.minimum(kernel, 0).sum((0, 1, 2)) + bias, rtol=1e-6)


@pytest.mark.parametrize("make", [convolutions, concatenated])
def test_the_size_of_weights_is_a_share_of_the_usual_and_biases_are_those_of_the_units(make):
    net = network(make)
    convs = [layer for layer in net.model.layers if isinstance(layer, L.Conv2D)]
    for conv in convs[-2:] if make is concatenated else convs[-1:]:
        kernel, bias = conv.get_weights()
        conv.set_weights([np.sign(kernel) * [1e-3, *[1.0] * (kernel.shape[-1] - 1)], bias * 0 + 0.25])
    found = weights(net)
    usual = np.ones_like(found.shares)
    usual[[0, 3] if make is concatenated else [0]] = 1e-3
    np.testing.assert_allclose(found.shares, usual, rtol=1e-5)
    np.testing.assert_allclose(found.biases, 0.25)


def test_normalization_counts_and_a_sum_of_branches_decides_nothing():
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = L.BatchNormalization(name="norm")(L.Conv2D(3, 1, use_bias=False, name="conv")(picture))
    net = Network(keras.Model(picture, L.ReLU(name="unit")(x)), "unit")
    net.model.get_layer("conv").set_weights([np.ones((1, 1, 3, 3))])
    net.model.get_layer("norm").set_weights(np.array([[1.0, 1e-6, -1.0], [0.1, 0.2, 0.3], [1.0] * 3, [1 - 1e-3] * 3]))
    found = weights(net)
    np.testing.assert_allclose(found.shares, [1, 1e-6, 1], rtol=1e-5)
    np.testing.assert_allclose(found.biases, [-0.9, 0.2, 1.3], atol=1e-5)
    assert (weights(network(residual)).shares == 1).all()


def changed(unit_0, bias_0):
    """`convolutions` with other weights of unit 0, behind a ReLU."""
    net = network(lambda x: L.ReLU(name="after")(convolutions(x)))
    kernel, bias = net.model.get_layer("unit").get_weights()
    kernel[..., 0], bias[0], bias[1:] = unit_0(kernel[..., 0]), bias_0, 9.0  # the others fire
    net.model.get_layer("unit").set_weights([kernel, bias])
    return net


SILENT = {
    "no weights": (lambda kernel: 0 * kernel, -1.8, "never fires: weights ~0, bias -1.8"),
    "hardly any": (lambda kernel: 1e-4 * kernel, -1.8, "never fires: weights ~0, bias -1.8"),
    "no positive ones": (lambda kernel: -abs(kernel), -0.5, "never fires: at best -"),
    "far away": (lambda kernel: kernel, -1e4, "never fires: weights ~0, bias -1e+04"),
}


@pytest.mark.parametrize("case", SILENT)
def test_a_unit_that_cannot_fire_by_its_weights_is_not_retried_and_its_note_says_why(case, monkeypatch):
    unit_0, bias_0, note = SILENT[case]
    net = changed(unit_0, bias_0)
    settings = UnitsSettings("after", [1, 0], SIDE, 2)
    quick = list(settings.check(net).frames())
    assert len(quick) == 2, "steps are spent on it"
    monkeypatch.setattr(retries, "_decided", lambda *_: {})
    plain = list(settings.check(net).frames())
    assert len(plain) > 2
    assert quick[-1].notes[1].startswith(note) and plain[-1].notes[1].startswith("never fires: ")
    assert quick[-1].notes[0] == plain[-1].notes[0] == ""
    np.testing.assert_array_equal(quick[-1].pictures, plain[-1].pictures)


def test_a_unit_that_might_fire_is_retried_as_before():
    net = changed(lambda kernel: kernel, -4.0)
    assert weights(net).after.high[0] > 0
    assert len(list(UnitsSettings("after", [0], SIDE, 2).check(net).frames())) > 2
