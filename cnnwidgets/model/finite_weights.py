"""NaN and infinity among the weights of a model, found in one device call."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.errors import quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.compiled import compiled

_SUMMED = {"bfloat16", "float16", "float32", "float64"}  # others are looked at one by one


class FiniteWeights:
    """The check of one model's weights, traced once and asked before each verb: weights change while a model trains."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._weights: list[Any] = []
        self._total: Any = None  # `None` where the weights are looked at one by one

    def spoiled(self) -> str:
        """The path of the first weights that hold NaN or infinity; "" where all are finite.

        Minus infinity in a constant is allowed: attention masks hold it.
        """
        weights = self._model.weights
        if self._are_finite(weights):
            return ""
        for weight in weights:
            value = np.asarray(weight, np.float32)
            if not np.isfinite(value).all() and (weight.trainable or np.isnan(value).any() or value.max() == np.inf):
                return str(weight.path)
        return ""

    def why_not_finite(self, name: str, others: Sequence[str] = ()) -> str:
        """Why the numbers of the network of this name, with these inputs beside the picture, are not finite."""
        if path := self.spoiled():
            return f"The weights {quoted(path)} of {quoted(name)} hold NaN or infinity. Load or train them again."
        zeros = f", and what {', '.join(others)} got: an input that is left out is 0" if others else ""
        return f"The output of {quoted(name)} is not finite, although its weights are. Check its preprocessing{zeros}."

    def _are_finite(self, weights: list[Any]) -> bool:
        if len(weights) != len(self._weights) or any(map(operator.is_not, weights, self._weights)):
            self._weights, self._total = weights, _total_of(weights)
        return self._total is not None and bool(np.isfinite(self._total()))


def _total_of(weights: list[Any]) -> Any:
    """A function that adds the weights up; `None` where some have another type."""
    variables = [weight for weight in weights if weight.dtype in _SUMMED]
    if len(variables) != len([weight for weight in weights if "float" in weight.dtype]):
        return None
    return compiled(lambda: _sum(variables)).get_concrete_function() if variables else lambda: 0.0


def _sum(variables: list[Any]) -> Any:
    """Not finite if any number is not; it may also have overflowed, so the numbers are checked one by one then."""
    return tf.add_n([tf.reduce_sum(tf.cast(variable.value, tf.float32)) for variable in variables])
