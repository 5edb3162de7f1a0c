"""Rules of trails for sliding windows: convolutions, pooling, and resizing.

A window takes the location of its middle, and the extent of all that it holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.operation_kinds import RESIZES
from cnnwidgets.model.geometry.trail_rules import (
    EXTENT,
    KINDS,
    LOCATION,
    Given,
    Rule,
    Trail,
    again,
    everywhere,
    full,
    joined,
    moves_by_content,
    reduced,
)


def _resized(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Interpolation: padding dilutes no extent, and an antialiased pixel sees its neighbors too."""
    if moves_by_content(op, given):
        return everywhere(op, given, kind)
    trail = full(given[0], op.inputs[0], frozenset({3}))

    def resize(value: Any) -> Any:
        return again(op, [value, *op.inputs[1:]])[0]

    value = resize(trail.value)
    if kind == EXTENT:
        seen = resize(tf.cast(trail.value > 0, tf.float32))
        value = tf.math.divide_no_nan(value, seen) * tf.cast(seen > 1e-6, tf.float32)
        ratio = tf.shape(trail.value)[1:3] / tf.shape(value)[1:3]  # [2]
        margin = tf.repeat(tf.cast(tf.maximum(ratio, 1), tf.float32), 2)[:, None, None, None]
        wide = op.type in ("ResizeArea", "ScaleAndTranslate") and (op.type == "ResizeArea" or op.get_attr("antialias"))
        value = tf.math.ceil(value + (margin if wide else 0) - 1e-3) * tf.cast(value > 0, tf.float32)
    return [Trail(value, trail.flat)]


def _window(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """A sliding window of a convolution or pooling."""
    first = is_channels_first(op)
    value = _thin(op, given[0], op.inputs[0], kind)
    size, strides, padding = _window_size(op), spatial(op, "strides"), _padding(op)
    if isinstance(padding, list):
        value, padding = tf.pad(value, padding), "VALID"
    if (size, strides) == ((1, 1), (1, 1)):  # each number stays where it is
        pass
    elif kind == LOCATION:
        down, across = (_middle(size[i], strides[i], value, i + 1, padding) for i in range(2))
        value = tf.nn.conv2d(value, (down[:, None] * across)[..., None, None], strides, padding)
    else:
        value = tf.nn.max_pool2d(value, size, strides, padding)
    return [Trail(tf.transpose(value, [0, 3, 1, 2]), frozenset({1})) if first else Trail(value, frozenset({3}))]


def _thin(op: Any, trail: Trail, tensor: Any, kind: str) -> Any:  # [4, h, w, 1]
    channel = 1 if is_channels_first(op) else 3
    value = trail.value if trail.flat <= {channel} else full(trail, tensor, frozenset({channel})).value
    if channel not in trail.flat:  # channels that came from different pixels, as behind space_to_depth
        value = reduced(value, [channel], kind)
    return tf.transpose(value, [0, 2, 3, 1]) if channel == 1 else value


def _middle(size: int, stride: int, value: Any, axis: int, padding: str) -> Any:  # [size]
    """1 at the middle of a window; a half each at the two middles of an even one.

    TensorFlow pads an odd number of pixels one more at the end. Trained networks hardly follow that half pixel: on
    mirrored photographs the maps of EfficientNet-Lite0 agree better where the padding counts as even on both sides.
    """
    middle, before = np.zeros([2, size], np.float32)
    middle[[(size - 1) // 2, size // 2]] = 1
    before[[(size - 2) // 2, (size - 1) // 2]] = 1
    ways = middle / middle.sum(), before / before.sum()
    if padding != "SAME" or size == 1:
        return ways[0]
    if stride == 1:  # whatever the length
        return ways[(size - 1) % 2]
    length = tf.shape(value)[axis]
    padded = tf.maximum((-(-length // stride) - 1) * stride + size - length, 0)
    return tf.where(padded % 2 == 1, ways[1], ways[0])


def _window_size(op: Any) -> tuple[int, int]:
    """How many (rows, columns) a window spans, holes included."""
    if op.type in ("MaxPool", "AvgPool"):
        return spatial(op, "ksize")
    filters = op.inputs[1]
    down, across = spatial(op, "dilations")
    return (filters.shape[0] - 1) * down + 1, (filters.shape[1] - 1) * across + 1


def _padding(op: Any) -> Any:
    """The name of a rule, "SAME" or "VALID", or paddings for tf.pad of [N, h, w, C]."""
    padding = op.get_attr("padding").decode()
    if padding != "EXPLICIT":
        return padding
    given = op.get_attr("explicit_paddings")
    top, bottom, left, right = given[4:8] if is_channels_first(op) else given[2:6]
    return [[0, 0], [top, bottom], [left, right], [0, 0]]


def _window_back(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """A transposed convolution: each number comes from all windows that hold it."""
    if given[2] is None:
        return everywhere(op, given, kind)
    value, first = _thin(op, given[2], op.inputs[2], kind), is_channels_first(op)
    sizes = op.inputs[0][2:4] if first else op.inputs[0][1:3]
    filters = op.inputs[1]
    high, wide = filters.shape[:2]
    down, across = spatial(op, "dilations")
    holes = np.zeros([(high - 1) * down + 1, (wide - 1) * across + 1], np.float32)
    holes[::down, ::across] = 1
    explicit = op.get_attr("explicit_paddings")

    def spread(kernel: Any) -> Any:
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=tf.concat([[KINDS], sizes, [1]], 0),
            filter=tf.constant(kernel[..., None, None]),
            out_backprop=value,
            strides=[1, *spatial(op, "strides"), 1],
            padding=op.get_attr("padding"),
            explicit_paddings=[0, 0, *explicit[4:8], 0, 0] if explicit and first else list(explicit),
        )

    if kind == LOCATION:
        made = spread(holes)
    else:
        taps = [np.where(np.arange(holes.size).reshape(holes.shape) == i, 1, 0) for i in np.flatnonzero(holes)]
        made = joined([spread(tap.astype(np.float32)) for tap in taps], kind)
    return [Trail(tf.transpose(made, [0, 3, 1, 2]), frozenset({1})) if first else Trail(made, frozenset({3}))]


def is_channels_first(op: Any) -> bool:
    """Whether an operation on pictures has channels before rows and columns."""
    return bool(op.get_attr("data_format") == b"NCHW")


def spatial(op: Any, name: str) -> tuple[int, int]:
    """An attribute's numbers for rows and columns."""
    numbers = op.get_attr(name)
    return tuple(numbers[2:4] if is_channels_first(op) else numbers[1:3])


RULES: dict[str, Rule] = {
    **dict.fromkeys(("AvgPool", "Conv2D", "DepthwiseConv2dNative", "MaxPool"), _window),
    **dict.fromkeys(RESIZES, _resized),
    "Conv2DBackpropInput": _window_back,
}
