"""NaN and infinity among the weights of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.errors import quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.keras_internals import stopped_tapes
from cnnwidgets.model.tracing.compiled import TURNS

_SUMMED = {"bfloat16", "float16", "float32", "float64"}  # others are looked at one by one


def spoiled(model: Any) -> str:
    """The path of the first weights of a model that hold NaN or infinity; "" where all are finite.

    It is asked before each verb, because weights change while a model trains. Minus infinity in a constant is allowed:
    attention masks hold it.
    """
    weights = model.weights
    if _are_finite(weights):
        return ""
    for weight in weights:
        value = np.asarray(weight, np.float32)
        if not np.isfinite(value).all() and (weight.trainable or np.isnan(value).any() or value.max() == np.inf):
            return str(weight.path)
    return ""


def why_not_finite(model: Any, name: str, others: Sequence[str] = ()) -> str:
    """Why the numbers of the network of this name, with these inputs beside the picture, are not finite."""
    if path := spoiled(model):
        return f"The weights {quoted(path)} of {quoted(name)} hold NaN or infinity. Load or train them again."
    zeros = f", and what {', '.join(others)} got: an input that is left out is 0" if others else ""
    return f"The output of {quoted(name)} is not finite, although its weights are. Check its preprocessing{zeros}."


def _are_finite(weights: list[Any]) -> bool:
    """Whether no number is NaN or infinite; `False` also where that must be looked at number by number.

    One operation for each variable: a graph of them all is twice as quick, and takes half a second to make.
    """
    floats = [weight for weight in weights if "float" in weight.dtype]
    if not _SUMMED.issuperset(weight.dtype for weight in floats):
        return False
    with TURNS.reading(), stopped_tapes():
        return not floats or bool(tf.math.is_finite(tf.add_n([*map(_energy, floats)])))


def _energy(weight: Any) -> Any:
    """Half the sum of squares: not finite if any number is not, and where it overflows."""
    value = tf.cast(weight.value, tf.float32) if weight.dtype == "float16" else weight.value
    found = tf.nn.l2_loss(value)
    return found if found.dtype == tf.float32 else tf.cast(found, tf.float32)
