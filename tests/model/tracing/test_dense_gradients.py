"""A strided convolution's gradient is the same whichever way it is computed."""

import keras
import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.dense_gradients import dense_gradients

SIZES = [(16, 16), (17, 15), (23, 32), (9, 10)]


def gradients(model, pictures):
    """That of the picture, and of the kernel."""
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        total = tf.reduce_sum(tf.square(model(pictures)))
    return tape.gradient(total, [pictures, model.layers[0].kernel])


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(("cells", "stride"), [(1, 2), (2, 2), (3, 2), (7, 2), (3, 3), (5, 3), (3, 4), (7, 4)])
def test_the_gradient_is_the_same_for_any_size(cells, stride, padding):
    layer = keras.layers.Conv2D(4, cells, stride, padding, activation="relu")
    model = keras.Sequential([keras.Input((None, None, 3)), layer])
    any_size = compiled(lambda pictures: gradients(model, pictures))
    with dense_gradients(model.layers):
        any_size.get_concrete_function(tf.TensorSpec([2, None, None, 3]))
        assert "convolution_op" in vars(layer)
    assert "convolution_op" not in vars(layer)
    for size in SIZES:
        pictures = tf.random.stateless_normal((2, *size, 3), (0, 1))
        expected = gradients(model, pictures)
        with dense_gradients(model.layers):
            eager = gradients(model, pictures)
        for found in (eager, any_size(pictures)):
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4 * np.abs(other).max())


def test_only_strided_convolutions_of_a_picture_get_it():
    many = keras.layers.Conv2D(8, 3, 2)
    slow, dilated = keras.layers.Conv2D(8, 3), keras.layers.Conv2D(8, 3, dilation_rate=2)
    first = keras.layers.Conv2D(8, 3, 2)
    picture = keras.Input((64, 64, 3))
    model = keras.Model(picture, [many(first(picture)), slow(picture), dilated(picture)])
    with dense_gradients(model.layers):
        changed = [layer for layer in model.layers if "convolution_op" in vars(layer)]
    assert changed == [first]
