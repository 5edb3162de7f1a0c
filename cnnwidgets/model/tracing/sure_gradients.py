"""Where a gradient surely passes, read off the connections of a graph.

Tracing the gradient itself tells it for any operation, and takes as long as tracing the network. Most networks have,
on some way between two tensors, nothing but operations through which every gradient passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnnwidgets.model.keras_internals import has_own_gradient, own_gradients
from cnnwidgets.model.tracing.operations import spread

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
    elif has_own_gradient(operation):  # a short one, such as that of swish, and so it is asked
        given = zip(operation.inputs, own_gradients(operation), strict=True)
        yield from (tensor.op for tensor, gradient in given if gradient is not None)
