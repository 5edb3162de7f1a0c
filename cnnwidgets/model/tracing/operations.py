"""Operations of a TensorFlow graph: what depends on what, and the functions that they call."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from cnnwidgets.model.keras_internals import function_in

# Operations that depend on a tensor's shape alone: what is behind them does not depend on its numbers.
SHAPES = {"Shape", "ShapeN", "Size", "Rank"}
CALLS = re.compile(r"(Stateless|Stateful)?(PartitionedCall|While|If|Case)|MapDefun|RemoteCall|SymbolicGradient")


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


def called(graph: Any, node: Any) -> Iterator[Any]:
    """The definitions of the functions that an operation calls."""
    for attribute in node.attr.values():
        for function in [attribute.func, *attribute.list.func]:
            if function.name:
                yield from _definition(graph, function.name)


def _definition(graph: Any, name: str) -> Iterator[Any]:
    while graph is not None:
        if (function := function_in(graph, name)) is not None:
            yield function.cached_definition
            return
        graph = getattr(graph, "outer_graph", None)
