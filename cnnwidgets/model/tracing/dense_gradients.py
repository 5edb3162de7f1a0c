"""The gradient of the first convolution's picture, computed as a dense convolution.

A convolution that takes few channels in large strides, as a network's first one does, is where a CPU takes longest for
the way back. Written by blocks of stride x stride pixels, its input gradient is a small dense convolution with stride
1, whose channels are then laid out as pixels (depth to space); the numbers are the same up to rounding.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.keras_internals import convolving

MOST_CHANNELS = 4


def dense_gradients(layers: Iterable[Any]) -> contextlib.AbstractContextManager[None]:
    """Let strided convolutions of few channels compute their input gradient as a dense convolution."""
    gaining = (one for one in layers if may_gain(one) and one.built and one.kernel.shape[2] <= MOST_CHANNELS)
    return convolving(gaining, _convolved)


def may_gain(layer: Any) -> bool:
    """Whether a layer is, by its settings, a strided convolution whose input gradient can be a dense one."""
    return (
        type(layer) is keras.layers.Conv2D
        and layer.data_format == "channels_last"
        and layer.padding in ("same", "valid")
        and layer.groups == 1
        and layer.dilation_rate == (1, 1)
        and 1 < layer.strides[0] == layer.strides[1]
    )


def _convolved(layer: Any, convolve: Any, x: Any, kernel: Any) -> Any:
    """The convolution itself; the kernel's gradient, which only others may ask for, is TensorFlow's own."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolved(x: Any, kernel: Any) -> Any:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            padding = layer.padding.upper()
            of_kernel = tf.raw_ops.Conv2DBackpropFilter(
                input=x, filter_sizes=tf.shape(kernel), out_backprop=upstream,
                strides=[1, *layer.strides, 1], padding=padding,
            )  # fmt: skip
            return _of_input(upstream, kernel, _sides(x), layer.strides[0], padding), of_kernel

        return convolve(x, kernel), gradient

    return convolved(x, kernel)


def _of_input(upstream: Any, kernel: Any, size: Any, stride: int, padding: str) -> Any:
    """The input's gradient, [N, *size, C], from that of the output, [N, h, w, units].

    The input's pixel `stride * q + r` is seen by the output's positions q, q - 1, ... through the kernel's cells
    `r`, `stride + r`, ...
    """
    rows, columns, channels, units = kernel.shape
    down, right = -(-rows // stride), -(-columns // stride)  # cells of the dense kernel
    whole = tf.pad(kernel, [[0, down * stride - rows], [0, right * stride - columns], [0, 0], [0, 0]])
    blocks = tf.transpose(tf.reshape(whole, [down, stride, right, stride, channels, units]), [0, 2, 5, 1, 3, 4])
    blocks = tf.reverse(tf.reshape(blocks, [down, right, units, stride * stride * channels]), [0, 1])
    around = [[0, 0], [down - 1, down - 1], [right - 1, right - 1], [0, 0]]
    laid_out = tf.nn.depth_to_space(tf.nn.conv2d(tf.pad(upstream, around), blocks, 1, "VALID"), stride)
    positions, cells = _sides(upstream), (rows, columns)
    top, left = (_before(*side, stride, padding) for side in zip(size, positions, cells, strict=True))
    reached = [stride * (count + more - 1) for count, more in zip(positions, (down, right), strict=True)]
    unseen = [_at_least_0(size[0] + top - reached[0]), _at_least_0(size[1] + left - reached[1])]
    laid_out = tf.pad(laid_out, [[0, 0], [0, unseen[0]], [0, unseen[1]], [0, 0]])
    return laid_out[:, top : top + size[0], left : left + size[1]]


def _sides(maps: Any) -> list[Any]:
    """Rows and columns of [N, H, W, C], as numbers where they are known, which need no operations."""
    shape = tf.shape(maps) if None in maps.shape[1:3] else None
    return [maps.shape[axis] if shape is None else shape[axis] for axis in (1, 2)]


def _before(side: Any, positions: Any, cells: int, stride: int, padding: str) -> Any:
    """How many pixels a convolution adds before the first row or column."""
    return _at_least_0((positions - 1) * stride + cells - side) // 2 if padding == "SAME" else 0


def _at_least_0(count: Any) -> Any:
    return max(count, 0) if isinstance(count, int) else tf.maximum(count, 0)
