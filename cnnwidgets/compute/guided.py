"""Guided backpropagation: ReLUs that let only positive gradients pass (Springenberg et al., arXiv:1412.6806).

TensorFlow notes on each operation of a graph which gradient it has, so nothing on the model changes: operations that
are made inside `guided_relus` have another one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from cnnwidgets.compute.backend import tf

# What the gradient of each is usually; guided backpropagation gives it positive gradients only.
_USUAL: dict[str, Callable[[Any, Any], Any]] = {
    "Relu": lambda op, g: tf.raw_ops.ReluGrad(gradients=g, features=op.outputs[0]),
    "Relu6": lambda op, g: tf.raw_ops.Relu6Grad(gradients=g, features=op.outputs[0]),
    "LeakyRelu": lambda op, g: tf.raw_ops.LeakyReluGrad(gradients=g, features=op.inputs[0], alpha=op.get_attr("alpha")),
    "Elu": lambda op, g: tf.raw_ops.EluGrad(gradients=g, outputs=op.outputs[0]),
    "Selu": lambda op, g: tf.raw_ops.SeluGrad(gradients=g, outputs=op.outputs[0]),
}
_NAMES = {operation: f"cnnwidgets.guided.{operation}" for operation in _USUAL}


def _register(operation: str) -> None:
    usual = _USUAL[operation]
    with contextlib.suppress(KeyError):  # when this module is loaded a second time
        tf.RegisterGradient(_NAMES[operation])(lambda op, g: usual(op, tf.nn.relu(g)))


for _operation in _USUAL:
    _register(_operation)


def guided_relus(graph: Any) -> contextlib.AbstractContextManager[None]:
    """Open it while the model is traced into this graph; `tf.gradients` follows it."""
    return graph.gradient_override_map(_NAMES)  # type: ignore[no-any-return]


def has_relus(graph: Any) -> bool:
    """Whether there is anything to guide in this graph."""
    return any(operation.type in _USUAL for operation in graph.get_operations())
