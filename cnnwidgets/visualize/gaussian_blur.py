"""The mean of several Gaussian blurs, one axis after the other.

As one kernel, 13 x 13 pixels for 3 channels, it is slow on a CPU: each pixel takes 169 products, and 3 channels leave
most of a processor's lanes empty. A Gaussian is a product of two lines, so 13 products down and 13 across do, and down
the columns whole runs of neighboring pixels can pass as channels. The picture is turned to do the other axis in the
same way. The numbers are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf

RUN = 16  # neighboring pixels that pass as channels


def mean_of_blurs(pictures: Any, deviations: Sequence[float]) -> Any:  # [N, H, W, C] -> [N, H, W, C]
    """The mean of Gaussian blurs of these standard deviations, in pixels; black beyond the border."""
    channels = pictures.shape[3]
    count, height, width = tf.unstack(tf.shape(pictures)[:3])
    whole = tf.pad(pictures, [[0, 0], [0, -height % RUN], [0, -width % RUN], [0, 0]])
    rows, columns = tf.unstack(tf.shape(whole)[1:3])
    turned = _turned(tf.reshape(whole, [count, rows, columns * channels]))  # [N, W * C, H]
    across = tf.reshape(turned, [count, columns, channels * rows])

    def blurred(line: Array) -> Any:
        smooth = tf.reshape(_blurred_down(across, line, RUN * channels), [count, columns * channels, rows])
        return _blurred_down(_turned(smooth), line / len(deviations), RUN * channels)

    reach = 3 * max(deviations)
    total = tf.add_n([blurred(gaussian(deviation, reach)) for deviation in deviations])
    return tf.reshape(total, tf.shape(whole))[:, :height, :width]


def gaussian(deviation: float, reach: float) -> Array:
    """A Gaussian of one dimension, `2 * ceil(reach) + 1` long, whose sum is 1."""
    line = np.exp(-0.5 * (np.arange(-np.ceil(reach), np.ceil(reach) + 1) / deviation) ** 2)
    return np.asarray(line / line.sum())


def _turned(x: Any) -> Any:  # [N, a, b] -> [N, b, a]
    return tf.transpose(x, [0, 2, 1])


def _blurred_down(x: Any, line: Array, together: int) -> Any:  # [N, h, w] -> [N, h, w]
    """Each column by itself; w is a multiple of `together`, the columns that are one pixel's channels."""
    shape = tf.shape(x)
    each = tf.constant(np.tile(line[:, None, None, None], [1, 1, together, 1]), tf.float32)  # [k, 1, together, 1]
    pixels = tf.reshape(x, [shape[0], shape[1], shape[2] // together, together])
    return tf.reshape(tf.nn.depthwise_conv2d(pixels, each, [1, 1, 1, 1], "SAME"), shape)
