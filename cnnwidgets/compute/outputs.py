"""What a model puts out: its outputs in its own order, and the logit behind each, wherever the softmax hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.compute.layers import Recording
from cnnwidgets.errors import BadModel, BadTarget, nearest, quoted

SQUASHING = {"softmax": "Softmax", "sigmoid": "Sigmoid", "log_softmax": "LogSoftmax"}  # Keras' and TensorFlow's names


@dataclass(frozen=True)
class OutputInfo:
    """One output of a model.

    Attributes:
        name: as the model calls it.
        shape: without the batch.
        squashed_by: "softmax", "sigmoid" or "log_softmax" where its last step is one; else "".
        dtype: of its numbers.
    """

    name: str
    shape: tuple[int | None, ...]
    squashed_by: str
    dtype: str = "float32"

    @property
    def has_gradient(self) -> bool:
        """Whether it is no whole number, such as the index that an argmax gives."""
        return "float" in self.dtype

    @property
    def is_decision(self) -> bool:
        """Whether it is one sigmoid: two classes told apart by one number."""
        return self.squashed_by == "sigmoid" and self.shape[-1:] in ((), (1,))

    @property
    def classes(self) -> int:
        """How many classes it tells apart; 1 for a plain number, 0 where that is not fixed."""
        return 2 if self.is_decision else (self.shape[-1:] or (1,))[0] or 0


def describe(model: Any, outputs: Any, recording: Recording) -> tuple[OutputInfo, ...]:
    """List the outputs of one recorded run in a graph."""
    names = _names(model, outputs)
    for name, tensor in zip(names, keras.tree.flatten(outputs), strict=True):
        if tensor.shape.rank == 0:
            raise BadModel(
                f"The output {quoted(name)} is one number for the whole batch, so it says nothing of a picture. "
                "Give a model that puts out a number for each picture."
            )
    return tuple(
        OutputInfo(name, tuple(tensor.shape)[1:], behind(tensor, recording)[1], tensor.dtype.name)
        for name, tensor in zip(names, keras.tree.flatten(outputs), strict=True)
    )


def _names(model: Any, outputs: Any) -> list[str]:
    if isinstance(outputs, dict):
        return [str(name) for name in sorted(outputs)]
    flat = keras.tree.flatten(outputs)
    names = list(getattr(model, "output_names", None) or [])
    return [str(n) for n in names] if len(names) == len(flat) else [f"output_{i}" for i in range(len(flat))]


def behind(tensor: Any, recording: Recording) -> tuple[Any, str]:
    """The logits [N, ..., K] behind an output and what squashed them; the output itself and "" where nothing did.

    A layer's own activation is seen by the recording. A bare `ops.softmax` is no layer, but its operation stands in
    the graph.
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


def _in_columns(tensor: Any) -> Any:
    """One number for each picture, [N], as a column [N, 1]."""
    return tensor[:, None] if tensor.shape.rank == 1 else tensor


def find(output: object, outputs: tuple[OutputInfo, ...]) -> int:
    """The index of an output given by index or name; the first for `None`.

    Raises:
        BadTarget: where there is none, with the names.
    """
    if output is None:
        return 0
    names = [info.name for info in outputs]
    if isinstance(output, str) and output in names:
        return names.index(output)
    if isinstance(output, (int, np.integer)) and not isinstance(output, bool) and 0 <= output < len(outputs):
        return int(output)
    raise BadTarget(
        f"There is no output {quoted(output)}. Give an index from 0 to {len(outputs) - 1}, or a name "
        f"({nearest(output, names)})."
    )
