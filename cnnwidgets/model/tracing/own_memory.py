"""Arrays that a caller may write to and keep, without a copy where a graph's output belongs to nobody else.

TensorFlow's own `numpy()` always copies, since the memory of a tensor may be that of a variable, of a constant of the
graph, of its input or of another output. A convolution's output, with a bias and an activation function, is none of
these: it was allocated for this run. Copies of all feature maps can take half as long as the network itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.operations import ancestors

_CONVOLUTIONS = {"Conv2D", "DepthwiseConv2dNative"}
_PASSING = {"Identity", "IdentityN"}  # the output is the input
_BY_ELEMENT = {"BiasAdd", "Relu", "Relu6", "LeakyRelu", "Elu", "Selu", "Sigmoid", "Tanh", "Softplus"}


def is_own(output: Any, feed: Sequence[Any]) -> bool:
    """Whether an output of the graph that is being traced can be given away without a copy (see the module)."""
    while output.op.type in _BY_ELEMENT | _PASSING:
        output = output.op.inputs[output.value_index]  # 0 but for IdentityN
    operation = output.op
    if operation.type not in _CONVOLUTIONS:
        return False
    # Without these two it might be computed once, when the graph is optimized, and kept as a constant.
    from_variable = any(op.type == "ReadVariableOp" for op in ancestors(operation.inputs[1].op))
    return from_variable and not ancestors(operation).isdisjoint(tensor.op for tensor in feed)


def arrays_of(outputs: Sequence[Any], are_own: Sequence[bool]) -> list[Array]:
    """The outputs of a graph as arrays that the caller may write to.

    Args:
        outputs: tensors of a run.
        are_own: for each of them what `is_own` returned; one that comes twice is copied.
    """
    addresses = [np.asarray(one).ctypes.data if is_one else 0 for one, is_one in zip(outputs, are_own, strict=True)]
    return [
        np.asarray(_Memory(one)) if address and addresses.count(address) == 1 and "CPU" in one.device else one.numpy()
        for one, address in zip(outputs, addresses, strict=True)
    ]


class _Memory:
    """The memory of a tensor, which an array made of it keeps alive and may write to."""

    def __init__(self, tensor: tf.Tensor) -> None:
        self._tensor, read_only = tensor, np.asarray(tensor)
        self.__array_interface__ = read_only.__array_interface__ | {"data": (read_only.ctypes.data, False)}
