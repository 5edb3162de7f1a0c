"""Picture coordinates carried forward through a TensorFlow graph, operation by operation, into nested functions too.

A trail holds, for every number of a tensor, where in the picture it comes from. No weight and no pixel value has a part
in this, and no gradient. Two kinds are carried: locations (the middle of what a number sees) and extents (the edges of
all that it sees).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry import trail_rules, window_rules
from cnnwidgets.model.geometry.trail_rules import KINDS, LOST, Given, Rule, Trail, everywhere, full, guess, length
from cnnwidgets.model.keras_internals import add_function, functions_of
from cnnwidgets.model.tracing.operations import SHAPES, ancestors


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


_IS_LOCATED = functools.partial(operator.is_not, LOST)


class Carried(NamedTuple):
    """What was carried through a graph already, from one start, whatever the target was.

    Attributes:
        trails: by the reference of their tensor.
        guessed: operations whose geometry is not known.
    """

    trails: dict[Any, Trail]
    guessed: set[Any]


class Walk:
    """The way from a picture to a tensor of the same graph.

    Attributes:
        unknown: types of the operations on the way whose geometry had to be guessed.
    """

    def __init__(self, source: Any, target: Any) -> None:
        """Find the operations between two tensors."""
        self._source, self._target = source.ref(), target.ref()
        self._steps = [
            (op, [tensor.ref() for tensor in op.inputs], [tensor.ref() for tensor in op.outputs])
            for op in _between(source, target)
        ]
        self.unknown: set[str] = set()

    def carry(self, start: Trail, kind: str, before: Carried | None = None) -> Trail | None:
        """The target's trail; `None` where it does not depend on the source.

        Args:
            start: the source's trail.
            kind: "location" or "extent".
            before: what was carried from the same start; the rest of the way is added.
        """
        trails, guessed = before or Carried({}, set())
        trails.setdefault(self._source, start)
        for op, takes, gives in self._steps:
            if not trails.keys().isdisjoint(gives):
                continue
            given = [*map(trails.get, takes)]
            known = [*filter(None, given)]
            if known and op.type not in RULES:
                guessed.add(op)
            found: Sequence[Trail] = [LOST] * len(gives) if known else []
            if any(map(_IS_LOCATED, known)):
                try:
                    found = RULES.get(op.type, guess)(op, given, kind)
                except ValueError:  # such as statistics over the pictures of a batch, which have no location
                    guessed.add(op)
            trails.update(zip(gives, found, strict=False))
        self.unknown.update(op.type for op, _, _ in self._steps if op in guessed)
        return trails.get(self._target)


def _between(source: Any, target: Any) -> Iterator[Any]:
    """The operations on the way, each after those whose outputs it takes."""
    needed = ancestors(target.op)
    reached = {source.ref()}
    for op in source.graph.get_operations():
        if op in needed and op.type not in SHAPES and any(tensor.ref() in reached for tensor in op.inputs):
            reached.update(tensor.ref() for tensor in op.outputs)
            yield op


# -- nested functions


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
            located = any(trail is not None and trail is not LOST for trail in known)
            rule = RULES.get(inner_op.type, guess)
            found = rule(copy, known, kind) if located else [LOST] * len(copy.outputs)
            trails.update((inner.ref(), trail) for inner, trail in zip(inner_op.outputs, found, strict=False))
    return [trails.get(tensor.ref(), LOST) for tensor in body.outputs]


def _conditional(op: Any, given: Given, kind: str) -> Sequence[Trail]:
    """Two ways, of which the sizes of pictures choose one, as in a letterbox."""
    if given[0] is not None or any(output.shape.rank is None for output in op.outputs):
        return everywhere(op, given[1:], kind)

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
        return tf.zeros([KINDS, *[length(output, axis) for axis in range(1, output.shape.rank)]])
    return full(trail, output).value


RULES: dict[str, Rule] = {
    **trail_rules.RULES,
    **window_rules.RULES,
    **dict.fromkeys(("PartitionedCall", "StatefulPartitionedCall"), _inlined),
    **dict.fromkeys(("If", "StatelessIf"), _conditional),
}
