"""Which inputs each call of a layer depends on, read off the connections of a run's graph where these leave no doubt.

A gradient tells it for sure, and takes a tenth of a second or more to trace for each layer. Most networks have, on
some way from an input to a layer, nothing but operations through which every gradient passes; what no way at all
connects has none. Only what lies in between needs a gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cnnwidgets.model.backend import tf
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.operations import descendants, spread

Seen = tuple[int, ...]  # indices of inputs

# Operations that have a gradient for each of their inputs that are floats.
_PASSING = {
    "Add", "AddN", "AddV2", "AvgPool", "BatchMatMulV2", "BiasAdd", "Cast", "ConcatV2", "Conv2D", "Conv2DBackpropInput",
    "DepthwiseConv2dNative", "Elu", "Erf", "Exp", "ExpandDims", "Identity", "LeakyRelu", "LogSoftmax", "MatMul", "Max",
    "MaxPool", "Maximum", "Mean", "Minimum", "MirrorPad", "Mul", "Neg", "Pack", "Pad", "PadV2", "RealDiv", "Relu",
    "Relu6", "Reshape", "ResizeBilinear", "ResizeNearestNeighbor", "Rsqrt", "Selu", "Sigmoid", "Slice", "Softmax",
    "Softplus", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze", "StridedSlice", "Sub", "Sum",
    "Tanh", "Tile", "Transpose", "Unpack",
}  # fmt: skip


def inputs_seen(recording: Recording, inputs: Sequence[Any]) -> Mapping[str, tuple[Seen | None, ...]]:
    """For each layer the inputs that each of its calls depends on, `None` where only a gradient can tell.

    Args:
        recording: of a run that is traced in the graph at hand.
        inputs: the placeholders of that run.
    """
    if tf.executing_eagerly():  # where all functions run eagerly there is no graph to look at
        return {}
    connected = [descendants([one.op]) for one in inputs]
    reached = [spread([one.op], _passed_on) if one.dtype.is_floating else set() for one in inputs]

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


def _passed_on(operation: Any) -> Iterator[Any]:
    """The operations that surely hand on the gradient which reaches this one."""
    for tensor in operation.outputs:
        if tensor.dtype.is_floating:
            yield from (one for one in tensor.consumers() if one.type in _PASSING)
