"""Functions of TensorFlow that Keras 2 wrote as layers (TFOpLambda), as operations of Keras 3.

A file names such a function, and no code; those that are listed here are replaced, any other one is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.model.safe_files.keras2_nodes import CONSTANT, Calls

Json = dict[str, Any]
_TWO = {  # functions of two values
    "__operators__.add": "Add", "math.add": "Add", "add": "Add", "nn.bias_add": "Add",
    "math.subtract": "Subtract", "subtract": "Subtract", "math.multiply": "Multiply", "multiply": "Multiply",
    "math.truediv": "TrueDivide", "math.divide": "TrueDivide", "divide": "TrueDivide",
    "math.maximum": "Maximum", "maximum": "Maximum", "math.minimum": "Minimum", "minimum": "Minimum",
    "math.pow": "Power", "pow": "Power",
}  # fmt: skip
_ONE = {  # functions of one value
    "nn.relu": "nn.Relu", "nn.relu6": "nn.Relu6", "nn.elu": "nn.Elu", "nn.selu": "nn.Selu",
    "nn.softplus": "nn.Softplus", "nn.softsign": "nn.Softsign", "nn.silu": "nn.Silu", "nn.swish": "nn.Silu",
    "math.sigmoid": "nn.Sigmoid", "nn.sigmoid": "nn.Sigmoid", "sigmoid": "nn.Sigmoid",
    "math.tanh": "numpy.Tanh", "nn.tanh": "numpy.Tanh", "tanh": "numpy.Tanh",
    "math.square": "numpy.Square", "square": "numpy.Square", "math.sqrt": "numpy.Sqrt", "sqrt": "numpy.Sqrt",
    "math.abs": "numpy.Absolute", "abs": "numpy.Absolute", "math.exp": "numpy.Exp", "exp": "numpy.Exp",
    "math.log": "numpy.Log", "math.negative": "numpy.Negative",
}  # fmt: skip
_MEANS = {
    "math.reduce_mean": "Mean", "reduce_mean": "Mean", "math.reduce_sum": "Sum", "reduce_sum": "Sum",
    "math.reduce_max": "Max", "reduce_max": "Max",
}  # fmt: skip


def operation(entry: Json, calls: Calls) -> Json:
    """A function that was written as a layer, with its calls."""
    name = str(entry["config"].get("function") or entry["config"].get("symbol"))
    make = _maker(name)
    if make is None:
        raise BadModel(f"a layer {quoted(entry.get('name'))} calls tf.{name}, which has no counterpart here")
    made = [make(*_given(node, calls)) for node in entry.get("inbound_nodes") or []]
    kinds = {kind for kind, _, _ in made}
    if len(kinds) != 1 or any(settings != made[0][1] for _, settings, _ in made):
        raise BadModel(f"a layer {quoted(entry.get('name'))} calls tf.{name} in different ways")
    module, kind = kinds.pop().split(".")
    config = {"name": calls.notes.renamed(entry["name"]), **made[0][1]}
    calls.notes.add("functions of TensorFlow replaced by operations of Keras", f"tf.{name}")
    return {
        "module": f"keras.src.ops.{module}", "class_name": kind, "config": config, "registered_name": kind,
        "inbound_nodes": [{"args": args, "kwargs": {}} for _, _, args in made],
    }  # fmt: skip


Made = tuple[str, Json, list[Any]]  # "module.class", its settings, what it is called with


def _maker(name: str) -> Callable[[Any, Json], Made] | None:
    if name in _TWO:
        return lambda first, more: (f"numpy.{_TWO[name]}", {}, [first, *(_other(more))])
    if name in _ONE:
        return lambda first, more: (_ONE[name], {}, [_only(first, more)])
    if name in _MEANS:
        return lambda first, more: (f"numpy.{_MEANS[name]}", _reduced(more), [first])
    return {
        "__operators__.getitem": _sliced, "nn.softmax": _softmax, "concat": _joined, "nn.leaky_relu": _leaky,
        "reshape": _reshaped, "cast": _cast, "clip_by_value": _clipped, "nn.gelu": _gelu,
    }.get(name)  # fmt: skip


def _given(node: Any, calls: Calls) -> tuple[Any, Json]:
    """The first value that a function is called with, and the others by name."""
    if isinstance(node, list) and len(node) == 4 and node[0] == CONSTANT:
        return _number(node[2]), calls.settings(node[3])
    made = calls.node(node)
    return made["args"][0], made["kwargs"]


def _number(value: Any) -> Any:
    """A constant; a list of numbers, as Keras 3 writes an array."""
    if not isinstance(value, list):
        return value
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": "float32"}}


def _only(first: Any, more: Json) -> Any:
    if more:
        raise BadModel(f"settings {quoted(sorted(more))} of a function are not known")
    return first


def _other(more: Json) -> list[Any]:
    """The second of two values; a bias is added to the last axis."""
    left = {key: value for key, value in more.items() if key not in ("y", "bias")}
    if left.pop("data_format", "NHWC") != "NHWC":
        raise BadModel("a bias is added to another axis than the last one")
    _only(None, left)
    (value,) = (more[key] for key in ("y", "bias") if key in more)
    return [_number(value)]


def _reduced(more: Json) -> Json:
    _only(None, {key: value for key, value in more.items() if key not in ("axis", "keepdims")})
    return {"axis": more.get("axis"), "keepdims": bool(more.get("keepdims", False))}


def _softmax(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "axis"})
    return "nn.Softmax", {"axis": more.get("axis", -1)}, [first]


def _leaky(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "alpha"})
    return "nn.LeakyRelu", {"negative_slope": more.get("alpha", 0.2)}, [first]


def _gelu(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "approximate"})
    return "nn.Gelu", {"approximate": bool(more.get("approximate", False))}, [first]


def _joined(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "axis"})
    return "numpy.Concatenate", {"axis": more["axis"]}, [first]


def _reshaped(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "shape"})
    return "numpy.Reshape", {"newshape": more["shape"]}, [first]


def _cast(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "dtype"})
    return "core.Cast", {"dtype": more["dtype"]}, [first]


def _clipped(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if not key.startswith("clip_value_")})
    return "numpy.Clip", {"x_min": more["clip_value_min"], "x_max": more["clip_value_max"]}, [first]


def _sliced(first: Any, more: Json) -> Made:
    _only(None, {key: value for key, value in more.items() if key != "slice_spec"})
    spec = more["slice_spec"]
    return "numpy.GetItem", {}, [first, [_slice(one) for one in spec] if isinstance(spec, list) else _slice(spec)]


def _slice(one: Any) -> Any:
    if isinstance(one, dict) and one.get("class_name") == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(one, dict) and set(one) <= {"start", "stop", "step"}:
        return {"class_name": "__slice__", "config": {key: one.get(key) for key in ("start", "stop", "step")}}
    return one
