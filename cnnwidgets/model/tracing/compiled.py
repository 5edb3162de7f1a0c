"""Functions as TensorFlow graphs that take turns with a training, leave no variable changed and report short memory."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from cnnwidgets.errors import BadModel, OutOfMemory, quoted, short_of_memory
from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import dtype_behind, pass_assertions, stopped_tapes, tapes_are_open
from cnnwidgets.model.tracing.operations import assigned_in

T = TypeVar("T")

_NO_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)
_OPERATION = re.compile(r"Detected at node (\S+)|\{\{node ([^}]+)\}\}")
PATIENCE = 2.0  # seconds that a reader waits for a batch; if both waited without limit, neither would continue
RECENT = 3.0  # seconds after a batch for which the weights are said to be moving


class GraphFailed(BadModel):
    """A graph that cannot be run on its values, such as a category that a layer does not know; its cause says why."""


def compiled(function: Callable[..., Any], *, for_zeros: bool = False) -> Graph:
    """The function as a graph, traced at its first call.

    TensorFlow counts the tracings of all graphs that share one piece of code, and warns in the reader's notebook when
    the same step is traced for five layers; a partial has no code, so that each graph is counted separately.

    Args:
        function: on tensors.
        for_zeros: whether it gets zeros that stand for any values: the model's own assertions about them then pass.
    """
    assigned = _Assigned()

    def noted(*arguments: Any) -> Any:
        made = function(*arguments)
        if not tf.executing_eagerly():
            graph = tf.compat.v1.get_default_graph()
            for handle in assigned_in(graph):
                assigned.note(handle)
            if for_zeros:
                pass_assertions(graph)
        return made

    return Graph(tf.function(functools.partial(noted), autograph=False, reduce_retracing=True), assigned)


def as_graph(function: Any) -> Graph:
    """A function that TensorFlow has traced already, as one of `compiled`."""
    assigned = _Assigned()
    for handle in assigned_in(function.graph):
        assigned.note(handle)
    assigned.values_at_tracing.clear()  # nothing ran, so nothing was assigned
    return Graph(function, assigned)


def from_shapes(look: Callable[[], T]) -> T:
    """What a function finds while it is traced as a graph that is never executed: shapes, types and connections."""
    found: list[T] = []
    compiled(lambda: found.append(look())).get_concrete_function()
    return found[-1]


class Graph:
    """A function that TensorFlow has traced, or will trace at the first call.

    Variables that it assigns are put back after each run, also after one that fails. The first run traces and assigns
    at once, so the values of variables that are found while tracing are read there.

    Raises:
        OutOfMemory: when it runs, for an array that does not fit.
        GraphFailed: when it runs, for values that an operation does not take.
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
            except tf.errors.OpError as error:
                raise GraphFailed(_refused(error)) from error
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


def line_of(error: BaseException) -> str:
    """The line that says what is wrong; TensorFlow puts a report of the graph before and after it."""
    lines = [line.strip() for line in str(error).partition("[[{{")[0].splitlines() if line.strip()]
    if not lines:
        return ""
    return (lines[-1] if isinstance(error, tf.errors.OpError) else lines[0])[:200]


def _refused(error: BaseException) -> str:
    where = _OPERATION.search(str(error))
    at = f" (operation {quoted(where[1] or where[2])})" if where else ""
    return (
        f"The network cannot be run on what it was given: {line_of(error).rstrip('.')}{at}. Give values and sizes that "
        "its layers take; an input that is left out is 0, or an empty text."
    )


class _Assigned:
    """The variables that a graph assigns, by their handles, and their values when tracing found them."""

    def __init__(self) -> None:
        self.handles: dict[int, Any] = {}
        self.values_at_tracing: list[tuple[Any, Any]] = []

    def values(self) -> list[tuple[Any, Any]]:
        """Their values now."""
        return [(handle, _value(handle)) for handle in self.handles.values()]

    def note(self, handle: Any) -> None:
        """Add a variable that a graph which is being traced assigns."""
        if id(handle) not in self.handles:
            self.handles[id(handle)] = handle
            with tf.init_scope():
                self.values_at_tracing.append((handle, _value(handle)))


def _value(handle: Any) -> Any:
    """A copy of a variable's value."""
    return tf.identity(tf.raw_ops.ReadVariableOp(resource=handle, dtype=dtype_behind(handle)))


class Turns:
    """Turns of device work, which reads weights, and batches of a training, which change them.

    Any number of readers at a time, or one batch; those that wait go before those that come later. A thread that reads,
    or changes, may begin to read again inside.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers: dict[int, int] = {}  # thread -> how deep it is inside `reading`
        self._trainer = 0  # the thread that runs a batch
        self._waiting_readers = self._waiting_batches = self._readers_first = 0
        self._variables: Sequence[Any] = ()  # those that the last batch changed
        self._changed_at = float("-inf")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read weights: no batch changes them meanwhile."""
        me = threading.get_ident()
        with self._changed:
            if me != self._trainer and me not in self._readers:
                self._wait_to_read()
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._readers[me] -= 1
                if not self._readers[me]:
                    del self._readers[me]
                    self._changed.notify_all()

    def _wait_to_read(self) -> None:
        deadline = time.monotonic() + PATIENCE
        self._waiting_readers += 1
        try:
            while self._trainer or (self._waiting_batches and not self._readers_first and time.monotonic() < deadline):
                self._changed.wait(PATIENCE)
        finally:
            self._waiting_readers -= 1
            self._readers_first = max(0, self._readers_first - 1)
            self._changed.notify_all()

    @contextlib.contextmanager
    def training(self, variables: Sequence[Any]) -> Iterator[None]:
        """Run a batch that changes variables: nobody reads meanwhile.

        Readers that came before it, or wait since the last batch, go first.
        """
        me = threading.get_ident()
        with self._changed:
            self._waiting_batches += 1
            try:
                while self._trainer or self._readers_first or set(self._readers) - {me}:
                    self._changed.wait()
                self._trainer, self._variables = me, variables
            finally:
                self._waiting_batches -= 1
        try:
            yield
        finally:
            with self._changed:
                self._trainer, self._readers_first = 0, self._waiting_readers
                self._variables, self._changed_at = variables, time.monotonic()
                self._changed.notify_all()

    def are_moving(self, variables: Iterable[Any]) -> bool:
        """Whether a training is changing any of these variables, as of some seconds ago."""
        if not self._trainer and time.monotonic() - self._changed_at > RECENT:
            return False
        trained = set(map(id, self._variables))
        return any(id(variable) in trained for variable in variables)


TURNS = Turns()  # one for all models: there is one device
