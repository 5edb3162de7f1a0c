"""How large the weights of a layer's units are, and their biases: batch normalization included, through concatenations.

A unit with hardly any weights hardly depends on the picture, so it need not be optimized to see that it never fires.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import keras
from cnnwidgets.model.recording import Recording

_L = keras.layers
_SAME = (_L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D, _L.Cropping2D)


class Incoming(NamedTuple):
    """The weights of each unit.

    Attributes:
        sizes: [units], the sum of their absolute values.
        biases: [units].
    """

    sizes: Array
    biases: Array

    @property
    def shares(self) -> Array:
        """[units]: the sizes as shares of what the layer's units usually have."""
        usual = float(np.median(self.sizes))
        return self.sizes / usual if usual > 0 else np.ones_like(self.sizes)


def incoming(recording: Recording, tensor: Any) -> Incoming | None:
    """The weights of the units of a tensor before its activation; `None` where a layer without a rule made it.

    Args:
        recording: of the run that the tensor is of, made with `activations=True`.
        tensor: [N, ..., units].
    """
    layer, inputs = recording.maker_of(tensor)
    if type(layer) in (_L.Conv2D, _L.Dense) and getattr(layer, "data_format", "channels_last") == "channels_last":
        sizes = np.abs(_numbers(layer.kernel)).sum(tuple(range(len(layer.kernel.shape) - 1)))
        return Incoming(sizes, _numbers(layer.bias) if layer.use_bias else np.zeros_like(sizes))
    if type(layer) in _SAME:
        return incoming(recording, inputs)
    if type(layer) is _L.BatchNormalization and layer.axis in (-1, tensor.shape.rank - 1):
        made = incoming(recording, inputs)
        return made and _normalized(layer, made)
    if type(layer) is _L.Concatenate and layer.axis in (-1, tensor.shape.rank - 1):
        each = [incoming(recording, part) for part in inputs]
        known = [part for part in each if part is not None]
        return Incoming(*map(np.concatenate, zip(*known, strict=True))) if len(known) == len(each) else None
    return None


def _normalized(layer: Any, made: Incoming) -> Incoming:
    factor = 1 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    factor = factor * _numbers(layer.gamma) if layer.scale else factor
    biases = (made.biases - _numbers(layer.moving_mean)) * factor
    return Incoming(made.sizes * np.abs(factor), biases + _numbers(layer.beta) if layer.center else biases)


def _numbers(variable: Any) -> Array:
    return np.asarray(variable.numpy(), np.float64)
