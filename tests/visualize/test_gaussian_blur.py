"""Gaussian blurs axis by axis are those with one kernel of rows and columns."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.visualize.gaussian_blur import gaussian, mean_of_blurs


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
