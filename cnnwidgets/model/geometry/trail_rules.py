"""Rules of trails: what an operation does with the coordinates of the numbers that it takes.

Operations that only move numbers (crops, padding, transposes) are run again on the coordinates themselves; an operation
on single numbers passes them on; one that adds numbers up takes their mean location and their widest extent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.operation_kinds import ALONG_LAST, CURVES, MOVES, OTHER_PAIRS, PASSING, PRODUCTS

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


LOST = Trail(None)  # there is no other one without a value
Given = Sequence[Any]  # a Trail, or None, for each input of an operation


# -- pieces of the rules


def full(trail: Trail, tensor: Any, keep: frozenset[int] = frozenset()) -> Trail:
    """Written out along its flat axes, except some."""
    axes = trail.flat - keep
    if not axes:
        return trail
    shape = [length(tensor, axis) if axis in axes else tf.shape(trail.value)[axis] for axis in range(tensor.shape.rank)]
    return Trail(tf.broadcast_to(trail.value, shape), trail.flat & keep)


def length(tensor: Any, axis: int) -> Any:
    """The length of an axis, as a number where it is known."""
    return tensor.shape[axis] if tensor.shape[axis] is not None else tf.shape(tensor)[axis]


def reduced(value: Any, axes: Sequence[int], kind: str, keep: bool = True) -> Any:
    """Along some axes: the mean location, the widest extent."""
    reduce = tf.reduce_mean if kind == LOCATION else tf.reduce_max
    return reduce(value, list(axes), keepdims=keep)


def joined(values: Sequence[Any], kind: str) -> Any:
    """Of several trails that lead to the same number: the mean location, the widest extent."""
    total = values[0]
    if len(values) == 1:
        return total
    for value in values[1:]:
        total = total + value if kind == LOCATION else tf.maximum(total, value)
    return total / len(values) if kind == LOCATION else total


def again(op: Any, inputs: Sequence[Any]) -> list[Any]:
    """The outputs of an operation on other inputs, of float32 where coordinates took the place of numbers."""
    attributes = {name: value for name, value in op.node_def.attr.items() if not name.startswith("_")}
    for name in ("T", "Tparams"):
        if name in attributes:
            attributes[name] = tf.compat.v1.AttrValue(type=tf.float32.as_datatype_enum)
    types = [tf.float32] * len(op.outputs)
    made = tf.compat.v1.get_default_graph().create_op(op.type, list(inputs), types, attrs=attributes, name="trail")
    return list(made.outputs)


def everywhere(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Numbers that depend on all of what is given."""
    if kind == LOCATION:
        return [LOST] * len(op.outputs)
    values = [reduced(t.value, range(1, len(t.value.shape)), kind, False) for t in given if t is not None]
    every = joined(values, kind)  # [4]
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
    value = joined([t.value for t in aligned], kind)
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
    if moves_by_content(op, given):
        return everywhere(op, given, kind)
    if any(trail is not None and trail.value is None for trail in given):
        given = [None if trail is not None and trail.value is None else trail for trail in given]
    if op.type in ("Pad", "PadV2", "MirrorPad") and (kept := _flat_where_unpadded(op, given[0])):
        return [Trail(again(op, [given[0].value, op.inputs[1], *_zero(op)])[0], kept)]
    inputs = list(op.inputs)
    data = range(len(inputs) - 1) if op.type == "ConcatV2" else range(len(inputs)) if op.type == "Pack" else ()
    for i, (tensor, trail) in enumerate(zip(op.inputs, given, strict=True)):
        if trail is not None:
            inputs[i] = full(trail, tensor).value
        elif i in data:
            inputs[i] = tf.zeros(tf.shape(tensor))
    if op.type == "PadV2":
        inputs[2:] = _zero(op)
    if op.type == "Reshape":
        inputs[1] = _new_shape(op)
    return [Trail(value) for value in again(op, inputs)]


def moves_by_content(op: Any, given: Given) -> bool:
    """Whether the picture itself decides what is moved where."""
    data = {"Split": {1}, "ConcatV2": set(range(len(op.inputs) - 1)), "Pack": set(range(len(op.inputs)))}
    return any(trail is not None and i not in data.get(op.type, {0}) for i, trail in enumerate(given))


