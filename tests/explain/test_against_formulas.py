"""Maps and attributions of a small network against the papers' formulas, written out here in float64 with numpy alone.

The network is a convolution without padding, a ReLU, the mean over positions, a ReLU layer and class scores, so that
forward pass and gradient can be written down by hand.
"""

import functools

import numpy as np
import pytest

from cnnwidgets.explain.attribution import attribution
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.explain.methods import perturbation_attribution
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network

L = keras.layers
SIDE, CELLS, CHANNELS, HIDDEN, CLASSES = 12, 10, 6, 7, 4
RTOL = 2e-5  # of a map's largest value: the network itself computes in float32


class ByHand:
    """The same network in float64: `values` [N, classes] and the gradients of a sum of class scores."""

    def __init__(self, weights):
        self.kernel, self.bias, self.w1, self.b1, self.w2, self.b2 = (np.asarray(w, np.float64) for w in weights)

    def before(self, x):  # [N, 12, 12, 3] -> [N, 10, 10, 6]
        y = np.zeros((len(x), CELLS, CELLS, CHANNELS)) + self.bias
        for row in range(3):
            for column in range(3):
                y += x[:, row : row + CELLS, column : column + CELLS] @ self.kernel[row, column]
        return y

    def activation(self, x):
        return np.maximum(self.before(x), 0)

    def head(self, activation):
        return np.maximum(activation.mean((1, 2)) @ self.w1 + self.b1, 0) @ self.w2 + self.b2

    def values(self, x):
        return self.head(self.activation(x))

    def backward_to(self, activation, weights, guided=False):
        """By the activation [N, 10, 10, 6], of the class scores weighed by `weights` [N, classes]."""
        hidden = activation.mean((1, 2)) @ self.w1 + self.b1
        back = weights @ self.w2.T
        back = (np.maximum(back, 0) if guided else back) * (hidden > 0)
        per_channel = back @ self.w1.T / CELLS**2
        return np.broadcast_to(per_channel[:, None, None], activation.shape)

    def slope(self, x, weights, guided=False):
        """By the pixels."""
        before = self.before(x)
        back = self.backward_to(np.maximum(before, 0), weights, guided)
        back = (np.maximum(back, 0) if guided else back) * (before > 0)
        out = np.zeros_like(x)
        for row in range(3):
            for column in range(3):
                out[:, row : row + CELLS, column : column + CELLS] += back @ self.kernel[row, column].T
        return out


@functools.cache
def both():
    picture = keras.Input((SIDE, SIDE, 3), name="picture")
    x = L.Conv2D(CHANNELS, 3, activation="relu", name="conv")(picture)
    x = L.Dense(HIDDEN, activation="relu")(L.GlobalAveragePooling2D()(x))
    model = keras.Model(picture, L.Dense(CLASSES, activation="softmax", name="scores")(x))
    numbers = np.random.default_rng(4)
    for weight in model.weights:  # every channel is active somewhere
        is_bias = len(weight.shape) == 1
        spread = 0.1 if is_bias else (2 / np.prod(weight.shape[:-1])) ** 0.5
        weight.assign(numbers.normal(0.5 if is_bias else 0.0, spread, weight.shape))
    return Network(model, "unit"), ByHand(model.get_weights())


def one_hot(unit, n=1):
    return np.eye(CLASSES)[[unit] * n]


def log_odds(values, unit):
    others = np.delete(values, unit, -1)
    return values[:, unit] - np.log(np.exp(others).sum(-1))


def weights_of(values, unit, of, against):
    """How the explained number changes with each class score, [N, classes]."""
    weights = one_hot(unit, len(values))
    if of == "log_odds":
        others = np.exp(values) * (1 - weights)
        weights = weights - others / others.sum(-1, keepdims=True)
    if against:
        weights = weights - np.eye(CLASSES)[list(against)].mean(0)
    return weights


def assert_close(found, expected):
    np.testing.assert_allclose(found, expected, atol=RTOL * np.abs(expected).max(), rtol=0)


TARGETS = [("logit", ()), ("log_odds", ()), ("logit", (0,)), ("logit", (3, 0)), ("log_odds", (3,))]


def keywords(of, against):
    return {"of": of, **({"against": list(against)} if against else {})}


