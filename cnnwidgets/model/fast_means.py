"""The mean of each channel over a map, without computing the map if the layer is linear.

Averaging commutes with linear operations: the mean of a convolution over all its positions is its kernel applied once,
to the means of what each of the kernel's cells sees. So the layer that is maximized costs next to nothing, there and
back; TensorFlow drops the map itself from the graph, since nothing reads it.

`with switched(False): ...` reads the means of objectives from their maps instead, in the whole process, until the block
ends. Values and gradients are the same but for rounding, so pictures differ in their last bits.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Collection, Iterator
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.recording import Recording

_L = keras.layers
Means = Callable[[Any], Any]  # [N, h, w, C] -> [N, C]
_SWITCH = {"on": True}


def is_on() -> bool:
    """Whether means are computed without their maps where that can be."""
    return _SWITCH["on"]


@contextlib.contextmanager
def switched(on: bool) -> Iterator[None]:
    """Switch this way of computing means on or off for runs that begin inside the block."""
    before, _SWITCH["on"] = _SWITCH["on"], on
    try:
        yield
    finally:
        _SWITCH["on"] = before


def channel_means(recording: Recording, activation: Any, computed: Collection[int] = ()) -> Any:
    """The mean of each channel, float32; through linear layers as far as the recording knows them.

    Args:
        recording: of the run, with activations.
        activation: [N, h, w, C] or [N, C].
        computed: the ids of maps that are computed anyway, whose means are read from them.

    Returns:
        [N, C].
    """
    layer, inputs = recording.maker_of(activation)
    if type(layer) in _RULES and id(activation) not in computed:
        means = _RULES[type(layer)](layer, inputs, functools.partial(channel_means, recording, computed=computed))
        if means is not None:
            return means
    return means_of_map(activation)


def scores_without_map(recording: Recording, scores: Any) -> Any:  # [N, ..., K] -> [N, ..., K]
    """Scores that are the mean of a map over its positions, without the map; any other scores as they are.

    Maps that are recorded are computed, so that a gradient by them exists.
    """
    if type(recording.maker_of(scores)[0]) is not _L.GlobalAveragePooling2D or scores.shape.rank != 2:
        return scores
    return channel_means(recording, scores, {id(tensor) for _, tensor in recording.order})


def means_of_map(activation: Any) -> Any:  # [N, h, w, C] or [N, C] -> [N, C]
    """The mean of each channel, float32, of a map that is computed."""
    axes = list(range(1, activation.shape.rank - 1))
    activation = tf.cast(activation, tf.float32)
    return tf.reduce_mean(activation, axes) if axes else activation


def _of_convolution(layer: Any, x: Any, _means: Means) -> Any:
    seen = _seen_by_cells(layer, x) if layer.groups == 1 else None  # [N, k * k, C]
    if seen is None:
        return None
    kernel = tf.cast(tf.convert_to_tensor(layer.kernel), tf.float32)  # [k, k, C, units]
    each = tf.reshape(kernel, [-1, kernel.shape[-1]])  # [k * k * C, units]
    return _with_bias(layer, tf.linalg.matmul(tf.reshape(seen, [-1, each.shape[0]]), each))


def _of_depthwise_convolution(layer: Any, x: Any, _means: Means) -> Any:
    seen = _seen_by_cells(layer, x)  # [N, k * k, C]
    if seen is None:
        return None
    kernel = tf.cast(tf.convert_to_tensor(layer.kernel), tf.float32)  # [k, k, C, multiplier]
    each = tf.reshape(kernel, [1, -1, *kernel.shape[2:]])
    means = tf.reduce_sum(seen[..., None] * each, 1)  # [N, C, multiplier]
    return _with_bias(layer, tf.reshape(means, [tf.shape(x)[0], -1]))


def _with_bias(layer: Any, means: Any) -> Any:
    return means + tf.cast(tf.convert_to_tensor(layer.bias), tf.float32) if layer.use_bias else means


def _seen_by_cells(layer: Any, x: Any) -> Any:  # [N, h, w, C] -> [N, k * k, C]
    """For each cell of the kernel the mean of what it sees, wherever the kernel stands; `None` where that is open."""
    height, width, channels = x.shape[1:]
    if layer.data_format != "channels_last" or layer.padding not in ("same", "valid"):
        return None
    if None in (height, width):
        sees_all = layer.kernel_size == layer.strides == (1, 1)
        return means_of_map(x)[:, None] if sees_all else None
    sides = zip((height, width), layer.kernel_size, layer.strides, layer.dilation_rate, strict=True)
    rows, columns = (_seen_along(*side, layer.padding) for side in sides)
    lines = _weighted(rows, tf.reshape(tf.cast(x, tf.float32), [-1, height, width * channels]))
    cells = _weighted(columns, tf.reshape(lines, [-1, width, channels]))  # [N * k, k, C]
    return tf.reshape(cells, [-1, len(rows) * len(columns), channels])


def _weighted(weights: Array, values: Any) -> Any:  # [k, m], [N, m, C] -> [N, k, C]
    """Weighted sums of values; TensorFlow's own gradient also asks for the weights', in five times the operations."""

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def sums(values: Any) -> Any:
        return tf.linalg.matmul(weights, values), lambda upstream: tf.linalg.matmul(weights.T, upstream)

    return sums(values)


@functools.lru_cache(maxsize=256)
def _seen_along(length: int, cells: int, stride: int, dilation: int, padding: str) -> Array:
    """How much of its mean each of the kernel's cells takes from each position along one axis, [cells, length]."""
    reach = (cells - 1) * dilation + 1
    count = -(-length // stride) if padding == "same" else (length - reach) // stride + 1
    before = max((count - 1) * stride + reach - length, 0) // 2 if padding == "same" else 0
    positions = np.arange(count) * stride + dilation * np.arange(cells)[:, None] - before  # [cells, count]
    return np.asarray((positions[..., None] == np.arange(length)).sum(1) / count, np.float32)


def _of_normalization(layer: Any, x: Any, means: Means) -> Any:
    if layer.axis not in (-1, 3) or x.shape.rank != 4:
        return None
    each = tf.cast(means(x), layer.compute_dtype)[:, None, None, :]
    return tf.cast(type(layer).call(layer, each, training=False)[:, 0, 0, :], tf.float32)


def _of_concatenation(layer: Any, parts: Any, means: Means) -> Any:
    alone = layer.axis in (-1, parts[0].shape.rank - 1)
    return tf.concat([means(part) for part in parts], -1) if alone else None


def _of_pooling(layer: Any, x: Any, means: Means) -> Any:
    return means(x) if layer.data_format == "channels_last" and not layer.keepdims else None


def _of_sum(_layer: Any, parts: Any, means: Means) -> Any:
    alike = all(part.shape[1:] == parts[0].shape[1:] for part in parts) and None not in parts[0].shape[1:]
    return tf.add_n([means(part) for part in parts]) if alike else None


_RULES: dict[type, Callable[[Any, Any, Means], Any]] = {
    _L.Conv2D: _of_convolution,
    _L.DepthwiseConv2D: _of_depthwise_convolution,
    _L.BatchNormalization: _of_normalization,
    _L.Concatenate: _of_concatenation,
    _L.Add: _of_sum,
    _L.GlobalAveragePooling2D: _of_pooling,
}
