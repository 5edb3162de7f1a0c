"""ReLUs for guided backpropagation, which pass only positive gradients (Springenberg et al., arXiv:1412.6806).

TensorFlow stores the gradient function of each operation of a graph, so the model does not change: operations made
inside `guided_relus` have another one.

Only ReLUs that are activations are guided. A gate, such as the relu6(x + 3) / 6 of a hard sigmoid or hard swish, or any
ReLU that is multiplied into features, keeps its gradient: in a product both factors must follow the same rule.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import gradients_by_name, register_gradients
from cnnwidgets.model.tracing.operations import ancestors, descendants

# The usual gradient of each; guided backpropagation passes only positive gradients to it.
_USUAL: dict[str, Callable[[Any, Any], Any]] = {
    "Relu": lambda op, g: tf.raw_ops.ReluGrad(gradients=g, features=op.outputs[0]),
    "Relu6": lambda op, g: tf.raw_ops.Relu6Grad(gradients=g, features=op.outputs[0]),
    "LeakyRelu": lambda op, g: tf.raw_ops.LeakyReluGrad(gradients=g, features=op.inputs[0], alpha=op.get_attr("alpha")),
    "Elu": lambda op, g: tf.raw_ops.EluGrad(gradients=g, outputs=op.outputs[0]),
    "Selu": lambda op, g: tf.raw_ops.SeluGrad(gradients=g, outputs=op.outputs[0]),
}
_NAMES = {operation: f"cnnwidgets.guided.{operation}" for operation in _USUAL}
_GATES = "cnnwidgets.gates"  # a collection of the graph

# A factor stays a factor behind these, where their other operand is a constant or a weight.
_PASSING = {
    "Identity", "Cast", "Reshape", "ExpandDims", "Squeeze", "Transpose", "BroadcastTo", "Tile", "Neg", "Mul", "RealDiv",
    "AddV2", "Add", "Sub", "Minimum", "Maximum",
}  # fmt: skip


class Guidance(NamedTuple):
    """Counts of guided operations.

    Attributes:
        relus: number of guided ReLUs and variants.
        gates: number left unguided as parts of gates.
        is_bypassed: whether some path from a picture to the target has no guided ReLU.
    """

    relus: int = 0
    gates: int = 0
    is_bypassed: bool = True


def _guided(operation: str) -> Callable[[Any, Any], Any]:
    usual = _USUAL[operation]

    def guided(op: Any, g: Any) -> Any:
        if op.name in op.graph.get_collection_ref(_GATES):
            return usual(op, g)
        return usual(op, -tf.nn.relu(-g) if _is_mirrored(op) else tf.nn.relu(g))

    return guided


register_gradients({_NAMES[operation]: _guided(operation) for operation in _USUAL})


def guided_relus(graph: Any) -> contextlib.AbstractContextManager[None]:
    """Context in which to trace the model into this graph; `tf.gradients` then uses the guided gradients."""
    return gradients_by_name(graph, _NAMES)


def survey(graph: Any, pictures: Iterable[Any], value: Any) -> Guidance:
    """Find the gates among the ReLUs between pictures and a value; call it before the gradient is made."""
    sources = [picture.op for picture in pictures]
    dependent = descendants(sources)
    relus = [op for op in dependent & ancestors(value.op) if op.type in _USUAL]
    gates = {op for op in relus if _is_hard_sigmoid(op, dependent) or _is_factor(op, dependent)}
    graph.get_collection_ref(_GATES).extend(op.name for op in gates)
    guided = set(relus) - gates
    return Guidance(len(guided), len(gates), value.op in descendants(sources, guided))


def _is_hard_sigmoid(op: Any, dependent: set[Any]) -> bool:
    """Whether it is the ReLU of relu6(x + 3) / 6: a number is added before it, and another one scales it."""
    shifted = op.inputs[0].op
    behind = op.outputs[0].consumers()
    return (
        shifted.type in ("AddV2", "Add", "Sub")
        and _has_plain_number(shifted, dependent)
        and any(c.type in ("Mul", "RealDiv") and _has_plain_number(c, dependent) for c in behind)
    )


def _has_plain_number(op: Any, dependent: set[Any]) -> bool:
    return any(x.shape.num_elements() == 1 and x.op not in dependent for x in op.inputs)


def _is_factor(op: Any, dependent: set[Any]) -> bool:
    """Whether its output is multiplied into a tensor that does not come from it, so that it weighs other features."""
    mine: set[Any] | None = None
    for factor, product in _products(op, dependent):
        mine = descendants([op]) if mine is None else mine
        if any(x is not factor and x.op in dependent and x.op not in mine for x in product.inputs):
            return True
    return False


def _products(op: Any, dependent: set[Any]) -> Iterator[tuple[Any, Any]]:
    """(factor, multiplication) for each multiplication with another tensor that depends on the pictures."""
    left, seen = list(op.outputs[:1]), {op}
    while left:
        tensor = left.pop()
        for consumer in tensor.consumers():
            others = [x for x in consumer.inputs if x is not tensor and x.op in dependent]
            if others and consumer.type == "Mul":
                yield tensor, consumer
            elif not others and consumer.type in _PASSING and consumer not in seen:
                seen.add(consumer)
                left += consumer.outputs


def _is_mirrored(op: Any) -> bool:
    """Whether it is the negative half of a PReLU, relu(x) - alpha * relu(-x): its gradients come with the sign of x."""
    negated = op.inputs[0].op
    return op.type == "Relu" and negated.type == "Neg" and any(c.type == "Relu" for c in negated.inputs[0].consumers())