@pytest.mark.parametrize("of, against", TARGETS)
def test_maps_by_gradient_are_the_papers_formulas(noise, of, against):
    net, hand = both()
    picture = noise(SIDE, SIDE, 3)
    a = hand.activation(picture[None].astype(np.float64))
    g = hand.backward_to(a, weights_of(hand.head(a), 1, of, against))[0]
    a = a[0]
    positive = np.maximum(g, 0)
    alpha = g**2 / (2 * g**2 + a.sum((0, 1)) * g**3)
    formulas = {
        "grad_cam": (a * g.mean((0, 1))).sum(-1),
        "grad_cam_plus_plus": (a * (alpha * positive).sum((0, 1))).sum(-1),
        "hirescam": (a * g).sum(-1),
        "xgrad_cam": (a * (a * g).sum((0, 1)) / a.sum((0, 1))).sum(-1),
        "layer_cam": (a * positive).sum(-1),
    }
    for method, expected in formulas.items():
        (heat,) = class_activation_map(net, picture, "conv", 1, method, **keywords(of, against))
        assert_close(heat.raw, expected)


@pytest.mark.parametrize("of, against", TARGETS)
def test_attributions_by_gradient_are_the_papers_formulas(noise, of, against):
    net, hand = both()
    picture = noise(SIDE, SIDE, 3)
    x = picture[None].astype(np.float64)

    def slope(copies):
        return hand.slope(copies, weights_of(hand.values(copies), 1, of, against))

    def found(method, **more):
        (heat,) = attribution(net, picture, 1, method, **keywords(of, against), **more)
        assert_close(heat.map, np.abs(heat.raw) / np.abs(heat.raw).max())
        return heat.raw

    assert_close(found("gradient"), slope(x)[0].sum(-1))
    assert_close(found("gradient_x_input"), (slope(x) * x)[0].sum(-1))
    assert_close(found("smoothgrad", noise=0.0, samples=3), slope(x)[0].sum(-1))
    guided = hand.slope(x, weights_of(hand.values(x), 1, of, against), guided=True)
    assert_close(found("guided_backprop"), guided[0].sum(-1))
    fine = (np.arange(5000) + 0.5) / 5000  # ten times as many as the samples
    path = np.concatenate([slope(part[:, None, None, None] * x) for part in np.split(fine, 5)])
    assert_integral(found("integrated_gradients", samples=512), (path.mean(0) * x[0]).sum(-1))


def assert_integral(found, expected):
    np.testing.assert_allclose(found, expected, atol=5e-3 * np.abs(expected).max())


@pytest.mark.parametrize("of, against", TARGETS)
def test_methods_that_try_are_the_papers_formulas(noise, of, against):
    net, hand = both()
    picture = noise(SIDE, SIDE, 3)
    x = picture[None].astype(np.float64)

    def number(values):
        value = log_odds(values, 1) if of == "log_odds" else values[:, 1]
        return value - values[:, list(against)].mean(-1) if against else value

    a = hand.activation(x)[0]
    falls = []
    for k in range(CHANNELS):
        without = a.copy()
        without[..., k] = 0
        falls.append((number(hand.head(a[None])) - number(hand.head(without[None])))[0])
    (heat,) = class_activation_map(net, picture, "conv", 1, "ablation_cam", **keywords(of, against))
    assert_close(heat.raw, a @ falls)

    masks = (a - a.min((0, 1))) / np.ptp(a, (0, 1))
    (heat,) = class_activation_map(net, picture, "conv", 1, "score_cam", **keywords(of, against))
    seen = [0.5 + (x[0] - 0.5) * heat.placement.lay(masks[..., k])[..., None] for k in range(CHANNELS)]
    powers = np.exp(number(hand.values(np.array(seen))))
    np.testing.assert_allclose(heat.raw, a @ (powers / powers.sum()), rtol=1e-3)

    (heat,) = attribution(net, picture, 1, "occlusion", **keywords(of, against))
    falls, covered = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for place in perturbation_attribution.places((SIDE, SIDE)):
        copy = x[0].copy()
        copy[place] = 0.5
        tent = 1 - np.abs((np.arange(copy[place].shape[0]) + 0.5) * 2 / copy[place].shape[0] - 1)
        falls[place] += (number(hand.values(x)) - number(hand.values(copy[None])))[0] * np.outer(tent, tent)
        covered[place] += np.outer(tent, tent)
    np.testing.assert_allclose(heat.raw, falls / covered, atol=1e-4 * np.abs(falls / covered).max())


def test_log_odds_of_a_class_are_those_of_its_probability(noise):
    net, hand = both()
    picture = noise(SIDE, SIDE, 3)
    values = hand.values(picture[None].astype(np.float64))
    odds = {p.index: np.log(p.probability / (1 - p.probability)) for p in net.predict(picture)}
    for unit in range(CLASSES):
        assert log_odds(values, unit)[0] == pytest.approx(odds[unit], rel=1e-3)
