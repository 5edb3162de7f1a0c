"""The outputs of a model in its order, and the logit behind each, also behind a softmax."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadModel, BadTarget, nearest, quoted
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.outputs.output_kinds import is_channels_first, is_linear, kind_of, losses_of
from cnnwidgets.model.recording import Recording

SQUASHING = {"softmax": "Softmax", "sigmoid": "Sigmoid", "log_softmax": "LogSoftmax"}  # Keras' and TensorFlow's names


@dataclass(frozen=True)
class OutputInfo:
    """One output of a model.

    Attributes:
        name: as the model calls it; where several have one name, with a number: "distances_0", "distances_1".
        shape: without the batch; with rows and columns as [H, W, C], also if the model returns [C, H, W]. A single
            row and column, which a classifier without dense layers ends in, are left out.
        squashed_by: "softmax", "sigmoid" or "log_softmax" where its last step is one; else "".
        dtype: of its numbers.
        shared_name: the name that the model gives to several outputs, this one among them; else "".
        kind: "classes" for class scores, "decision" for one sigmoid or the logit before it, which separates two
            classes; else "value" (one number or a few), "embedding" or "map" ([H, W, C], such as edges or a picture),
            whose numbers are not called classes.
        is_sure: False for two linear numbers of which nothing says whether they are class scores.
        channels_first: whether the model gives [C, H, W].
        is_linear: whether its last step is a dense layer without an activation; one such number may be a logit.
    """

    name: str
    shape: tuple[int | None, ...]
    squashed_by: str
    dtype: str = "float32"
    shared_name: str = ""
    kind: str = "classes"
    is_sure: bool = True
    channels_first: bool = False
    is_linear: bool = False

    @property
    def has_gradient(self) -> bool:
        """Whether its numbers are floats: an index, such as argmax returns, has no gradient."""
        return "float" in self.dtype

    @property
    def is_decision(self) -> bool:
        """Whether it is one sigmoid, or the logit before it: one number that separates two classes."""
        return self.kind == "decision"

    @property
    def is_class_scores(self) -> bool:
        return self.kind in ("classes", "decision")

    def unit_name(self, index: int) -> str:
        """What one of its numbers is called where it is not a class."""
        if self.kind == "map":
            return f"mean of channel {index} of output {self.name!r}"
        return f"value of output {self.name!r}" if self.classes == 1 else f"value {index} of output {self.name!r}"

    def named_by(self, count: int) -> OutputInfo:
        """The same output where `count` names of classes are given for it."""
        numbers = (self.shape[-1:] or (1,))[0]
        is_logit = numbers == 1 and (self.squashed_by == "sigmoid" or (self.is_linear and len(self.shape) < 2))
        if self.is_class_scores or count not in (numbers, 2 if is_logit else 0):
            return self
        return replace(self, kind="classes" if count == numbers else "decision", is_sure=True)

    @property
    def classes(self) -> int:
        """The number of its classes, or of its numbers if they are not classes; 0 if that is not fixed."""
        return 2 if self.is_decision else (self.shape[-1:] or (1,))[0] or 0


def describe(model: Any, outputs: Any, layers: Mapping[str, Any], recording: Recording) -> tuple[OutputInfo, ...]:
    """List the outputs of one recorded run in a graph."""
    names = _names(model, outputs)
    tensors = tensors_of(outputs)
    for name, tensor in zip(names, tensors, strict=True):
        if tensor.shape.rank == 0:
            raise BadModel(
                f"The output {quoted(name)} is one number for the whole batch. "
                "Give a model with an output for each picture."
            )
    found = []
    each = zip(_made_unique(names), names, tensors, losses_of(model, names), strict=True)
    for own, name, tensor, loss in each:
        squashed_by = behind(tensor, recording)[1]
        last = model.layers[-1].name if isinstance(model, keras.Sequential) else name
        shared = "" if own == name else name
        first = tensor.shape.rank == 4 and is_channels_first(tensor, layers, recording)
        shape = tuple(tensor.shape)[1:]
        shape = (*shape[1:], shape[0]) if first else shape
        shape = shape[-1:] if all(n == 1 for n in shape[:-1]) else shape
        kind, is_sure = kind_of(tensor, shape, last, squashed_by, layers, recording, loss)
        linear = is_linear(tensor, layers, recording)
        found.append(OutputInfo(own, shape, squashed_by, tensor.dtype.name, shared, kind, is_sure, first, linear))
    return tuple(found)


def tensors_of(outputs: Any) -> list[Any]:
    """What a model returns, flat, without what it leaves out: `None` in a dict, for example."""
    return [one for one in keras.tree.flatten(outputs) if one is not None]


def check_gradient(info: OutputInfo) -> None:
    """Refuse an output of whole numbers."""
    if not info.has_gradient:
        raise BadTarget(
            f"The output {quoted(info.name)} gives whole numbers, as argmax does, so no gradient reaches the picture. "
            "Choose a layer before it, or give a model that ends in scores."
        )


def check_classes(info: OutputInfo, purpose: str) -> None:
    """Refuse an output whose numbers are not class scores."""
    if info.is_class_scores or not info.is_sure:
        return
    check_gradient(info)
    raise BadTarget(
        f"The output {quoted(info.name)} gives {_KINDS[info.kind]}, not class scores, so there is no class to "
        f"{purpose}. Choose another output, use class_activation_map or attribution with target=, or give "
        "cw.Network(model, class_names=[...]) if its numbers are scores of classes."
    )


_KINDS = {"value": "plain values", "map": "a map", "embedding": "an embedding"}


def _names(model: Any, outputs: Any) -> list[str]:
    """The names of the outputs in the model; the keys of a dict."""
    paths = [path for path, one in keras.tree.flatten_with_path(outputs) if one is not None]
    names = list(getattr(model, "output_names", None) or [])
    if isinstance(outputs, dict):
        return ["/".join(map(str, path)) for path in paths]
    return [str(n) for n in names] if len(names) == len(paths) else [f"output_{i}" for i in range(len(paths))]


def _made_unique(names: Sequence[str]) -> list[str]:
    """The names, those that occur more than once with a number: one name must never lead to another's output."""
    taken, unique = set(names), []
    for name in names:
        candidates = (f"{name}_{i}" for i in itertools.count()) if names.count(name) > 1 else iter([name])
        own = next(c for c in candidates if c == name or c not in taken)
        taken.add(own)
        unique.append(own)
    return unique


