"""Dependencies between operations of a TensorFlow graph: ancestors and descendants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

# Operations that depend on a tensor's shape alone: what is behind them does not depend on its numbers.
SHAPES = {"Shape", "ShapeN", "Size", "Rank"}


def ancestors(operation: Any) -> set[Any]:
    """The operation and all whose numbers it depends on."""
    return spread([operation], lambda op: () if op.type in SHAPES else (x.op for x in op.inputs))


def descendants(operations: Iterable[Any], without: Iterable[Any] = ()) -> set[Any]:
    """The operations and all that depend on their numbers, by paths that avoid the operations `without`."""
    closed = set(without)
    return spread(
        operations,
        lambda op: (c for x in op.outputs for c in x.consumers() if c.type not in SHAPES and c not in closed),
    )


def spread(start: Iterable[Any], step: Callable[[Any], Iterable[Any]]) -> set[Any]:
    """All operations that are reached step by step."""
    seen = set(start)
    left = list(seen)
    while left:
        new = set(step(left.pop())) - seen
        seen |= new
        left += new
    return seen
