"""Functions as TensorFlow graphs that leave no variable changed and say so in a sentence where memory is short."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar

from cnnwidgets.errors import OutOfMemory, short_of_memory
from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import dtype_behind, functions_of, stopped_tapes, tapes_are_open
from cnnwidgets.model.moving_weights import TURNS

T = TypeVar("T")

_NO_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)
_ASSIGNS = re.compile(
    r"Assign|Rng|Resource(Apply|Scatter|SparseApply|StridedSliceAssign)|Stateful(Standard|Uniform|Truncated|Random)"
)
CALLS = re.compile(r"(Stateless|Stateful)?(PartitionedCall|While|If|Case)|MapDefun|RemoteCall|SymbolicGradient")
_BRANCHES = {"If", "StatelessIf", "Case", "StatelessCase"}  # their first input chooses; the others go to the branches


def compiled(function: Callable[..., Any]) -> Graph:
    """The function as a graph, traced at its first call.

    TensorFlow counts the tracings of all graphs that share one piece of code, and warns in the reader's notebook when
    the same step is traced for five layers; a partial has no code, so that each graph is counted separately.
    """
    assigned = _Assigned()

    def noted(*arguments: Any) -> Any:
        made = function(*arguments)
        if not tf.executing_eagerly():
            assigned.note(tf.compat.v1.get_default_graph())
        return made

    return Graph(tf.function(functools.partial(noted), autograph=False, reduce_retracing=True), assigned)


def from_shapes(look: Callable[[], T]) -> T:
    """What a function finds while it is traced as a graph that is never executed: shapes, types and connections."""
    found: list[T] = []
    compiled(lambda: found.append(look())).get_concrete_function()
    return found[-1]


class Graph:
    """A function that TensorFlow has traced, or will trace at the first call.

    Variables that it assigns are put back after each run, also after one that fails. The first run traces and assigns
    at once, so the values of variables that are found while tracing are read there.
    """

    def __init__(self, function: Any, assigned: _Assigned) -> None:
        self._function, self._assigned = function, assigned

    def __call__(self, *arguments: Any) -> Any:
        """Run it; a tape that the user has open does not record it."""
        is_recorded = tf.executing_eagerly() and tapes_are_open()
        with TURNS.reading():
            before = self._assigned.values() if self._assigned.handles else []
            try:
                # Tapes inside the graph do record, so it is traced before the others are stopped.
                graph = self._traced(arguments) if is_recorded or tf.config.functions_run_eagerly() else self._function
                with stopped_tapes() if is_recorded else contextlib.nullcontext():
                    return graph(*arguments)
            except OutOfMemory:  # a graph inside this one has reported it
                raise
            except _NO_MEMORY as error:
                words = short_of_memory(str(error))
            finally:
                for handle, value in before + self._assigned.values_at_tracing:
                    tf.raw_ops.AssignVariableOp(resource=handle, value=value)
                self._assigned.values_at_tracing = []
        raise OutOfMemory(words)  # here, where the error and all that it holds is gone

    def _traced(self, arguments: tuple[Any, ...]) -> Any:
        """The graph for these arguments, also while `tf.config.run_functions_eagerly(True)` runs Python code."""
        trace = getattr(self._function, "get_concrete_function", None)  # a function that is traced already has none
        return self._function if trace is None else trace(*arguments)

    def __getattr__(self, name: str) -> Any:
        """Forward everything else to the wrapped `tf.function`."""
        return getattr(self._function, name)

    def get_concrete_function(self, *arguments: Any) -> Graph:
        """Trace it for these arguments, and return that one graph."""
        try:
            graph = self._function.get_concrete_function(*arguments)
        except OutOfMemory:
            raise
        except _NO_MEMORY as error:
            words = short_of_memory(str(error))
        else:
            self._assigned.values_at_tracing.clear()  # nothing ran, so nothing was assigned
            return Graph(graph, self._assigned)
        raise OutOfMemory(words)


class _Assigned:
    """The variables that a graph assigns, by their handles, and their values when tracing found them."""

    def __init__(self) -> None:
        self.handles: dict[int, Any] = {}
        self.values_at_tracing: list[tuple[Any, Any]] = []

    def values(self) -> list[tuple[Any, Any]]:
        """Their values now."""
        return [(handle, _value(handle)) for handle in self.handles.values()]

    def note(self, graph: Any) -> None:
        """Find what a graph assigns, when it has just been traced."""
        for handle in assigned_in(graph):
            if id(handle) not in self.handles:
                self.handles[id(handle)] = handle
                with tf.init_scope():
                    self.values_at_tracing.append((handle, _value(handle)))


def _value(handle: Any) -> Any:
    """A copy of a variable's value."""
    return tf.identity(tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype_behind(handle)))


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
