"""What a graph does with variables: those that it assigns, itself or in the functions that it calls."""

from __future__ import annotations

import re
from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import dtype_behind, functions_of

_ASSIGNS = re.compile(
    r"Assign|Rng|Resource(Apply|Scatter|SparseApply|StridedSliceAssign)|Stateful(Standard|Uniform|Truncated|Random)"
)
CALLS = re.compile(r"(Stateless|Stateful)?(PartitionedCall|While|If|Case)|MapDefun|RemoteCall|SymbolicGradient")
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}  # their first input chooses; the others go to the branches


def assigned_in(graph: Any) -> list[Any]:
    """The handles of variables that a graph assigns, itself or in a function that it calls."""
    found: dict[int, Any] = {}
    for operation in graph.get_operations():
        for index, given in enumerate(operation.inputs):
            if given.dtype == tf.resource and _may_assign(operation) and _assigns(graph, operation.node_def, index):
                handle = _outermost(graph, given)
                if dtype_behind(handle) is not None:
                    found[id(handle)] = handle
    return list(found.values())


def _may_assign(operation: Any) -> bool:  # a node's definition takes long to make
    return bool(_ASSIGNS.match(operation.type) or CALLS.match(operation.type))


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
