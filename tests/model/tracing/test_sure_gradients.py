"""Where a gradient surely passes: never where there is none, and in usual networks wherever there is one."""

from __future__ import annotations

import keras
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import from_shapes
from cnnwidgets.model.tracing.sure_gradients import surely_back, surely_from


@tf.custom_gradient
def ignoring_the_second(x, y):
    return x + y, lambda upstream: (upstream, None)


def ways(make):
    """(sure on the way back, sure on the way there, by gradient) for the first layer of a model of two inputs."""

    def run():
        first, second = (tf.raw_ops.Placeholder(dtype=tf.float32, shape=[1, 8, 8, 3]) for _ in range(2))
        value = make(first * 2, second * 3)
        back = surely_back(value.op)
        found = [(one.op in back, value.op in surely_from(one.op)) for one in (first, second)]
        gradients = tf.gradients(value, [first, second])
        return [(*sure, one is not None) for sure, one in zip(found, gradients, strict=True)]

    return from_shapes(run)


def convolved(x):
    return tf.nn.bias_add(tf.nn.conv2d(x, tf.ones([3, 3, 3, 4]), 2, "SAME"), tf.ones(4))


USUAL = {
    "convolutions": lambda x, y: tf.reduce_sum(tf.nn.relu(convolved(x)) + tf.nn.max_pool2d(convolved(y), 2, 1, "SAME")),
    "a class": lambda x, y: tf.gather(tf.reduce_mean(x + y, [1, 2]), [[1]], batch_dims=1)[0, 0],
    "swish": lambda x, y: tf.reduce_sum(tf.nn.silu(x) * keras.activations.gelu(y)),
}
CUT = {
    "stop_gradient": lambda x, y: tf.reduce_sum(x + tf.stop_gradient(y)),
    "rounding": lambda x, y: tf.reduce_sum(x * tf.round(y)),
    "whole numbers": lambda x, y: tf.reduce_sum(x) + tf.cast(tf.reduce_sum(tf.cast(y, tf.int32)), tf.float32),
    "a choice": lambda x, y: tf.reduce_sum(tf.where(y > 0, x, 0.0)),
    "shapes": lambda x, y: tf.reduce_sum(x) * tf.cast(tf.size(y), tf.float32),
    "its own gradient": lambda x, y: tf.reduce_sum(ignoring_the_second(x, y)),
}


@pytest.mark.parametrize("make", USUAL.values(), ids=USUAL)
def test_every_gradient_of_a_usual_network_is_sure_on_the_way_back(make):
    assert [(back, is_there) for back, _, is_there in ways(make)] == [(True, True)] * 2


@pytest.mark.parametrize("make", CUT.values(), ids=CUT)
def test_no_gradient_is_sure_where_there_is_none(make):
    (back, _, is_there), second = ways(make)
    assert back and is_there
    assert second == (False, False, False)
