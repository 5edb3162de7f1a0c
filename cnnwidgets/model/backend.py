"""TensorFlow and Keras, imported once and quietly.

TensorFlow writes start-up lines to file descriptor 2 whatever the log level is, and a notebook shows them under the
cell. Where this package is the one that imports it, those lines are held back; anything else is passed on.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from cnnwidgets.errors import BadModel, BadTarget, JobFailed, OutOfMemory, quoted, short_of_memory

_CHATTER = re.compile(
    rb"All log messages before absl::InitializeLog"
    rb"|^[IWE]0000 "
    rb"|^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    rb"|^To enable the following instructions"
    rb"|^Skipping registering GPU devices"
)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Hold back TensorFlow's start-up lines; pass on every other line, and all of them where the body fails."""
    try:
        sys.stderr.flush()
        original = os.dup(2)
    except (OSError, ValueError, AttributeError):  # no such descriptor: nothing can be spilled either
        yield
        return
    failed = True
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
            failed = False
        finally:
            os.dup2(original, 2)
            os.close(original)
            held.seek(0)
            lines = [line for line in held if failed or not _CHATTER.search(line)]
            if lines:
                os.write(2, b"".join(lines))


if "tensorflow" in sys.modules:
    import keras
    import tensorflow as tf
else:
    with _quietly():
        import keras
        import tensorflow as tf

from cnnwidgets.model.tracing import tapes  # noqa: E402
from cnnwidgets.model.tracing.effects import Assigned  # noqa: E402  # when TensorFlow is there, quietly

if keras.backend.backend() != "tensorflow":
    raise BadModel(
        f"Keras runs on its {keras.backend.backend()!r} backend here. Set the environment variable "
        "KERAS_BACKEND=tensorflow before Keras is imported, and restart."
    )


def graphics_cards() -> list[Any]:
    """The graphics cards that TensorFlow finds; where there is none, its full build complains of that."""
    with _quietly():
        return list(tf.config.list_physical_devices("GPU"))


def start_device() -> None:
    """Make TensorFlow open its device now, without the lines that it writes on the way."""
    check_eager()
    with _quietly():
        tf.constant(0)


def check_eager() -> None:
    """Refuse to compute inside a graph of somebody else.

    Raises:
        BadModel: inside a `tf.function` or `tf.Graph`, or where eager execution is off.
    """
    if not tf.executing_eagerly():
        raise BadModel(
            "TensorFlow does not execute eagerly here. Call this outside of tf.function and tf.Graph, and without "
            "tf.compat.v1.disable_eager_execution()."
        )


class Graph:
    """A function that TensorFlow has traced, or will; where it finds no memory, that is said in words.

    Variables that it assigns are put back after each run, also after one that breaks.
    """

    def __init__(self, function: Any, assigned: Assigned) -> None:
        self._function, self._assigned = function, assigned

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        with self._assigned.put_back():
            return _with_memory(self._run, arguments)

    def _run(self, *arguments: Any) -> Any:
        """Run the graph, also while `tf.config.run_functions_eagerly(True)` makes functions run their Python code.

        A tape that the user has open does not hear it; tapes inside the graph do, so it is traced first.
        """
        trace = getattr(self._function, "get_concrete_function", None)  # a function that is traced already has none
        is_heard = tapes.are_open()
        graph = self._function
        if trace is not None and (is_heard or tf.config.functions_run_eagerly()):
            graph = trace(*arguments)
        with tapes.stopped() if is_heard else contextlib.nullcontext():
            return graph(*arguments)

    def __getattr__(self, name: str) -> Any:
        """What else TensorFlow knows of it."""
        return getattr(self._function, name)

    def get_concrete_function(self, *arguments: Any) -> Graph:
        """Trace it for these arguments, and give that one graph."""
        graph = _with_memory(self._function.get_concrete_function, arguments)
        self._assigned.forget_values()
        return Graph(graph, self._assigned)


def _with_memory(call: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return call(*arguments)
    except OutOfMemory:  # a graph inside this one has said it
        raise
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
        words = short_of_memory(str(error))
    raise OutOfMemory(words)  # here, where the error and all that it holds is gone


def compiled(function: Callable[..., Any]) -> Graph:
    """The function as a graph, traced at its first call.

    TensorFlow counts the tracings of all graphs that share one piece of code, and warns in the reader's notebook when
    the same step is traced for five layers; a partial has no code of its own, so that each graph is counted by itself.
    """
    assigned = Assigned()

    def noted(*arguments: Any) -> Any:
        made = function(*arguments)
        if not tf.executing_eagerly():
            assigned.note(tf.compat.v1.get_default_graph())
        return made

    return Graph(tf.function(functools.partial(noted), autograph=False, reduce_retracing=True), assigned)


def limit_gpu(megabytes: int | None = None) -> None:
    """Share a graphics card among kernels: call it before anything is computed.

    Args:
        megabytes: a hard limit for this kernel; `None` lets its memory grow as needed instead of taking all at once.

    Raises:
        BadTarget: for a limit that is no positive number.
        JobFailed: when the device is already in use, so that nothing can be changed any more.
    """
    if megabytes is not None and (isinstance(megabytes, bool) or not isinstance(megabytes, int) or megabytes <= 0):
        raise BadTarget(f"megabytes must be a positive integer or None, got {quoted(megabytes)}.")
    try:
        for card in graphics_cards():
            if megabytes is None:
                tf.config.experimental.set_memory_growth(card, True)
            else:
                limit = tf.config.LogicalDeviceConfiguration(memory_limit=megabytes)
                tf.config.set_logical_device_configuration(card, [limit])
    except RuntimeError as error:
        raise JobFailed(
            "The graphics card is already in use, so its memory can no longer be limited. "
            "Restart the kernel and call cw.limit_gpu() first."
        ) from error


__all__ = ["check_eager", "compiled", "graphics_cards", "keras", "limit_gpu", "start_device", "tf"]
