"""Picture coordinates carried forward through a TensorFlow graph, operation by operation.

A trail holds, for every number of a tensor, where in the picture it comes from. Operations that only move numbers
(crops, padding, transposes, resizing) are run again on the coordinates themselves; a window takes those of its middle;
an operation on single numbers hands them on. No weight and no pixel value has a part in this, and no gradient.

Two kinds are carried: locations (the middle of what a number sees) and extents (the edges of all that it sees).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.operation_kinds import (
    ALONG_LAST,
    CURVES,
    MOVES,
    OTHER_PAIRS,
    PASSING,
    PRODUCTS,
    RESIZES,
    is_channels_first,
    spatial,
)
from cnnwidgets.model.keras_internals import add_function, functions_of
from cnnwidgets.model.tracing.operations import SHAPES, ancestors

KINDS = 4  # coordinates that are carried side by side on the batch axis
LOCATION, EXTENT = "location", "extent"


class Trail(NamedTuple):
    """Coordinates of a tensor's numbers.

    Attributes:
        value: float32, shaped as the tensor; `None` where the numbers depend on the picture but on no one location.
        flat: axes along which `value` has length 1, since all numbers there share their coordinates.
    """

    value: Any
    flat: frozenset[int] = frozenset()


LOST = Trail(None)
Given = Sequence[Any]  # a Trail, or None, for each input of an operation


def picture_trails(picture: Any) -> tuple[Trail, Trail]:
    """The trails of a picture [4, H, W, C] itself.

    Returns:
        Locations: (mass, row, column, unused), the mass being 0 in padding and 1 inside the picture. Extents: (height -
        top, bottom, width - left, right), so that 0 means that nothing is seen and the largest is the widest.
    """
    height, width = tf.unstack(tf.cast(tf.shape(picture)[1:3], tf.float32))
    rows = tf.range(height)[:, None] + tf.zeros([width])  # [H, W]
    columns = tf.zeros([height])[:, None] + tf.range(width)
    ones = tf.ones_like(rows)
    location = tf.stack([ones, rows, columns, 0 * ones])[..., None]  # [4, H, W, 1]
    extent = tf.stack([height - rows, rows + 1, width - columns, columns + 1])[..., None]
    return Trail(location, frozenset({3})), Trail(extent, frozenset({3}))


class Walk:
    """The way from a picture to a tensor of the same graph.

    Attributes:
        unknown: types of the operations on the way whose geometry had to be guessed.
    """

    def __init__(self, source: Any, target: Any) -> None:
        """Find the operations between two tensors."""
        self._source, self._target = source, target
        self._operations = list(_between(source, target))
        self.unknown: set[str] = set()

    def carry(self, start: Trail, kind: str) -> Trail | None:
        """The target's trail; `None` where it does not depend on the source."""
        trails: dict[Any, Trail] = {self._source.ref(): start}
        for op in self._operations:
            given = [trails.get(tensor.ref()) for tensor in op.inputs]
            if not any(trail is not None for trail in given):
                continue
            if op.type not in RULES:
                self.unknown.add(op.type)
            for tensor, trail in zip(op.outputs, self._handed_on(op, given, kind), strict=False):
                trails[tensor.ref()] = trail
        return trails.get(self._target.ref())

    def _handed_on(self, op: Any, given: Given, kind: str) -> Sequence[Trail]:
        located = [trail for trail in given if trail is not None and trail.value is not None]
        if not located:
            return [LOST] * len(op.outputs)
        rule = RULES.get(op.type, _guess)
        try:
            return rule(op, given, kind)
        except ValueError:  # such as statistics over the pictures of a batch, which have no place
            self.unknown.add(op.type)
            return [LOST] * len(op.outputs)


def _between(source: Any, target: Any) -> Iterator[Any]:
    """The operations on the way, each after those whose outputs it takes."""
    needed = ancestors(target.op)
    reached = {source.ref()}
    for op in source.graph.get_operations():
        if op in needed and op.type not in SHAPES and any(tensor.ref() in reached for tensor in op.inputs):
            reached.update(tensor.ref() for tensor in op.outputs)
            yield op


# -- pieces of the rules


