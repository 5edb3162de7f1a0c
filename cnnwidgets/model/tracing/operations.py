"""Operations of a TensorFlow graph: what depends on what, and which variables they assign."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import dtype_behind, functions_of

# Operations that depend on a tensor's shape alone: what is behind them does not depend on its numbers.
SHAPES = {"Shape", "ShapeN", "Size", "Rank"}
_ASSIGNS = re.compile(
    r"Assign|Rng|Resource(Apply|Scatter|SparseApply|StridedSliceAssign)|Stateful(Standard|Uniform|Truncated|Random)"
)
CALLS = re.compile(r"(Stateless|Stateful)?(PartitionedCall|While|If|Case)|MapDefun|RemoteCall|SymbolicGradient")
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}  # their first input chooses; the others go to the branches


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


# -- variables


def assigned_in(graph: Any) -> list[Any]:
    """The handles of variables that a graph assigns, itself or in a function that it calls."""
    found: dict[int, Any] = {}
    for operation in graph.get_operations():
        given = [(i, one) for i, one in enumerate(operation.inputs) if one.dtype == tf.resource]
        if not given or not _may_assign(operation.type):
            continue
        node = operation.node_def  # takes long to make
        if not _anything_assigns(graph, node):  # most functions assign nothing, which is seen once for all variables
            continue
        for index, tensor in given:
            if _assigns(graph, node, index):
                handle = _outermost(graph, tensor)
                if dtype_behind(handle) is not None:
                    found[id(handle)] = handle
    return list(found.values())


def _may_assign(kind: str) -> bool:
    return bool(_ASSIGNS.match(kind) or CALLS.match(kind))


def _anything_assigns(graph: Any, node: Any) -> bool:
    """Whether an operation, or one in the functions that it calls, assigns any variable."""
    inner = (one for definition in called_functions(graph, node) for one in definition.node_def if _may_assign(one.op))
    return bool(_ASSIGNS.match(node.op)) or any(_anything_assigns(graph, one) for one in inner)


def _outermost(graph: Any, tensor: Any) -> Any:
    """What was captured from outside of all graphs; the tensor itself where nothing was."""
    while tf.is_symbolic_tensor(tensor):
        outer = next((given for given, inner in getattr(graph, "captures", ()) if inner is tensor), None)
        if outer is None:
            break
        graph, tensor = getattr(outer, "graph", None), outer
    return tensor


def _assigns(graph: Any, node: Any, index: int) -> bool:
    """Whether an operation assigns the variable that it gets as this input."""
    if _ASSIGNS.match(node.op):
        return True
    index -= node.op in _BRANCHES
    return any(_assigns_argument(graph, definition, index) for definition in called_functions(graph, node))


def _assigns_argument(graph: Any, definition: Any, index: int) -> bool:
    arguments = definition.signature.input_arg
    if not 0 <= index < len(arguments):
        return False
    name = arguments[index].name
    return any(
        _assigns(graph, node, i)
        for node in definition.node_def
        for i, given in enumerate(one for one in node.input if not one.startswith("^"))
        if given.partition(":")[0] == name
    )


def called_functions(graph: Any, node: Any) -> list[Any]:
    """The definitions of the functions that an operation calls."""
    found = []
    for name in (one.name for value in node.attr.values() for one in (value.func, *value.list.func) if one.name):
        around = graph
        while around is not None and (function := functions_of(around)(name)) is None:
            around = getattr(around, "outer_graph", None)
        if around is not None:
            found.append(function.cached_definition)
    return found
