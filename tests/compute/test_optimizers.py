"""Optimizers are pure functions: Adam is Keras's own, and the books' step has one length."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.compute import optimizers
from cnnwidgets.compute.backend import keras, tf

ALL = [optimizers.adam(), optimizers.nadam(), optimizers.normalized_gradient()]


def walk(optimizer, gradients):
    variables = tf.zeros_like(gradients[0])
    state = optimizer.begin(variables)
    for count, gradient in enumerate(gradients, 1):
        variables, state = optimizer.step(variables, state, tf.constant(gradient), tf.constant(count), optimizer.rate)
    return variables.numpy()


@pytest.fixture
def gradients():
    numbers = np.random.default_rng(0)
    return [(numbers.normal(size=(2, 4, 3)) * 10.0 ** numbers.integers(-4, 3)).astype(np.float32) for _ in range(8)]


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_adam_is_that_of_keras_uphill(gradients, rate):
    variable = keras.Variable(np.zeros((2, 4, 3), np.float32))
    theirs = keras.optimizers.Adam(rate)
    for gradient in gradients:
        theirs.apply([-gradient], [variable])
    np.testing.assert_allclose(walk(optimizers.adam(rate), gradients), variable.numpy(), rtol=1e-4, atol=1e-6)


def test_nadam_is_adam_that_looks_a_step_ahead(gradients):
    first, second, expected = 0.0, 0.0, 0.0
    for t, g in enumerate(gradients, 1):
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g**2
        ahead = 0.9 * first / (1 - 0.9 ** (t + 1)) + 0.1 * g / (1 - 0.9**t)
        expected = expected + 0.1 * ahead / (np.sqrt(second / (1 - 0.999**t)) + 1e-7)
    np.testing.assert_allclose(walk(optimizers.nadam(0.1), gradients), expected, rtol=1e-3, atol=1e-5)


def test_the_books_step_has_one_length_whatever_the_gradients_size(gradients):
    for gradient in gradients:
        moved = walk(optimizers.NormalizedGradient(rate=0.5, epsilon=1e-9), [gradient])
        np.testing.assert_allclose(np.sqrt((moved**2).mean((1, 2))), 0.5, rtol=1e-3)


def test_the_books_step_follows_its_formula(gradients):
    for gradient in gradients:
        length = np.sqrt((gradient**2).mean((1, 2), keepdims=True))
        expected = 0.25 * gradient / (length + 1e-5)
        np.testing.assert_allclose(walk(optimizers.normalized_gradient(0.25), [gradient]), expected, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_no_gradient_is_no_step(optimizer):
    np.testing.assert_array_equal(walk(optimizer, [np.zeros((2, 3, 3), np.float32)] * 3), 0)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_each_picture_is_climbed_by_itself(optimizer, gradients):
    alone = walk(optimizer, [g[1:] for g in gradients])
    np.testing.assert_array_equal(walk(optimizer, gradients)[1:], alone)


@pytest.mark.parametrize("optimizer", ALL, ids=repr)
def test_a_step_leaves_variables_and_state_of_before_as_they_were(optimizer, gradients):
    variables = tf.constant(gradients[0])
    state = optimizer.begin(variables)
    before = [variables.numpy().copy(), *(s.numpy().copy() for s in state)]
    optimizer.step(variables, state, tf.constant(gradients[1]), tf.constant(1), 0.5)
    for now, then in zip([variables, *state], before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_another_rate_is_the_same_graph():
    assert optimizers.adam() == optimizers.adam(0.1) == optimizers.adam(lambda: 0.2)
    assert hash(optimizers.adam()) == hash(optimizers.adam(0.1))
    assert optimizers.adam() not in {optimizers.Adam(beta_1=0.5), optimizers.nadam(), optimizers.normalized_gradient()}
