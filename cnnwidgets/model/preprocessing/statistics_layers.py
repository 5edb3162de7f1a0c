"""The mean and variance that a normalization before the first weights has learned from its pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras
from cnnwidgets.model.preprocessing.front import Front

_L = keras.layers


@dataclass(frozen=True)
class Learned:
    """What a normalization has learned.

    Attributes:
        path: of the layer.
        tensor: its input in the front.
        mean: in the middle of all channels.
        variance: likewise.
        is_moving: whether it moved there from 0 and 1, and is perhaps still on the way.
    """

    path: str
    tensor: Any
    mean: float
    variance: float
    is_moving: bool

    def fits(self, low: float, high: float) -> bool:
        """Whether numbers in a range can have this mean and variance: no larger than (high - mean)(mean - low)."""
        rest = np.linspace(0, 0.999, 200) if self.is_moving else np.zeros(1)  # how much of 0 and 1 is still in there
        mean, variance = self.mean / (1 - rest), (self.variance - rest) / (1 - rest)
        slack = 0.01 * (high - low)
        inside = (low - slack <= mean) & (mean <= high + slack) & (variance > 0)
        return bool((inside & (variance <= (high + slack - mean) * (mean - low + slack))).any())


def first(front: Front, which: int) -> Learned | None:
    """Of the first normalization that an input passes; `None` where none has learned anything."""
    for call in front.on_the_way(which):
        found = _statistics(call.layer)
        if found is None:
            continue
        mean, variance = (float(np.mean(np.asarray(one, np.float64))) for one in found)
        if abs(mean) > 1e-6 or abs(variance - 1) > 1e-6:
            return Learned(call.path, call.tensor, mean, variance, isinstance(call.layer, _L.BatchNormalization))
    return None


def _statistics(layer: Any) -> tuple[Any, Any] | None:
    if isinstance(layer, _L.BatchNormalization):
        return layer.moving_mean, layer.moving_variance
    if isinstance(layer, _L.Normalization) and not layer.invert:
        return layer.mean, layer.variance
    return None
