"""Windows read a picture of any size: together they see all of it, and their gradient is the whole picture's."""

import functools

import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize.photographs.tiled_gradient import Windows

NUMBERS = np.random.default_rng(0)
KERNEL = tf.constant(NUMBERS.normal(size=(3, 3, 2, 4)), tf.float32)


def mean_square(pictures):
    """Of one convolution: each pixel's gradient hangs on its nearest neighbours alone."""
    return tf.reduce_mean(tf.square(tf.nn.conv2d(pictures, KERNEL, 1, "SAME")), [1, 2, 3])


@functools.cache
def graph(windows, value):
    """The value and its gradient, for pictures of any size."""

    def run(pictures):
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            values = windows.read(value, pictures) if windows else value(pictures)
        return values, tape.gradient(values, pictures)

    return compiled(run).get_concrete_function(tf.TensorSpec([1, None, None, 2]))


def read(windows, picture, value=mean_square):
    values, gradient = graph(windows, value)(tf.constant(picture))
    return values.numpy(), gradient.numpy()


def picture(height, width):
    return np.random.default_rng(height).random((1, height, width, 2)).astype(np.float32)


def surrounded(whole):
    """The picture as a torus: its own other side stands around it."""
    return np.pad(whole, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="wrap")


@pytest.mark.parametrize("windows", [Windows(64, 64), Windows(96, 48), Windows(64, 64, exact=True)], ids=repr)
@pytest.mark.parametrize("size", [(333, 500), (128, 64), (65, 70), (500, 65)], ids=str)
def test_the_gradient_is_that_of_the_whole_picture(windows, size):
    whole = picture(*size)
    _, gradient = read(windows, whole)
    _, expected = read(None, surrounded(whole))
    cut = slice(None), slice(3, -3), slice(3, -3)
    inner = expected[:, 2:-2, 2:-2][cut]
    ratio = np.sum(gradient[cut] * inner) / np.sum(inner**2)  # each window's mean is over fewer pixels
    assert ratio > 0
    np.testing.assert_allclose(gradient[cut], ratio * inner, atol=1e-4 * ratio * np.abs(inner).max())


@pytest.mark.parametrize("windows", [Windows(64, 64), Windows(64, 64, exact=True)], ids=repr)
@pytest.mark.parametrize("size", [(333, 500), (30, 200), (5, 7), (1, 100)], ids=str)
def test_every_pixel_has_a_gradient(windows, size):
    _, gradient = read(windows, picture(*size))
    assert (np.abs(gradient).max(-1) > 0).all()


def test_the_value_is_the_mean_of_the_windows():
    flat = np.full((1, 100, 150, 2), 0.25, np.float32)
    values, _ = read(Windows(32, 32), flat, lambda pictures: tf.reduce_mean(pictures, [1, 2, 3]))
    np.testing.assert_allclose(values, [0.25], rtol=1e-6)


def test_a_network_of_one_size_gets_windows_of_this_size_only():
    sizes = []

    def value(pictures):
        sizes.append(tuple(pictures.shape[1:]))
        return mean_square(pictures)

    for size in ((333, 500), (40, 40), (40, 300)):
        read(Windows(48, 64, exact=True), picture(*size), value)
    assert set(sizes) == {(48, 64, 2)}


def shapes_given_to(value):
    """A list that grows with the shape of each batch, and the function that fills it; variables would be put back."""
    shapes = []

    def noting(pictures):
        tf.numpy_function(lambda shape: shapes.append(tuple(shape)), [tf.shape(pictures)], [])
        return value(pictures)

    return shapes, noting


def test_windows_of_any_size_are_no_larger_than_they_may_be():
    shapes, value = shapes_given_to(mean_square)
    for size in ((333, 500), (129, 64), (40, 1000)):
        read(Windows(64, 64), picture(*size), value)
    assert 48 <= max(max(shape[1:3]) for shape in shapes) <= 64


def test_memory_is_bounded_by_small_batches_of_windows():
    shapes, value = shapes_given_to(mean_square)
    for side, batch in ((32, 16), (128, 4), (256, 1)):
        shapes.clear()
        read(Windows(side, side), picture(600, 600), value)
        assert max(shape[0] for shape in shapes) == batch
