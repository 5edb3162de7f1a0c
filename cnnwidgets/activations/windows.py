"""The window of a convolution or pooling on its input, and the weights with which it is summed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import keras, tf

_L = keras.layers
MAXIMA = (_L.MaxPooling2D, _L.GlobalMaxPooling2D)
AVERAGES = (_L.AveragePooling2D, _L.GlobalAveragePooling2D)
GLOBAL = (_L.GlobalMaxPooling2D, _L.GlobalAveragePooling2D)
POOLINGS = (*MAXIMA, *AVERAGES)
CONVOLUTIONS = (_L.Conv2D, _L.DepthwiseConv2D, _L.SeparableConv2D, _L.Conv2DTranspose)
TRANSPOSED = _L.Conv2DTranspose
HOLE = -1  # instead of a row or column: a zero that a transposed convolution puts between two of its input


@dataclass(frozen=True, eq=False)
class Window:
    """Where one output value looks at the input.

    Attributes:
        rows, columns: of the input, one for each row and column of the window; padding lies outside of 0 to size - 1,
            and so does HOLE.
        outside: [kh, kw] bool.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    outside: Array

    def cut(self, given: Array) -> Array:
        """[kh, kw, C] of an input [h, w, C]; 0 outside."""
        rows, columns = (
            np.clip(line, 0, n - 1) for line, n in zip((self.rows, self.columns), given.shape, strict=False)
        )
        return np.where(self.outside[..., None], np.float32(0), given[rows[:, None], columns[None, :]])


def window_of(layer: Any, size: tuple[int, ...], made: tuple[int, ...], row: int, column: int) -> Window:
    """The window of a layer for the output value at (row, column).

    Args:
        layer: of Keras.
        size: (rows, columns) of the input.
        made: (rows, columns) of the output.
        row: of the output.
        column: of the output.
    """
    if isinstance(layer, TRANSPOSED):
        pairs = (_pair(one) for one in (layer.kernel_size, layer.strides, layer.dilation_rate))
        lines = [
            _spread_line(at, length, after, k, stride, apart, layer.padding == "same")
            for at, length, after, k, stride, apart in zip((row, column), size, made, *pairs, strict=True)
        ]
    elif isinstance(layer, GLOBAL):
        lines = [tuple(range(length)) for length in size]
    else:
        kernel = getattr(layer, "kernel_size", None) or layer.pool_size
        dilation = getattr(layer, "dilation_rate", (1, 1))
        pairs = (_pair(one) for one in (kernel, layer.strides or kernel, dilation))
        lines = [
            _line(at, length, k, stride, apart, layer.padding == "same")
            for at, length, k, stride, apart in zip((row, column), size, *pairs, strict=True)
        ]
    inside = [np.array([0 <= i < length for i in line]) for line, length in zip(lines, size, strict=True)]
    return Window(lines[0], lines[1], ~(inside[0][:, None] & inside[1][None, :]))


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _line(at: int, length: int, kernel: int, stride: int, dilation: int, is_same: bool) -> tuple[int, ...]:
    """The positions of the input along one axis; what TensorFlow pads is split evenly, the odd one at the end."""
    reach = (kernel - 1) * dilation + 1
    first = at * stride - (_padded(length, reach, stride) if is_same else 0)
    return tuple(range(first, first + reach, dilation))


def _padded(length: int, reach: int, stride: int) -> int:
    """How far "same" padding reaches before the first row or column."""
    return max((-(-length // stride) - 1) * stride + reach - length, 0) // 2


def _spread_line(
    at: int, length: int, made: int, kernel: int, stride: int, dilation: int, is_same: bool
) -> tuple[int, ...]:
    """The same for a transposed convolution, which has `stride - 1` zeros between two rows or columns of its input."""
    reach = (kernel - 1) * dilation + 1
    last = at + (_padded(made, reach, stride) if is_same else 0)
    spread = range(last - reach + 1, last + 1, dilation)  # positions among the zeros
    return tuple(i // stride if i % stride == 0 and 0 <= i // stride < length else HOLE for i in spread)


def pooled_shares(layer: Any, patch: Array, outside: Array) -> tuple[Array, tuple[int, int] | None]:
    """How much each value of a patch [kh, kw] counts, and where the largest is in a max pooling."""
    if isinstance(layer, AVERAGES):
        inside = ~outside
        return (inside / inside.sum()).astype(np.float32), None
    best = np.where(outside, -np.inf, patch).argmax()
    winner = tuple(int(i) for i in np.unravel_index(best, patch.shape))
    shares = np.zeros(patch.shape, np.float32)
    shares[winner] = 1
    return shares, (winner[0], winner[1])


@dataclass(frozen=True, eq=False)
class Weights:
    """The weights of a convolution, one kernel for each unit.

    Attributes:
        layer: of Keras.
        kernels: [kh, kw, C, units], C the channels that a unit sees; [kh, kw, C, multiplier] in a depthwise one.
        is_depthwise: whether each unit sees one channel.
    """

    layer: Any
    kernels: Array
    is_depthwise: bool

    def kernel_of(self, unit: int) -> tuple[Array, tuple[int, ...]]:
        """[kh, kw, C] of a unit, and which channels of the input these are."""
        seen = self.kernels.shape[2]
        if self.is_depthwise:
            channel, which = divmod(unit, self.kernels.shape[3])
            return self.kernels[:, :, channel : channel + 1, which], (channel,)
        groups = getattr(self.layer, "groups", 1)
        first = unit // (self.kernels.shape[3] // groups) * seen
        return self.kernels[..., unit], tuple(range(first, first + seen))

    def bias_of(self, unit: int) -> float:
        """The bias of a unit; 0 where the layer has none."""
        return float(_as_computed(self.layer, self.layer.bias)[unit]) if self.layer.use_bias else 0.0


def weights_of(layer: Any) -> Weights:
    """The weights of one of CONVOLUTIONS, as they are now."""
    if isinstance(layer, _L.SeparableConv2D):
        depthwise, pointwise = (_as_computed(layer, one) for one in (layer.depthwise_kernel, layer.pointwise_kernel))
        channels, multiplier = depthwise.shape[2:]
        mixing = pointwise[0, 0].reshape(channels, multiplier, -1)
        return Weights(layer, np.einsum("ijcm,cmu->ijcu", depthwise, mixing), False)
    if isinstance(layer, TRANSPOSED):  # over its spread input it is a convolution with the kernel turned round
        return Weights(layer, _as_computed(layer, layer.kernel)[::-1, ::-1].swapaxes(2, 3), False)
    return Weights(layer, _as_computed(layer, layer.kernel), isinstance(layer, _L.DepthwiseConv2D))


def _as_computed(layer: Any, weight: Any) -> Array:
    """A weight in the precision in which the layer computes, as float32."""
    return np.asarray(tf.cast(tf.cast(tf.convert_to_tensor(weight), layer.compute_dtype), tf.float32))