def _full(trail: Trail, tensor: Any, keep: frozenset[int] = frozenset()) -> Trail:
    """Written out along its flat axes, except some."""
    axes = trail.flat - keep
    if not axes:
        return trail
    shape = [
        _length(tensor, axis) if axis in axes else tf.shape(trail.value)[axis] for axis in range(tensor.shape.rank)
    ]
    return Trail(tf.broadcast_to(trail.value, shape), trail.flat & keep)


def _length(tensor: Any, axis: int) -> Any:
    return tensor.shape[axis] if tensor.shape[axis] is not None else tf.shape(tensor)[axis]


def _reduced(value: Any, axes: Sequence[int], kind: str, keep: bool = True) -> Any:
    reduce = tf.reduce_mean if kind == LOCATION else tf.reduce_max
    return reduce(value, list(axes), keepdims=keep)


def _joined(values: Sequence[Any], kind: str) -> Any:
    """Of several trails that lead to the same number: the mean location, the widest extent."""
    total = values[0]
    for value in values[1:]:
        total = total + value if kind == LOCATION else tf.maximum(total, value)
    return total / len(values) if kind == LOCATION else total


def _again(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of an operation on other inputs, of float32 where coordinates took the place of numbers."""
    attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
    for name in ("T", "Tparams"):
        if name in attributes:
            attributes[name] = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
    types = [tf.float32] * len(op.outputs)
    made = tf.compat.v1.get_default_graph().create_op(op.type, list(inputs), types, attrs=attributes, name="trail")
    return list(made.outputs)


def _everywhere(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Numbers that depend on all of what is given."""
    if kind == LOCATION:
        return [LOST] * len(op.outputs)
    values = [_reduced(t.value, range(1, len(t.value.shape)), kind, False) for t in given if t is not None]
    every = _joined(values, kind)  # [4]
    ranks = [tensor.shape.rank for tensor in op.outputs]
    return [
        LOST if not rank else Trail(tf.reshape(every, [-1, *[1] * (rank - 1)]), frozenset(range(1, rank)))
        for rank in ranks
    ]


# -- the rules: (operation, a trail or None for each input, kind) -> a trail for each output


def _each(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """An operation on each number by itself."""
    first = next(trail for trail in given if trail is not None)
    if len(op.outputs) == len(op.inputs):
        return [trail or LOST for trail in given]
    return [first] * len(op.outputs)


def _pairs(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """An operation on pairs of numbers.

    What was stretched to a larger shape, such as a gate for each channel, says nothing of locations. Where one branch
    is computed from the other, as in `x + f(x)`, the plain one decides: f may mix the whole picture.
    """
    output = op.outputs[0]
    every = [(x, t) for x, t in zip(op.inputs, given, strict=True) if t is not None]
    deciding = [(x, t) for x, t in every if _fills(x, output)] or every
    if kind == LOCATION:
        plain = [(x, t) for x, t in deciding if any(y is not x and _leads_to(x.op, y.op) for y, _ in deciding)]
        located = [(x, t) for x, t in (plain[:1] or deciding) if t.value is not None]
        located = located or [(x, t) for x, t in deciding if t.value is not None]
        if not located:
            return [LOST]
    else:
        located = [(x, t) for x, t in every if t.value is not None]
    rank = output.shape.rank
    aligned = [_aligned(x, t, output) for x, t in located]
    value = _joined([t.value for t in aligned], kind)
    flat = frozenset.intersection(*(t.flat for t in aligned)) if rank else frozenset()
    return [Trail(value, flat)]


def _fills(tensor: Any, output: Any) -> bool:
    """Whether a tensor has the shape of the output, as far as is known."""
    shape, full = tensor.shape, output.shape
    return shape.rank == full.rank and all(a != 1 or b == 1 for a, b in zip(shape, full, strict=True))


def _aligned(tensor: Any, trail: Trail, output: Any) -> Trail:
    """The trail with the axes of the output; those along which the tensor is repeated are flat."""
    missing = output.shape.rank - tensor.shape.rank
    value = tf.reshape(trail.value, [*[1] * missing, *tf.unstack(tf.shape(trail.value))]) if missing else trail.value
    repeated = {i + missing for i, n in enumerate(tensor.shape) if n == 1 and output.shape[i + missing] != 1}
    return Trail(value, frozenset({*range(missing), *repeated, *(axis + missing for axis in trail.flat)}))


def _leads_to(earlier: Any, later: Any) -> bool:
    """Whether an operation takes, by however many steps, what another one gives."""
    seen, left = {later}, [later]
    while left:
        for tensor in left.pop().inputs:
            if tensor.op is earlier:
                return True
            if tensor.op not in seen:
                seen.add(tensor.op)
                left.append(tensor.op)
    return False


def _moved(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """An operation that only moves numbers: it moves their coordinates the same way."""
    if _moves_by_content(op, given):
        return _everywhere(op, given, kind)
    if any(trail is not None and trail.value is None for trail in given):
        given = [None if trail is not None and trail.value is None else trail for trail in given]
    if op.type in ("Pad", "PadV2", "MirrorPad") and (kept := _flat_where_unpadded(op, given[0])):
        return [Trail(_again(op, [given[0].value, op.inputs[1], *_zero(op)])[0], kept)]
    inputs = list(op.inputs)
    data = range(len(inputs) - 1) if op.type == "ConcatV2" else range(len(inputs)) if op.type == "Pack" else ()
    for i, (tensor, trail) in enumerate(zip(op.inputs, given, strict=True)):
        if trail is not None:
            inputs[i] = _full(trail, tensor).value
        elif i in data:
            inputs[i] = tf.zeros(tf.shape(tensor))
    if op.type == "PadV2":
        inputs[2:] = _zero(op)
    return [Trail(value) for value in _again(op, inputs)]


def _moves_by_content(op: Any, given: Given) -> bool:
    """Whether the picture itself decides what is moved where."""
    data = {"Split": {1}, "ConcatV2": set(range(len(op.inputs) - 1)), "Pack": set(range(len(op.inputs)))}
    return any(trail is not None and i not in data.get(op.type, {0}) for i, trail in enumerate(given))


def _zero(op: Any) -> list[Any]:
    return [tf.constant(0.0)] if op.type == "PadV2" else []


def _flat_where_unpadded(op: Any, trail: Trail) -> frozenset[int]:
    amounts = tf.get_static_value(op.inputs[1])
    if amounts is None or not trail.flat or any(amounts[axis].any() for axis in trail.flat):
        return frozenset()
    return trail.flat


def _concatenated(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Along an axis on which coordinates are all alike, such as channels, it is as a sum of branches."""
    axis = tf.get_static_value(op.inputs[-1])
    axis = None if axis is None else int(axis) % op.outputs[0].shape.rank
    trails = [trail for trail in given[:-1] if trail is not None and trail.value is not None]
    if axis is not None and all(axis in trail.flat for trail in trails):
        value = _joined([trail.value for trail in trails], kind)
        return [Trail(value, frozenset.intersection(*(trail.flat for trail in trails)))]
    return _moved(op, given, kind)


def _transposed(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    order = tf.get_static_value(op.inputs[1])
    if order is None:
        return _moved(op, given, kind)
    flat = frozenset(i for i, axis in enumerate(order) if axis in given[0].flat)
    return [Trail(tf.transpose(given[0].value, order), flat)]


def _resized(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Interpolation: padding dilutes no extent, and an antialiased pixel sees its neighbors too."""
    if _moves_by_content(op, given):
        return _everywhere(op, given, kind)
    trail = _full(given[0], op.inputs[0], frozenset({3}))

    def resize(value: Any) -> Any:
        return _again(op, [value, *op.inputs[1:]])[0]

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
    trail = _thin(op, given[0], op.inputs[0])
    high, wide = window_size(op)
    strides, padding = spatial(op, "strides"), _padding(op)
    value = trail
    if isinstance(padding, list):
        value, padding = tf.pad(value, padding), "VALID"
    if kind == LOCATION:
        lengths = tf.unstack(tf.shape(value)[1:3])
        down, across = (
            _middle(size, stride, length, padding)
            for size, stride, length in zip((high, wide), strides, lengths, strict=True)
        )
        value = tf.nn.conv2d(value, (down[:, None] * across)[..., None, None], strides, padding)
    else:
        value = tf.nn.max_pool2d(value, (high, wide), strides, padding)
    return [Trail(tf.transpose(value, [0, 3, 1, 2]), frozenset({1})) if first else Trail(value, frozenset({3}))]


def _thin(op: Any, trail: Trail, tensor: Any) -> Any:  # [4, h, w, 1]
    channel = 1 if is_channels_first(op) else 3
    full = _full(trail, tensor, frozenset({channel}))
    value = full.value if channel in full.flat else None
    if value is None:
        # the channels of one location rarely differ; the mean of what they hold will do
        value = tf.reduce_max(full.value, channel, keepdims=True)
    return tf.transpose(value, [0, 2, 3, 1]) if channel == 1 else value


def _middle(size: int, stride: int, length: int | Any, padding: str) -> Any:  # [size]
    """1 at the middle of a window; a half each at the two middles of an even one.

    TensorFlow pads an odd number of pixels one more at the end. Trained networks hardly follow that half pixel: on
    mirrored photographs the maps of EfficientNet-Lite0 agree better where the padding counts as even on both sides.
    """
    middle, before = np.zeros([2, size], np.float32)
    middle[[(size - 1) // 2, size // 2]] = 1
    if padding != "SAME" or size == 1:
        return tf.constant(middle / middle.sum())
    before[[(size - 2) // 2, (size - 1) // 2]] = 1
    padded = tf.maximum((-(-length // stride) - 1) * stride + size - length, 0)
    return tf.where(padded % 2 == 1, before / before.sum(), middle / middle.sum())


def window_size(op: Any) -> tuple[int, int]:
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
        return _everywhere(op, given, kind)
    value, first = _thin(op, given[2], op.inputs[2]), is_channels_first(op)
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
        made = _joined([spread(tap.astype(np.float32)) for tap in taps], kind)
    return [Trail(tf.transpose(made, [0, 3, 1, 2]), frozenset({1})) if first else Trail(made, frozenset({3}))]


def _reduction(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    trail, axes = given[0], tf.get_static_value(op.inputs[1])
    rank = op.inputs[0].shape.rank
    axes = None if axes is None else {int(axis) % rank for axis in np.atleast_1d(axes)}
    if trail is None or axes is None or 0 in axes:
        return _everywhere(op, given, kind)
    keep = bool(op.get_attr("keep_dims"))
    value = _reduced(trail.value, sorted(axes), kind, keep)
    left = [axis for axis in range(rank) if keep or axis not in axes]
    return [Trail(value, frozenset(i for i, axis in enumerate(left) if axis in trail.flat - axes))]


def _product(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """A matrix product: all that is added up has a part.

    Where both factors depend on the picture, as in attention, it has no one location.
    """
    if all(trail is not None for trail in given[:2]):
        return _everywhere(op, given, kind)
    which = 0 if given[0] is not None else 1
    trail, rank = given[which], op.inputs[which].shape.rank
    names = (("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y"))[which]
    turned = op.get_attr(names)
    added = rank - 1 if (which == 0) != turned else rank - 2
    if added == 0 or (which == 1 and rank == 2):  # the batch itself is mixed
        return _everywhere(op, given, kind)
    value = _reduced(trail.value, [added], kind)
    flat = trail.flat | {added}
    if turned:  # the axis that is kept goes to the other place
        order = [*range(rank - 2), rank - 1, rank - 2]
        value, flat = tf.transpose(value, order), frozenset(order.index(axis) for axis in flat)
    return [Trail(value, frozenset(flat))]


def _einsum(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    equation = op.get_attr("equation").decode()
    sides, result = equation.split("->")
    letters = sides.split(",")
    known = [i for i, trail in enumerate(given) if trail is not None]
    if len(known) != 1 or "." in equation:
        return _everywhere(op, given, kind)
    mine, trail = letters[known[0]], given[known[0]]
    if len(set(mine)) != len(mine) or mine[:1] not in result:
        return _everywhere(op, given, kind)
    value = _reduced(trail.value, [i for i, letter in enumerate(mine) if letter not in result], kind)
    left = [letter for letter in result if letter in mine]
    order = [mine.index(letter) for letter in left] + [i for i, letter in enumerate(mine) if letter not in result]
    value = tf.transpose(value, order)
    lengths = tf.unstack(tf.shape(value))
    value = tf.reshape(value, [lengths[left.index(letter)] if letter in left else 1 for letter in result])
    flat = frozenset(i for i, c in enumerate(result) if c not in mine or mine.index(c) in trail.flat)
    return [Trail(value, flat)]


def _inlined(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """A nested function, such as a compiled call or a grouped convolution: followed inside."""
    return _through(op, "f", op.inputs, given, kind)


def _through(op: Any, function: str, inputs: Sequence[Any], given: Given, kind: str) -> list[Trail]:
    """The trails of what a function returns: its operations are repeated here, on what it is called with."""
    body = functions_of(op.graph)(op.get_attr(function).name).graph
    here: dict[Any, Any] = {inner.ref(): outer for inner, outer in zip(body.inputs, inputs, strict=True)}
    trails = {inner.ref(): t for inner, t in zip(body.inputs, given, strict=True) if t is not None}
    graph = tf.compat.v1.get_default_graph()
    for inner_op in body.get_operations():
        if inner_op.type == "Placeholder":
            continue
        copies = [here[tensor.ref()] for tensor in inner_op.inputs]
        attributes = {name: value for name, value in inner_op.node_def.attr.items() if not name.startswith("_")}
        for value in attributes.values():
            if value.func.name:
                add_function(graph, functions_of(body)(value.func.name))
        types = [tensor.dtype for tensor in inner_op.outputs]
        copy = graph.create_op(inner_op.type, copies, types, attrs=attributes, name="inside")
        for inner, outer in zip(inner_op.outputs, copy.outputs, strict=True):
            outer.set_shape(inner.shape)
            here[inner.ref()] = outer
        known = [trails.get(tensor.ref()) for tensor in inner_op.inputs]
        if any(trail is not None for trail in known) and inner_op.type not in SHAPES:
            located = any(trail is not None and trail.value is not None for trail in known)
            rule = RULES.get(inner_op.type, _guess)
            found = rule(copy, known, kind) if located else [LOST] * len(copy.outputs)
            trails.update((inner.ref(), trail) for inner, trail in zip(inner_op.outputs, found, strict=False))
    return [trails.get(tensor.ref(), LOST) for tensor in body.outputs]


def _conditional(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Two ways, of which the sizes of pictures choose one, as in a letterbox."""
    if given[0] is not None or any(output.shape.rank is None for output in op.outputs):
        return _everywhere(op, given[1:], kind)

    def way(name: str) -> Callable[[], list[Any]]:
        def run() -> list[Any]:
            found = _through(op, name, op.inputs[1:], given[1:], kind)
            return [_written_out(trail, output) for trail, output in zip(found, op.outputs, strict=True)]

        return run

    values = tf.cond(op.inputs[0], way("then_branch"), way("else_branch"))
    values = values if isinstance(values, list | tuple) else [values]
    return [Trail(value) for value in values]


def _written_out(trail: Trail, output: Any) -> Any:
    if trail.value is None:
        return tf.zeros([KINDS, *[_length(output, axis) for axis in range(1, output.shape.rank)]])
    return _full(trail, output).value


def _guess(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Of an operation that is not known: a map stays a map, laid over what it was made from as it is."""
    trail, tensor = next((t, x) for t, x in zip(given, op.inputs, strict=True) if t is not None and t.value is not None)
    found = []
    for output, everywhere in zip(op.outputs, _everywhere(op, [trail], kind), strict=True):
        if output.shape.rank != tensor.shape.rank:
            found.append(everywhere)
        elif output.shape.rank == 4:
            value = _full(trail, tensor, frozenset({3})).value
            value = tf.image.resize(tf.reduce_max(value, 3, keepdims=True), tf.shape(output)[1:3])
            found.append(Trail(value, frozenset({3})))
        else:
            found.append(trail if output.shape.rank == 3 else everywhere)
    return found


RULES: dict[str, Callable[[Any, Sequence[Any], str], Sequence[Trail]]] = {
    **dict.fromkeys((*CURVES, *PASSING, *ALONG_LAST), _each),
    **dict.fromkeys((*PRODUCTS, *OTHER_PAIRS), _pairs),
    **dict.fromkeys(MOVES, _moved),
    **dict.fromkeys(RESIZES, _resized),
    **dict.fromkeys(("AvgPool", "Conv2D", "DepthwiseConv2dNative", "MaxPool"), _window),
    **dict.fromkeys(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"), _reduction),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"), _product),
    "ConcatV2": _concatenated,
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _inlined),
    **dict.fromkeys(("If", "StatelessIf"), _conditional),
    "Conv2DBackpropInput": _window_back,
    "Einsum": _einsum,
    "Transpose": _transposed,
}  # fmt: skip
