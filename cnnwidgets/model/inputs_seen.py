"""Which inputs each call of a layer depends on, read off the connections of a run's graph where these leave no doubt.

A gradient tells it for sure, and takes a tenth of a second or more to trace for each layer. Most networks have, on
some way from an input to a layer, nothing but operations through which every gradient passes; what no way at all
connects has none. Only what lies in between needs a gradient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.operations import descendants
from cnnwidgets.model.tracing.sure_gradients import surely_from

Seen = tuple[int, ...]  # indices of inputs


def inputs_seen(recording: Recording, inputs: Sequence[Any]) -> Mapping[str, tuple[Seen | None, ...]]:
    """For each layer the inputs that each of its calls depends on, `None` where only a gradient can tell.

    Args:
        recording: of a run that is traced in the graph at hand.
        inputs: the placeholders of that run.
    """
    if tf.executing_eagerly():  # where all functions run eagerly there is no graph to look at
        return {}
    connected = [descendants([one.op]) for one in inputs]
    reached = [surely_from(one.op) if one.dtype.is_floating else set() for one in inputs]

    def seen(tensor: Any) -> Seen | None:
        if not _is_here(tensor):
            return None
        every, certain = (tuple(i for i, ops in enumerate(each) if tensor.op in ops) for each in (connected, reached))
        return every if every == certain else None

    return {path: tuple(map(seen, calls)) for path, calls in recording.calls.items()}


def _is_here(tensor: Any) -> bool:
    """Whether it is a tensor of floats of this graph, rather than of a loop's own graph inside it."""
    here = tf.is_symbolic_tensor(tensor) and tensor.graph is tf.compat.v1.get_default_graph()
    return here and bool(tensor.dtype.is_floating)
