"""The pixels of a picture that can affect a cell of a layer's map, for any weights.

A gradient follows any graph, but its numbers lie here: behind a ReLU that is off, a maximum that was not chosen or a
weight of zero it is 0, although another picture would pass. So the graph is followed by TensorFlow's own gradient
machinery under other rules: each operation passes on a mask, "what can matter to what matters", in place of a
derivative. Masks are never negative, so nothing cancels. Operations that only move, add or average numbers need no rule
of their own: their derivatives are such masks already. What a model compiles itself (a `tf.function` in its call, a
grouped convolution) is followed by its true gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.operation_kinds import ALONG_LAST, CURVES, PRODUCTS
from cnnwidgets.model.geometry.window_rules import is_channels_first, spatial
from cnnwidgets.model.keras_internals import gradients_by_name, has_own_gradient, register_gradients, set_gradient
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import compiled

Box = tuple[int, int, int, int]  # top, left, bottom, right: bottom and right are the first pixels outside


class Followed(NamedTuple):
    """The graph that leads from a layer back to a picture.

    Attributes:
        box: (feed, cell) -> what a cell sees, int32 [4], a Box; and the map's rows and columns, [2]. The cell is
            (row, column, unit); of all units together where that is negative.
        which: the index of the picture input that the layer sees; of several the first.
    """

    box: Callable[[list[Any], Any], tuple[Any, Any]]
    which: int


def follow(net: Network, path: str, call: int, shapes: Sequence[tuple[int | None, ...]]) -> Followed:
    """Follow one call of a layer back to the picture; traced once for each list of shapes.

    Args:
        net: the network.
        path: the layer's full path.
        call: which call of a shared layer.
        shapes: of each input as `net.call` takes it, [1, ...]. Where all are known the network itself hardly runs,
            since masks depend on shapes alone.

    Raises:
        BadTarget: for a layer that cannot be followed to a picture.
    """
    build = functools.partial(_followed, net, path, call, tuple(shapes))
    return net.traces.get(build)  # type: ignore[no-any-return]


def _followed(net: Network, path: str, call: int, shapes: tuple[tuple[int | None, ...], ...]) -> Followed:
    found: list[int] = []

    def run(feed: list[Any], cell: Any) -> tuple[Any, Any]:
        with gradients_by_name(tf.compat.v1.get_default_graph(), _NAMES):
            output = _output(net, path, call, feed)
            _follow_inside(output.graph)
            chosen, cells = _at(output, cell)
            masks = _masks(output, [feed[i] for i in net.picture_inputs], chosen)
        found[:] = [i for i, mask in enumerate(masks) if mask is not None]
        if not found:
            raise BadTarget(
                f"The layer {quoted(path)} cannot be followed back to a picture: it sees none, or something "
                "between them cuts it (an integer cast, argmax). Choose another layer."
            )
        return _bounds(tf.convert_to_tensor(masks[found[0]]))[0], cells

    specs = [tf.TensorSpec(shape) for shape in shapes], tf.TensorSpec([3], tf.int32)
    box = compiled(run, for_zeros=True).get_concrete_function(*specs)
    return Followed(box, net.picture_inputs[found[0]])


class FollowedTogether(NamedTuple):
    """The graph that leads from several layers back to the one picture of a network.

    Attributes:
        boxes: (feed, cells) -> what a cell of each layer sees, int32 [layers, 4]; the feed holds a picture for each
            layer, and a cell is (row, column), of all units together.
        cells: (rows, columns) of each layer's map.
    """

    boxes: Callable[[list[Any], Any], Any]
    cells: list[tuple[int, int]]


def follow_together(net: Network, paths: tuple[str, ...], shapes: Sequence[tuple[int, ...]]) -> FollowedTogether:
    """Follow the first calls of layers back to a picture; tracing them one by one takes several times as long.

    Args:
        net: a network of one picture.
        paths: the layers' full paths; each has rows and columns.
        shapes: of each input as `net.call` takes it, [layers, ...].

    Raises:
        BadTarget: if one of them cannot be followed so; `follow` each then.
    """
    cells: list[Any] = []

    def run(feed: list[Any], chosen: Any) -> Any:
        with gradients_by_name(tf.compat.v1.get_default_graph(), _NAMES):
            with net.record(paths, until=[(path, 0) for path in paths]) as recording:
                net.call(feed)
            outputs = [recording.activation(path) for path in paths]
            _follow_inside(outputs[0].graph)
            cells[:] = [tuple(output.shape[1:-1]) for output in outputs]
            if any(len(one) != 2 or None in one for one in cells):
                raise BadTarget("These layers cannot be followed together: the size of a map is not known.")
            masks = [
                _at(output, tf.concat([chosen[i], [-1]], 0))[0] * tf.one_hot(i, len(paths))[:, None, None, None]
                for i, output in enumerate(outputs)
            ]
            (mask,) = _masks(outputs, [feed[i] for i in net.picture_inputs], masks)
        if mask is None:
            raise BadTarget("These layers cannot be followed together.")
        return _bounds(tf.convert_to_tensor(mask))

    specs = [tf.TensorSpec(shape) for shape in shapes], tf.TensorSpec([len(paths), 2], tf.int32)
    return FollowedTogether(compiled(run, for_zeros=True).get_concrete_function(*specs), cells)


def _output(net: Network, path: str, call: int, feed: list[Any]) -> Any:  # [1, h, w, units], if it has rows and columns
    with net.record([path], until=[(path, call)]) as recording:
        net.call(feed)
    return recording.activation(path, call)


def _follow_inside(graph: Any) -> None:
    """Replace gradients that functions define for themselves, in which a weight of zero would hide pixels."""
    for op in filter(has_own_gradient, graph.get_operations()):
        set_gradient(op, _NAMES["IdentityN"])


def _at(output: Any, cell: Any) -> tuple[Any, Any]:
    """A mask of one cell, and the number of rows and columns; of the whole layer where there are none."""
    row, column, unit = tf.unstack(cell)
    chosen = tf.where(unit < 0, 1.0, tf.one_hot(unit, tf.shape(output)[-1]))  # [units]
    cells = tf.constant([1, 1])
    if output.shape.rank == 4:
        cells = tf.shape(output)[1:3]
        at_cell = tf.one_hot(row, cells[0])[:, None] * tf.one_hot(column, cells[1])  # [h, w]
        chosen = at_cell[..., None] * chosen  # [h, w, units]
    return tf.zeros_like(output) + tf.cast(chosen, output.dtype), cells


def _masks(outputs: Any, pictures: list[Any], chosen: Any) -> list[Any]:
    try:
        return list(tf.gradients(outputs, pictures, chosen))
    except LookupError:  # an operation for which TensorFlow knows no gradient
        return [None] * len(pictures)


def _bounds(mask: Any) -> Any:  # [n, H, W, C] -> int32 [n, 4]
    """The smallest box around what is seen; four zeros for a cell of padding, which sees nothing."""
    seen = tf.reduce_any(tf.not_equal(mask, 0), 3)  # [n, H, W]
    lines = [tf.cast(tf.reduce_any(seen, axis), tf.int32) for axis in (2, 1)]  # [n, H], [n, W]
    firsts = [tf.argmax(line, 1, tf.int32) for line in lines]
    ends = [tf.shape(line)[1] - tf.argmax(line[:, ::-1], 1, tf.int32) for line in lines]
    return tf.stack([*firsts, *ends], 1) * tf.cast(tf.reduce_any(seen, [1, 2]), tf.int32)[:, None]


# -- the rules: (operation, mask of its output) -> a mask for each of its inputs


def _mask(values: Any) -> Any:
    return tf.cast(tf.not_equal(values, 0), values.dtype)


def _each(op: Any, seen: Any) -> Any:
    """An operation on each number by itself."""
    return (_mask(seen), *[None] * (len(op.inputs) - 1))


def _pairs(op: Any, seen: Any) -> Any:
    """An operation on pairs of numbers, one of them perhaps repeated."""
    return tuple(_folded(_mask(seen), value) for value in op.inputs)


def _chosen(op: Any, seen: Any) -> Any:
    """One of two numbers by a condition."""
    return (None, *(_folded(_mask(seen), value) for value in op.inputs[1:]))


def _folded(seen: Any, like: Any) -> Any:
    """The mask of a value that was repeated to a larger shape."""
    axes, _ = tf.raw_ops.BroadcastGradientArgs(s0=tf.shape(like), s1=tf.shape(seen))
    return tf.reshape(tf.reduce_sum(seen, axes), tf.shape(like))


def _along_last(op: Any, seen: Any) -> Any:
    """An operation in which all numbers of the last axis matter to each."""
    return tf.zeros_like(seen) + tf.reduce_max(_mask(seen), -1, keepdims=True)


def _extreme(op: Any, seen: Any) -> Any:
    """The largest or smallest number along axes."""
    values, axes = op.inputs
    if not op.get_attr("keep_dims"):
        for axis in sorted(np.atleast_1d(tf.get_static_value(axes)) % values.shape.rank):
            seen = tf.expand_dims(seen, int(axis))
    return tf.zeros_like(values) + _mask(seen), None


def _convolution(op: Any, seen: Any) -> Any:
    rows, columns = op.inputs[1].shape[:2]
    vertical, horizontal = spatial(op, "dilations")
    kernel = np.zeros([(rows - 1) * vertical + 1, (columns - 1) * horizontal + 1], np.float32)
    kernel[::vertical, ::horizontal] = 1
    return _window(op, seen, kernel), None


def _pooling(op: Any, seen: Any) -> Any:
    return _window(op, seen, np.ones(spatial(op, "ksize"), np.float32))


def _window(op: Any, seen: Any, kernel: Array) -> Any:
    """A window that slides: channels are folded into one, so that the widest layer costs little."""
    values = op.inputs[0]
    first = is_channels_first(op)
    order = [0, 2, 3, 1] if first else [0, 1, 2, 3]
    seen = tf.cast(tf.reduce_any(tf.not_equal(tf.transpose(seen, order), 0), -1, keepdims=True), tf.float32)
    shape = tf.gather(tf.shape(values), order)  # [n, H, W, C]
    below = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.concat([shape[:3], [1]], 0),
        filter=tf.constant(kernel[..., None, None]),
        out_backprop=seen,
        strides=[1, *spatial(op, "strides"), 1],
        padding=op.get_attr("padding"),
        explicit_paddings=_explicit_paddings(op),
    )
    below = tf.transpose(_mask(below), [0, 3, 1, 2]) if first else _mask(below)
    return tf.zeros_like(values) + tf.cast(below, values.dtype)


def _explicit_paddings(op: Any) -> list[int]:
    given = op.get_attr("explicit_paddings")
    return [0, 0, *given[4:8], 0, 0] if given and is_channels_first(op) else list(given)


RULES: dict[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(CURVES, _each),
    **dict.fromkeys(PRODUCTS, _pairs),
    **dict.fromkeys(("Select", "SelectV2"), _chosen),
    **dict.fromkeys(ALONG_LAST, _along_last),
    **dict.fromkeys(("Max", "Min"), _extreme),
    **dict.fromkeys(("Conv2D", "DepthwiseConv2dNative"), _convolution),
    "MaxPool": _pooling,
    "IdentityN": lambda _op, *seen: seen,
}  # fmt: skip
_NAMES = {operation: f"cnnwidgets.dependence.{operation}" for operation in RULES}

register_gradients({_NAMES[operation]: _rule for operation, _rule in RULES.items()})
