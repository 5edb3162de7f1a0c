"""What leads where in a network's graph: which pictures a layer sees, where gradients stop, and which sizes fit.

A gradient tells for sure what depends on what, and takes a tenth of a second or more to trace for each layer. Most
networks have, on some way between two tensors, nothing but operations through which every gradient passes; what no way
at all connects has none. Only what lies in between needs a gradient.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cnnwidgets.errors import BadPicture, BadTarget, CnnWidgetsError
from cnnwidgets.model.backend import tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.keras_internals import has_own_gradient, own_gradients
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.tracing.compiled import from_shapes
from cnnwidgets.model.tracing.operations import descendants, spread

if TYPE_CHECKING:
    from cnnwidgets.model.prepared_model import PreparedModel

SMALL = 128  # pixels: any network takes pictures of this size
# Operations that have a gradient for each of their inputs that are floats.
_PASSING = {
    "Abs", "Add", "AddN", "AddV2", "AvgPool", "AvgPool3D", "BatchMatMulV2", "BatchToSpaceND", "BiasAdd",
    "BroadcastTo", "Cast", "ConcatV2", "Conv2D", "Conv2DBackpropInput", "Conv3D", "Cumsum", "DepthToSpace",
    "DepthwiseConv2dNative", "Einsum", "Elu", "Erf", "Erfc", "Exp", "ExpandDims", "Fill",
    "GatherNd", "GatherV2", "Identity", "L2Loss", "LRN", "LeakyRelu", "Log", "Log1p", "LogSoftmax", "MatMul", "Max",
    "MaxPool", "MaxPool3D", "Maximum", "Mean", "Min", "Minimum", "MirrorPad", "Mul", "Neg", "Pack", "Pad", "PadV2",
    "Pow", "Prod", "RealDiv", "Relu", "Relu6", "Reshape", "ResizeBilinear", "ResizeNearestNeighbor", "ReverseV2",
    "Roll", "Rsqrt", "Select", "SelectV2", "Selu", "Sigmoid", "Slice", "Softmax", "Softplus", "Softsign",
    "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze",
    "StridedSlice", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unpack",
}  # fmt: skip
Seen = tuple[int, ...]  # indices of inputs


def pictures_seen(net: PreparedModel, path: str, calls: int) -> list[tuple[int, ...]]:
    """Which picture inputs each call of a layer depends on, found by gradient; () where none can be traced."""

    def run() -> list[tuple[int, ...]]:
        feed = sample_feed(net)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(feed)
            with net.record([path], until=[(path, call) for call in range(calls)]) as recording:
                net.call(feed)
            outputs = [recording.activation(path, call) for call in range(calls)]
        found: list[tuple[int, ...]] = []
        for output in outputs:
            try:
                gradients = tape.gradient(output, feed)
            except LookupError:  # an operation for which TensorFlow knows no gradient
                gradients = [None] * len(feed)
            found.append(tuple([i for i in net.picture_inputs if gradients[i] is not None]))
        return found

    return from_shapes(run)


def first_cut(net: PreparedModel) -> str:
    """The path of the first layer, in the order of the calls, that no gradient leaves; "" where there is none."""

    def run() -> str:
        feed = sample_feed(net)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch(feed)
            with net.record(net.layers_by_path) as recording:
                net.call(feed)
        cut = (p for p, one in recording.order if all(g is None for g in tape.gradient(one, feed)))
        return next(cut, "")

    return from_shapes(run)


def sample_feed(net: PreparedModel, side: int = SMALL) -> list[Any]:
    """Zeros for each input, of this side where the network takes any, for a run that is traced and not executed."""
    return [_channels_last(info, tf.zeros([1, *(n or side for n in info.shape)])) for info in net.inputs]


def _channels_last(info: InputInfo, x: Any) -> Any:
    return tf.transpose(x, [0, 2, 3, 1]) if info.is_picture and info.channels_first else x


def check_room(net: PreparedModel, feed: Sequence[Any]) -> None:
    """Refuse pictures that are too small, by shapes alone: a pooling of less than it pools ends the process."""
    shapes = [tuple(tensor.shape) for tensor in feed]
    sizes = [shapes[i][1:3] for i in net.picture_inputs if not net.inputs[i].is_fixed]
    height, width = min(sizes, key=min, default=(SMALL, SMALL))

    def trace() -> bool:
        with enough_room(height, width, BadPicture):
            from_shapes(lambda: net.call([tf.zeros(shape) for shape in shapes]))
        return True

    if min(height, width) < SMALL:
        net.traces.get(trace)


@contextlib.contextmanager
def enough_room(height: int, width: int, error: type[BadPicture | BadTarget]) -> Iterator[None]:
    """Say in one sentence that pictures of this size have no rows or columns left somewhere inside the model."""
    try:
        yield
    except CnnWidgetsError:
        raise
    except (ValueError, tf.errors.InvalidArgumentError) as inner:
        if "negative" not in str(inner).casefold():  # Keras and TensorFlow: "Negative dimension size", "... negative"
            raise
        raise error(
            f"Pictures of {height} x {width} pixels are too small for this network: no rows or columns are "
            "left inside it. Give larger ones, or look at them at a larger size=."
        ) from inner


def surely_from(operation: Any) -> set[Any]:
    """The operation and all from whose numbers a gradient surely comes back to its own."""
    return spread([operation], _takers)


def surely_back(operation: Any) -> set[Any]:
    """The operation and all to whose numbers a gradient surely comes back from its own."""
    return spread([operation], _givers)


def _takers(operation: Any) -> Iterator[Any]:
    for tensor in operation.outputs:
        if tensor.dtype.is_floating:
            yield from (one for one in tensor.consumers() if one.type in _PASSING)


def _givers(operation: Any) -> Iterator[Any]:
    if operation.type in _PASSING:
        yield from (tensor.op for tensor in operation.inputs if tensor.dtype.is_floating)
    elif operation.type == "IdentityN" and has_own_gradient(operation):  # a short one, as of swish: it is asked
        given = zip(operation.inputs, own_gradients(operation), strict=True)
        yield from (tensor.op for tensor, gradient in given if gradient is not None)


def inputs_seen(recording: Recording, inputs: Sequence[Any]) -> Mapping[str, tuple[Seen | None, ...]]:
    """For each layer the inputs that each of its calls depends on, `None` where only a gradient can tell.

    Args:
        recording: of a run that is traced in the graph at hand.
        inputs: the placeholders of that run.
    """
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