def behind(tensor: Any, recording: Recording) -> tuple[Any, str]:
    """The logits [N, ..., K] behind an output and the function after them; the output itself and "" without one.

    The recording holds a layer's own activation. A bare `ops.softmax` is not a layer; it is found in the graph.
    """
    function = recording.activation_of(tensor)
    if function in SQUASHING:
        return _in_columns(recording.before_activation(tensor)), function
    passed = ("Identity", "Cast") if tensor.shape.rank != 1 else ("Identity", "Cast", "Squeeze", "Reshape")
    operation = getattr(tensor, "op", None) if not tf.executing_eagerly() else None
    while operation is not None and operation.type in passed:
        operation = operation.inputs[0].op
    for name, kind in SQUASHING.items():
        if operation is not None and operation.type == kind:
            return _in_columns(operation.inputs[0]), name
    return _in_columns(tensor), ""


def logits_of(info: OutputInfo, tensor: Any, recording: Recording) -> tuple[Any, str]:
    """As `behind`, with the classes on the last axis."""
    logits, squashed_by = behind(tensor, recording)
    return (tf.transpose(logits, [0, 2, 3, 1]) if info.channels_first else logits), squashed_by


def _in_columns(tensor: Any) -> Any:
    """One number for each picture, [N], as a column [N, 1]."""
    return tensor[:, None] if tensor.shape.rank == 1 else tensor


def find(output: object, outputs: tuple[OutputInfo, ...]) -> int:
    """The index of an output given by index or name; the first for `None`."""
    if output is None:
        return 0
    names = [info.name for info in outputs]
    if isinstance(output, str) and output in names:
        return names.index(output)
    if isinstance(output, (int, np.integer)) and not isinstance(output, bool) and 0 <= output < len(outputs):
        return int(output)
    if isinstance(output, str) and (sharing := [one.name for one in outputs if output and one.shared_name == output]):
        raise BadTarget(f"{len(sharing)} outputs are called {quoted(output)}. Choose one of: {', '.join(sharing)}.")
    raise BadTarget(
        f"There is no output {quoted(output)}. Give an index from 0 to {len(outputs) - 1}, or a name "
        f"({nearest(output, names)})."
    )
