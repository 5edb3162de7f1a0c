"""A convolution's output is given away without a copy; whatever shares its memory with something else is copied."""

import gc

import keras
import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.own_memory import arrays_of, is_own

L = keras.layers
KERNEL = np.random.default_rng(0).random((3, 3, 3, 4), np.float32)


@pytest.fixture
def run():
    """Traces a function of a picture, runs it twice, and writes over the arrays of the first time."""

    def run(function, copied):
        are_own = []

        def traced(feed):
            outputs = function(feed[0])
            are_own[:] = [is_own(one, feed) for one in outputs]
            return outputs

        graph = compiled(traced).get_concrete_function([tf.TensorSpec([1, None, None, 3])])
        feed = [tf.constant(np.random.default_rng(1).random((1, 8, 8, 3), np.float32))]
        expected = [one.numpy() for one in graph(feed)]
        outputs = graph(feed)
        arrays = arrays_of(outputs, are_own)
        addresses = [np.asarray(one).ctypes.data for one in outputs]
        assert [one.ctypes.data != address for one, address in zip(arrays, addresses, strict=True)] == copied
        del outputs
        gc.collect()
        for one, other in zip(arrays, expected, strict=True):
            np.testing.assert_array_equal(one, other)
            one[:] = -1
        for one, other in zip(arrays_of(graph(feed), are_own), expected, strict=True):
            np.testing.assert_array_equal(one, other)

    return run


def convolved(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def test_a_convolution_with_bias_and_activation_function_is_not_copied(run):
    kernel, bias = tf.Variable(KERNEL), tf.Variable(tf.ones(4))
    run(lambda x: [tf.nn.relu(tf.nn.bias_add(convolved(x, kernel), bias)), convolved(x, kernel + 1)], [False, False])


def test_an_output_that_comes_twice_is_copied(run):
    kernel = tf.Variable(KERNEL)

    def twice(x):
        first = convolved(x, kernel)
        return [first, tf.identity(first), tf.nn.elu(convolved(x, kernel + 1))]

    run(twice, [True, True, False])


def test_constants_variables_and_inputs_are_copied(run):
    kernel, constant = tf.Variable(KERNEL), tf.constant(KERNEL)

    def others(x):
        picture = tf.ones([1, 8, 8, 3])
        return [x, tf.identity(x), tf.identity(kernel), convolved(picture, constant), convolved(picture, kernel),
                convolved(x, constant), tf.reshape(x, [-1])]  # fmt: skip

    run(others, [True] * 7)


def test_feature_maps_can_be_written_to_and_the_next_ones_are_right(noise):
    x = picture = keras.Input((None, None, 3))
    x = L.Conv2D(4, 3, strides=2, activation="relu", name="strided")(x)
    x = L.Dropout(0.5, name="dropped")(L.Conv2D(5, 3, name="linear")(x))
    model = keras.Model(picture, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    net, photograph, every = cw.Network(model, "unit"), noise(16, 16, 3), ["strided", "linear", "dropped"]
    expected = keras.Model(picture, [model.get_layer(name).output for name in every])(photograph[None])
    for _ in range(2):
        found = list(cw.feature_maps(net, photograph, every).values())
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other[0], rtol=1e-5, atol=1e-6)
            assert one.flags.writeable
        for one in found:
            one[:] = 7
    found[1][:] = 3
    assert (found[2] == 7).all()
