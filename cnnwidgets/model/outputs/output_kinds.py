"""Kinds of outputs, decided from the model: class scores, or the meaning of other numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from cnnwidgets.model.backend import keras
from cnnwidgets.model.recording import Recording

# Words in the names of outputs, which decide where nothing else does.
_SCORES = re.compile(r"logit|score|class|pred|prob|label|categor|softmax|head|species|digit")
_NUMBERS = re.compile(
    r"box|coord|landmark|keypoint|distance|angle|pose|offset|regress|depth|price|(^|_)age$|(^|_)z(_|$)|mean|var$"
)
_EMBEDDINGS = re.compile(r"embed|latent|encod|feature|descriptor|code$")
_LOSS_OF_SCORES = re.compile(r"crossentropy|hinge|focal|ctc|dice|tversky|kl_?div|kullback")
_LOSS_OF_A_LOGIT = re.compile(r"binary.*crossentropy.* from_logits")
_LOSS_OF_NUMBERS = re.compile(r"mse|mae|mape|msle|squared|absolute|huber|cosh|cosine|poisson|triplet|contrastive")
_NORMALIZATIONS = (keras.layers.UnitNormalization, keras.layers.LayerNormalization, keras.layers.BatchNormalization)
_PASSED = ("Identity", "IdentityN", "Cast", "Reshape", "Squeeze", "StopGradient")
_TO_A_NORM = ("Sqrt", "Rsqrt", "Maximum", "Reciprocal", "Pow", "AddV2", "Abs", "SelectV2", *_PASSED)


def kind_of(
    tensor: Any,
    shape: tuple[int | None, ...],
    name: str,
    squashed_by: str,
    layers: Mapping[str, Any],
    recording: Recording,
    loss: str,
) -> tuple[str, bool]:
    """What an output is, and whether that is sure.

    Args:
        tensor: the output of a recorded run in a graph.
        shape: of the output, as its OutputInfo has it.
        name: the model's for it.
        squashed_by: "softmax", "sigmoid", "log_softmax" or "".
        layers: every layer by path.
        recording: of all of them, with activations.
        loss: the name of the loss that the model was compiled with for this output, with " from_logits" where it
            takes these; "" where it was not.

    Returns:
        "classes", "decision", "value", "map" or "embedding"; and False where a linear layer may be class scores too.
    """
    numbers, of_scores = (shape[-1:] or (1,))[0] or 0, bool(_LOSS_OF_SCORES.search(loss))
    if squashed_by in ("softmax", "log_softmax"):
        return "classes", True
    if len(shape) > 1:  # an edge map or a picture ends in sigmoids too
        return ("classes", True) if of_scores and numbers > 1 else ("map", True)
    if squashed_by == "sigmoid":
        return ("decision" if numbers == 1 else "classes"), True
    if numbers == 1 and _LOSS_OF_A_LOGIT.search(loss):
        return "decision", True
    if numbers == 1 or not tensor.dtype.is_floating:
        return "value", True
    if of_scores or _LOSS_OF_NUMBERS.search(loss):
        return ("classes" if of_scores else "value"), True
    return _of_vector(tensor, numbers, name.casefold(), layers, recording)


def _of_vector(
    tensor: Any, numbers: int, name: str, layers: Mapping[str, Any], recording: Recording
) -> tuple[str, bool]:
    """The kind of several linear numbers, of which no loss is known."""
    last = layers.get(_layer_that_returned(tensor, recording))
    if _is_of_unit_length(tensor) or isinstance(last, _NORMALIZATIONS) or _EMBEDDINGS.search(name):
        return "embedding", True
    if recording.activation_of(tensor):  # no logits stand behind a tanh or ReLU
        return ("value" if isinstance(last, keras.layers.Dense) else "embedding"), True
    if _NUMBERS.search(name):
        return "value", True
    if _SCORES.search(name) or numbers != 2 or not isinstance(last, keras.layers.Dense):
        return "classes", True
    return "value", False  # two scores, or two numbers: shown as they are


def _layer_that_returned(tensor: Any, recording: Recording) -> str:
    """The path of the innermost layer that returned this tensor; "" where an operation did."""
    found = [path for path, output in recording.order if output is tensor]
    return max(found, key=lambda path: path.count("/"), default="")


def _is_of_unit_length(tensor: Any) -> bool:
    """Whether it was divided by its length: a product or quotient with the root of a sum of squares."""
    operation = _before(tensor.op)
    if operation.type not in ("Mul", "RealDiv", "DivNoNan"):
        return False
    return any(_leads_to_squares(side.op) for side in operation.inputs)


def is_linear(tensor: Any, layers: Mapping[str, Any], recording: Recording) -> bool:
    """Whether a tensor is what a dense layer without an activation returns."""
    last = layers.get(_layer_that_returned(tensor, recording))
    return isinstance(last, keras.layers.Dense) and recording.activation_of(tensor) in ("", "linear")


def _before(operation: Any) -> Any:
    """The operation itself, or the one whose numbers it passes on."""
    while operation.type in _PASSED and operation.inputs:
        operation = operation.inputs[0].op
    return operation


def _leads_to_squares(operation: Any) -> bool:
    left = [operation]
    for _ in range(12):  # operations between a length and its sum of squares
        if not left:
            return False
        one = left.pop()
        if one.type in ("Sum", "EuclideanNorm"):
            inner = _before(one.inputs[0].op)
            return one.type == "EuclideanNorm" or inner.type in ("Square", "Pow", "Mul", "Real")
        if one.type in _TO_A_NORM:
            left += [source.op for source in one.inputs]
    return False


def is_channels_first(tensor: Any, layers: Mapping[str, Any], recording: Recording) -> bool:
    """Whether an output [N, ., ., .] has its channels before rows and columns, by the layer that returned it."""
    last = layers.get(_layer_that_returned(tensor, recording))
    if isinstance(last, keras.layers.Softmax):  # it says along which axis the classes lie
        return last.axis in (1, -3)
    if isinstance(last, keras.layers.Permute | keras.layers.Reshape):
        return False
    if isinstance(last, keras.layers.Activation) and recording.activation_of(tensor) == "softmax":
        return False  # which is along the last axis
    formats = [getattr(layer, "data_format", "") for layer in layers.values()]
    return str(getattr(last, "data_format", max(formats, key=len, default=""))) == "channels_first"


def losses_of(model: Any, names: Sequence[str]) -> list[str]:
    """The name of the loss that the model was compiled with for each output, by its name; "" where it was not."""
    given = getattr(model, "loss", None)
    if isinstance(given, dict):
        return [_loss_name(given.get(name)) for name in names]
    flat = list(given) if isinstance(given, (list, tuple)) else [given] * len(names)
    return [_loss_name(one) for one in flat] if len(flat) == len(names) else [""] * len(names)


def _loss_name(loss: Any) -> str:
    name = loss if isinstance(loss, str) else getattr(loss, "name", None) or getattr(loss, "__name__", "")
    return str(name or "").casefold() + " from_logits" * bool(getattr(loss, "from_logits", False))
