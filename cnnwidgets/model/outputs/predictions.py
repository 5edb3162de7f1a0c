"""Predictions: a number for each class or value of an output."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.outputs.output_info import OutputInfo


class Prediction(NamedTuple):
    """One line of `net.predict`: class index, name, and probability 0..1.

    Of a dense output [H, W, C] of class scores, `probability` is the share of pixels whose top class this is. Of an
    output that is not class scores, `name` says what the number is ("value of output 'distance'", "value 3 of output
    'embedding'") and `probability` is that number itself; the lines are in the output's own order.
    """

    index: int  # type: ignore[assignment]  # a tuple's own method of that name is not missed
    name: str
    probability: float


def class_numbers(scores: Array, output: OutputInfo) -> Array:
    """A number for each class or value of an output [..., K]: see `Prediction`."""
    rows = scores.reshape(-1, scores.shape[-1] if scores.ndim else 1)  # [positions, K]
    if output.kind == "classes" and scores.ndim == 3 and output.squashed_by != "sigmoid":
        return np.bincount(rows.argmax(1), minlength=rows.shape[1]) / len(rows)
    mean = rows.mean(0)
    return _probabilities(mean, output) if output.is_class_scores else np.asarray(mean)


def _probabilities(scores: Array, output: OutputInfo) -> Array:
    """Softmax of logits; what is a distribution already stays as it is, and so does a plain number."""
    if output.is_decision:
        return np.array([1 - scores[0], scores[0]])
    if output.squashed_by == "log_softmax":
        return np.asarray(np.exp(scores))
    is_distribution = scores.min() >= 0 and abs(scores.sum() - 1) < 1e-2
    if output.squashed_by or scores.size == 1 or is_distribution:
        return scores
    powers = np.exp(scores - scores.max())
    return np.asarray(powers / powers.sum())
