"""The probability of a class for copies of a picture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.targets import Target
from cnnwidgets.frame import Array


def probabilities(probe: Probe, target: Target, copies: Mapping[int, Array] | None = None) -> Array:
    """[N] float32: the probability of a class, as `Network.predict` has it; the number itself if it is not a class.

    Args:
        probe: of the picture.
        target: with its class and positions fixed, as `targets.settled` returns it; of a dense output the mean over
            these positions.
        copies: [N, H, W, C] of the picture for each picture input; the picture itself if not given.
    """
    info = probe.net.outputs[target.output]
    if target.function is None and info.kind == "classes" and not info.squashed_by:
        return _softmax(probe.class_scores(target, copies), target)
    reading = probe.values(target, copies)
    probability = np.asarray(reading.probability, np.float32)
    return np.where(np.isnan(probability), np.asarray(reading.value, np.float32), probability)


def _softmax(scores: Array, target: Target) -> Array:  # [N, ..., K] -> [N]
    rows = scores.reshape(len(scores), -1, scores.shape[-1]).astype(np.float64)  # [N, positions, K]
    where = target.where.ravel()
    rows = rows if len(where) == rows.shape[1] else rows.mean(1, keepdims=True)
    is_distribution = rows.min() >= 0 and np.abs(rows.sum(-1) - 1).max() < 1e-2
    powers = np.exp(rows - rows.max(-1, keepdims=True))
    found = rows if is_distribution else powers / powers.sum(-1, keepdims=True)
    weights = where if len(where) == rows.shape[1] and where.any() else None
    return np.average(found[..., target.unit], 1, weights).astype(np.float32)
