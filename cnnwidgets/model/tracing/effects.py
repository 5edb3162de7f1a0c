"""Side effects of a graph: variables that it assigns, and random numbers that it draws."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import dtype_behind, function_in
from cnnwidgets.model.tracing.operations import ancestors, descendants

_ASSIGNS = re.compile(
    r"Assign|Rng|Resource(Apply|Scatter|SparseApply|StridedSliceAssign)|Stateful(Standard|Uniform|Truncated|Random)"
)
_DRAWS = re.compile(
    r"(Stateless|Stateful)?(Random|Uniform|StandardNormal|TruncatedNormal|ParameterizedTruncated|Multinomial|Shuffle)"
)
_READS = {"ReadVariableOp", "RngReadAndSkip"}  # a generator's state; without one, the same numbers are drawn each time
_CALLS = re.compile(r"(Stateless|Stateful)?(PartitionedCall|While|If|Case)|MapDefun|RemoteCall|SymbolicGradient")
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}  # their first input chooses; the others go to the branches


def assigned_in(graph: Any) -> list[Any]:
    """The handles of variables that a graph assigns, itself or in a function that it calls."""
    found: dict[int, Any] = {}
    for operation in graph.get_operations():
        for place, given in enumerate(operation.inputs):
            if given.dtype == tf.resource and _may_assign(operation) and _assigns(graph, operation.node_def, place):
                handle = _outermost(graph, given)
                if dtype_behind(handle) is not None:
                    found[id(handle)] = handle
    return list(found.values())


def _may_assign(operation: Any) -> bool:  # a node's definition takes long to make
    return bool(_ASSIGNS.match(operation.type) or _CALLS.match(operation.type))


def _outermost(graph: Any, tensor: Any) -> Any:
    """What was captured from outside of all graphs; the tensor itself where nothing was."""
    while tf.is_symbolic_tensor(tensor):
        outer = next((given for given, inner in getattr(graph, "captures", ()) if inner is tensor), None)
        if outer is None:
            break
        graph, tensor = getattr(outer, "graph", None), outer
    return tensor


def _assigns(graph: Any, node: Any, place: int) -> bool:
    """Whether an operation assigns the variable that it gets at a place."""
    if _ASSIGNS.match(node.op):
        return True
    place -= node.op in _BRANCHES
    return any(_assigns_argument(graph, definition, place) for definition in _called(graph, node))


def _assigns_argument(graph: Any, definition: Any, place: int) -> bool:
    arguments = definition.signature.input_arg
    if not 0 <= place < len(arguments):
        return False
    name = arguments[place].name
    return any(
        _assigns(graph, node, index)
        for node in definition.node_def
        for index, given in enumerate(one for one in node.input if not one.startswith("^"))
        if given.partition(":")[0] == name
    )


def _called(graph: Any, node: Any) -> Iterator[Any]:
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


class Draws(NamedTuple):
    """Where a network draws random numbers at inference.

    Attributes:
        reached: the operations that depend on what is drawn.
        names: of the operations that draw, in which Keras writes their layers.
        are_repeated: whether all of it comes from generators that are put back, so that each call draws the same.
    """

    reached: frozenset[Any]
    names: tuple[str, ...]
    are_repeated: bool


def draws_in(graph: Any) -> Draws:
    """Look for random numbers in the graph of a call; those of a fixed seed are no others at the next call."""
    drawing = [op for op in graph.get_operations() if _draws(graph, op)]
    kinds = {kind for op in drawing for kind in _kinds(graph, op.node_def) if _DRAWS.match(kind)}
    repeated = all(kind.startswith(("Stateless", "Stateful")) for kind in kinds)
    return Draws(frozenset(descendants(drawing)), tuple(op.name for op in drawing), repeated)


def _draws(graph: Any, operation: Any) -> bool:
    if not (_DRAWS.match(operation.type) or _CALLS.match(operation.type)):
        return False
    kinds = [kind for kind in _kinds(graph, operation.node_def) if _DRAWS.match(kind)]
    if not kinds:
        return False
    if not all(kind.startswith("Stateless") for kind in kinds) or kinds[0] != operation.type:
        return True
    return any(before.type in _READS for before in ancestors(operation))


def _kinds(graph: Any, node: Any) -> Iterator[str]:
    """The type of an operation, and those inside the functions that it calls."""
    yield node.op
    for definition in _called(graph, node):
        for inner in definition.node_def:
            yield from _kinds(graph, inner)
