"""Optimizers are pure functions: Adam is Keras's own, and the books' step has one length."""

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.visualize import optimizers
from cnnwidgets.visualize.optimizers import gaussian, mean_of_blurs

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


PICTURES = np.random.default_rng(3).uniform(0.2, 0.8, (2, 9, 11, 3)).astype(np.float32)


def steps_of(optimizer, gradients, rate):
    variables = tf.constant(PICTURES)
    state = optimizer.begin(variables)
    for count, gradient in enumerate(gradients, 1):
        variables, state = optimizer.step(variables, state, tf.constant(gradient), tf.constant(count), rate)
        yield variables.numpy()


@pytest.fixture
def picture_gradients():
    numbers = np.random.default_rng(4)
    return [numbers.normal(0, 10.0**-k, PICTURES.shape).astype(np.float32) for k in range(5)]


def blur(pictures, deviation):
    line = np.exp(-(np.arange(-6, 7) ** 2) / (2 * deviation**2))
    for axis in (1, 2):
        pictures = np.apply_along_axis(lambda x: np.convolve(x, line / line.sum())[6:-6], axis, pictures)
    return pictures


def test_the_dreams_step_is_the_mean_of_three_gaussian_blurs_by_its_size(picture_gradients):
    for gradient in picture_gradients:
        (moved,) = steps_of(optimizers.blurred_gradient(), [gradient], 0.01)
        blurred = np.mean([blur(gradient, deviation) for deviation in (0.5, 1.0, 2.0)], 0)
        expected = PICTURES + 0.01 * blurred / np.sqrt((blurred**2).mean((1, 2, 3), keepdims=True))
        np.testing.assert_allclose(moved, expected, atol=2e-5)


def test_the_dreams_step_keeps_pixels_and_stands_still_without_a_gradient(picture_gradients):
    (far,) = steps_of(optimizers.blurred_gradient(), picture_gradients[:1], 5.0)
    assert (far.min(), far.max()) == (0, 1)
    (brighter,) = steps_of(optimizers.blurred_gradient(), [np.ones_like(PICTURES)], 0.05)
    assert 0.04 < (brighter - PICTURES).max() < 0.1  # one rate up, everywhere alike: nothing burns
    (still,) = steps_of(optimizers.blurred_gradient(), [np.zeros_like(PICTURES)], 5.0)
    np.testing.assert_array_equal(still, PICTURES)


def test_momentum_sign_gathers_gradients_of_one_size(picture_gradients):
    optimizer = optimizers.MomentumSign(share=0.125, decay=0.5)
    gathered, expected = 0.0, PICTURES
    for moved, gradient in zip(steps_of(optimizer, picture_gradients, 0.8), picture_gradients, strict=True):
        gathered = 0.5 * gathered + gradient / np.abs(gradient).mean((1, 2, 3), keepdims=True)
        expected = np.clip(np.clip(expected + 0.1 * np.sign(gathered), PICTURES - 0.8, PICTURES + 0.8), 0, 1)
        np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_momentum_sign_never_leaves_the_ball(picture_gradients):
    for moved in steps_of(optimizers.momentum_sign(), [picture_gradients[0]] * 9, 0.1):
        assert np.abs(moved - PICTURES).max() <= 0.1 + 1e-6
    assert np.abs(moved - PICTURES).min() >= 0.1 - 1e-6  # one gradient all the time: at the border everywhere


@pytest.mark.parametrize("optimizer", [optimizers.blurred_gradient(), optimizers.momentum_sign()], ids=repr)
def test_each_photograph_is_moved_by_itself(optimizer, picture_gradients):
    *_, together = steps_of(optimizer, picture_gradients, 0.05)
    alone = tf.constant(PICTURES[1:])
    state = optimizer.begin(alone)
    for count, gradient in enumerate(picture_gradients, 1):
        alone, state = optimizer.step(alone, state, tf.constant(gradient[1:]), tf.constant(count), 0.05)
    np.testing.assert_array_equal(together[1:], alone.numpy())


# Gaussian blurs axis by axis are those with one kernel of rows and columns.


def with_one_kernel(pictures, deviations):
    """The plain way: all products of rows and columns at once."""
    lines = [gaussian(deviation, 3 * max(deviations)) for deviation in deviations]
    kernel = np.mean([np.outer(line, line) for line in lines], 0)
    each = np.repeat(kernel[:, :, None, None], pictures.shape[3], 2).astype(np.float32)
    return tf.nn.depthwise_conv2d(pictures, each, [1, 1, 1, 1], "SAME").numpy()


@pytest.mark.parametrize("deviations", [(0.5, 1.0, 2.0), (1.5,)])
@pytest.mark.parametrize("shape", [(1, 32, 48, 3), (2, 37, 50, 3), (1, 5, 70, 1), (3, 16, 9, 4), (1, 1, 1, 3)])
def test_blurs_axis_by_axis_are_those_with_one_kernel(shape, deviations):
    pictures = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.testing.assert_allclose(mean_of_blurs(pictures, deviations), with_one_kernel(pictures, deviations), atol=2e-6)


def test_blurs_are_traced_once_for_pictures_of_any_size():
    graph = tf.function(lambda x: mean_of_blurs(x, (0.5, 2.0)), input_signature=[tf.TensorSpec([1, None, None, 3])])
    for height, width in ((20, 31), (33, 16)):
        pictures = np.random.default_rng(1).normal(size=(1, height, width, 3)).astype(np.float32)
        blurred = graph(pictures)
        assert blurred.shape == pictures.shape
        np.testing.assert_allclose(blurred, with_one_kernel(pictures, (0.5, 2.0)), atol=2e-6)


def test_a_gaussian_is_a_line_whose_sum_is_one():
    line = gaussian(2.0, 6.0)
    assert len(line) == 13 and line.argmax() == 6
    assert line.sum() == pytest.approx(1)
    assert line[8] / line[6] == pytest.approx(np.exp(-0.5))