def _new_shape(op: Any) -> Any:
    """What a tensor is reshaped to; written out where the network works out nothing but the number of pictures."""
    batch, *others = op.outputs[0].shape if op.outputs[0].shape.rank else [1]
    return op.inputs[1] if batch is not None or None in others else tf.constant([-1, *others], tf.int32)


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
        value = joined([trail.value for trail in trails], kind)
        return [Trail(value, frozenset.intersection(*(trail.flat for trail in trails)))]
    return _moved(op, given, kind)


def _transposed(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    order = tf.get_static_value(op.inputs[1])
    if order is None:
        return _moved(op, given, kind)
    flat = frozenset(i for i, axis in enumerate(order) if axis in given[0].flat)
    return [Trail(tf.transpose(given[0].value, order), flat)]


def _reduction(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    trail, axes = given[0], tf.get_static_value(op.inputs[1])
    rank = op.inputs[0].shape.rank
    axes = None if axes is None else {int(axis) % rank for axis in np.atleast_1d(axes)}
    if trail is None or axes is None or 0 in axes:
        return everywhere(op, given, kind)
    keep = bool(op.get_attr("keep_dims"))
    value = reduced(trail.value, sorted(axes), kind, keep)
    left = [axis for axis in range(rank) if keep or axis not in axes]
    return [Trail(value, frozenset(i for i, axis in enumerate(left) if axis in trail.flat - axes))]


def _product(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """A matrix product: all that is added up has a part.

    Where both factors depend on the picture, as in attention, it has no one location.
    """
    if all(trail is not None for trail in given[:2]):
        return everywhere(op, given, kind)
    which = 0 if given[0] is not None else 1
    trail, rank = given[which], op.inputs[which].shape.rank
    names = (("transpose_a", "transpose_b") if op.type == "MatMul" else ("adj_x", "adj_y"))[which]
    turned = op.get_attr(names)
    added = rank - 1 if (which == 0) != turned else rank - 2
    if added == 0 or (which == 1 and rank == 2):  # the batch itself is mixed
        return everywhere(op, given, kind)
    value = reduced(trail.value, [added], kind)
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
        return everywhere(op, given, kind)
    mine, trail = letters[known[0]], given[known[0]]
    if len(set(mine)) != len(mine) or mine[:1] not in result:
        return everywhere(op, given, kind)
    value = reduced(trail.value, [i for i, letter in enumerate(mine) if letter not in result], kind)
    left = [letter for letter in result if letter in mine]
    order = [mine.index(letter) for letter in left] + [i for i, letter in enumerate(mine) if letter not in result]
    value = tf.transpose(value, order)
    lengths = tf.unstack(tf.shape(value))
    value = tf.reshape(value, [lengths[left.index(letter)] if letter in left else 1 for letter in result])
    flat = frozenset(i for i, c in enumerate(result) if c not in mine or mine.index(c) in trail.flat)
    return [Trail(value, flat)]


def guess(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Of an operation that is not known: a map stays a map, laid over what it was made from as it is."""
    trail, tensor = next((t, x) for t, x in zip(given, op.inputs, strict=True) if t is not None and t.value is not None)
    found = []
    for output, spread in zip(op.outputs, everywhere(op, [trail], kind), strict=True):
        if output.shape.rank != tensor.shape.rank:
            found.append(spread)
        elif output.shape.rank == 4:
            value = full(trail, tensor, frozenset({3})).value
            value = tf.image.resize(tf.reduce_max(value, 3, keepdims=True), tf.shape(output)[1:3])
            found.append(Trail(value, frozenset({3})))
        else:
            found.append(trail if output.shape.rank == 3 else spread)
    return found


Rule = Callable[[Any, Given, str], Sequence[Trail]]
RULES: dict[str, Rule] = {
    **dict.fromkeys((*CURVES, *PASSING, *ALONG_LAST), _each),
    **dict.fromkeys((*PRODUCTS, *OTHER_PAIRS), _pairs),
    **dict.fromkeys(MOVES, _moved),
    **dict.fromkeys(("All", "Any", "EuclideanNorm", "Max", "Mean", "Min", "Prod", "Sum"), _reduction),
    **dict.fromkeys(("BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "MatMul"), _product),
    "ConcatV2": _concatenated,
    "Einsum": _einsum,
    "Transpose": _transposed,
}
