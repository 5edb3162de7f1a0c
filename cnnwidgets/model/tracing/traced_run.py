"""One run of a network that is traced once and kept: what is asked of its graph later needs no other trace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import TRACING, pass_assertions
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.compiled import Graph, as_graph

Run = Callable[[], tuple[list[Any], Recording, list[Any]]]


class TracedRun:
    """A run of a network as a graph, which is never executed as a whole.

    Args:
        run: makes a placeholder for each input, and runs the network on them; returns them, what was recorded, and the
            outputs, flat.

    Attributes:
        inputs: the placeholders.
        recording: what was recorded of every layer.
        outputs: in the network's own order.
        known: what was worked out about its graph, to be used again.
    """

    def __init__(self, run: Run) -> None:
        self.known: dict[Any, Any] = {}

        def whole() -> None:
            self.inputs, self.recording, self.outputs = run()
            pass_assertions(tf.compat.v1.get_default_graph())  # only zeros run through parts of it

        self._whole = tf.compat.v1.wrap_function(whole, [])

    @contextlib.contextmanager
    def graph(self) -> Iterator[None]:
        """Add operations to the graph, one thread at a time."""
        with TRACING, self._whole.graph.as_default():
            yield

    def function(self, made: Callable[..., Any], *more: Any) -> Graph:
        """A function of the inputs: what `made` adds to the graph, with the operations that it needs and no others.

        Args:
            made: adds operations, and returns tensors of them.
            more: types and shapes of further inputs, as which `made` gets placeholders.
        """
        with self.graph():
            further = [tf.raw_ops.Placeholder(dtype=spec.dtype, shape=spec.shape) for spec in more]
            return as_graph(self._whole.prune([*self.inputs, *further], made(*further)))
