"""Bounds on what units of a layer can reach for any picture, from the weights alone, by interval arithmetic.

From the network's input, whose range its preprocessing gives, through every layer with a rule; anything else may be any
number. A unit whose upper bound is not above zero never fires, so no step of gradient ascent need be spent on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import Affine, Scale, preprocess_of_each
from cnnwidgets.model.recording import Recording

_L = keras.layers
DEEPEST = 40  # layers back from a unit; through more of them the bounds say little


class Bounds(NamedTuple):
    """The lowest and highest value of each channel, float64 [C], at any position of any picture."""

    low: Array
    high: Array

    @classmethod
    def unknown(cls, channels: int) -> Bounds:
        """Any number."""
        return cls(np.full(channels, -np.inf), np.full(channels, np.inf))

    def with_zero(self) -> Bounds:
        return Bounds(np.minimum(self.low, 0), np.maximum(self.high, 0))

    def times(self, weights: Array) -> Bounds:
        """What sums over cells and channels can be, for weights [cells, C, units]; zero times infinity is zero."""
        more, less = np.maximum(weights, 0).sum(0), np.minimum(weights, 0).sum(0)  # [C, units]
        low, high = self.low[:, None], self.high[:, None]
        with np.errstate(invalid="ignore"):
            lowest = np.where(more > 0, more * low, 0) + np.where(less < 0, less * high, 0)
            highest = np.where(more > 0, more * high, 0) + np.where(less < 0, less * low, 0)
        return Bounds(lowest.sum(0), highest.sum(0))

    def plus(self, bias: Any) -> Bounds:
        """Moved by a number for each channel."""
        return Bounds(self.low + bias, self.high + bias)

    def scaled(self, factor: Any) -> Bounds:
        """Times a number for each channel."""
        with np.errstate(invalid="ignore"):
            ends = [np.where(np.equal(factor, 0), 0, end * factor) for end in self]
        return Bounds(np.minimum(*ends), np.maximum(*ends))


Bound = Callable[[Any], Bounds]  # of a tensor


def bounds_of(net: Network, recording: Recording, tensor: Any) -> Bounds:
    """The bounds of a tensor [N, ..., C] of a recorded run that was traced as a graph, with the weights as they are.

    Args:
        net: the network.
        recording: of one run of it, made with `activations=True`.
        tensor: of that run, channels last.
    """
    inputs = {id(recording.inputs[i]): part for i, part in preprocess_of_each(net.preprocess, net.picture_inputs)}
    found: dict[int, Bounds] = {}

    def of(tensor: Any, depth: int = 0) -> Bounds:
        if id(tensor) not in found:
            channels = int(tensor.shape[-1] or 1) if tensor.shape.rank else 1
            made = _of_pictures(inputs[id(tensor)], channels) if id(tensor) in inputs else None
            if made is None and depth < DEEPEST:
                made = _made(recording, tensor, lambda other: of(other, depth + 1))
            found[id(tensor)] = Bounds.unknown(channels) if made is None or len(made.low) != channels else made
        return found[id(tensor)]

    return of(tensor)


def _made(recording: Recording, tensor: Any, of: Bound) -> Bounds | None:
    """The bounds of a tensor from those of what it was made of; `None` where there is no rule."""
    layer, inputs = recording.mover_of(tensor)
    if layer is None and recording.activation_of(tensor):
        limits = _FUNCTIONS.get(tensor.op.type)
        return limits and Bounds(*(np.clip(end, *limits) for end in of(recording.before_activation(tensor))))
    if layer is None:
        layer, inputs = recording.maker_of(tensor)
    rule = _RULES.get(type(layer))
    return rule(layer, inputs, of) if rule else None


def _of_pictures(preprocess: Any, channels: int) -> Bounds | None:
    """What a preprocessing makes of pictures of 0..255."""
    if isinstance(preprocess, Affine):
        matrix = np.asarray(preprocess.matrix, np.float64)[None]
        return Bounds(np.zeros(matrix.shape[1]), np.full(matrix.shape[1], 255.0)).times(matrix).plus(preprocess.offset)
    if isinstance(preprocess, Scale):
        pictures = Bounds(np.zeros(channels), np.full(channels, 255.0))
        return pictures.scaled(preprocess.factor).plus(preprocess.offset)
    return None


# What each function does to its argument, by TensorFlow's name of the operation: it grows with it, within these limits.
_FUNCTIONS = {"Relu": (0, np.inf), "Relu6": (0, 6)}


def _numbers(variable: Any) -> Array:
    return np.asarray(variable.numpy(), np.float64)


def _convolution(layer: Any, x: Any, of: Bound) -> Bounds | None:
    if layer.data_format != "channels_last" or layer.groups != 1:
        return None
    given = of(x) if layer.padding == "valid" else of(x).with_zero()
    kernel = _numbers(layer.kernel)  # [k, k, C, units]
    if kernel.shape[2] != len(given.low):
        return None
    found = given.times(kernel.reshape(-1, *kernel.shape[2:]))
    return found.plus(_numbers(layer.bias)) if layer.use_bias else found


def _dense(layer: Any, x: Any, of: Bound) -> Bounds | None:
    given, kernel = of(x), _numbers(layer.kernel)  # [C, units]
    if len(kernel) != len(given.low):
        return None
    found = given.times(kernel[None])
    return found.plus(_numbers(layer.bias)) if layer.use_bias else found


def _normalization(layer: Any, x: Any, of: Bound) -> Bounds | None:
    if layer.axis not in (-1, x.shape.rank - 1):
        return None
    factor = 1 / np.sqrt(_numbers(layer.moving_variance) + layer.epsilon)
    factor = factor * _numbers(layer.gamma) if layer.scale else factor
    moved = of(x).plus(-_numbers(layer.moving_mean)).scaled(factor)
    return moved.plus(_numbers(layer.beta)) if layer.center else moved


def _rescaling(layer: Any, x: Any, of: Bound) -> Bounds:
    return of(x).scaled(np.asarray(layer.scale, np.float64)).plus(np.asarray(layer.offset, np.float64))


def _sum(_layer: Any, parts: Any, of: Bound) -> Bounds | None:
    if len({part.shape[-1] for part in parts}) > 1:
        return None
    each = [of(part) for part in parts]
    return Bounds(sum(one.low for one in each), sum(one.high for one in each))  # type: ignore[arg-type]


def _concatenation(layer: Any, parts: Any, of: Bound) -> Bounds | None:
    each = [of(part) for part in parts]
    if layer.axis not in (-1, parts[0].shape.rank - 1):
        return None
    return Bounds(*(np.concatenate(ends) for ends in zip(*each, strict=True)))


def _same(layer: Any, x: Any, of: Bound) -> Bounds | None:
    return of(x) if getattr(layer, "data_format", "channels_last") == "channels_last" else None


def _bordered(layer: Any, x: Any, of: Bound) -> Bounds | None:
    return of(x).with_zero() if layer.data_format == "channels_last" else None


_RULES: dict[type, Callable[[Any, Any, Bound], Bounds | None]] = {
    _L.Conv2D: _convolution, _L.Dense: _dense, _L.BatchNormalization: _normalization, _L.Rescaling: _rescaling,
    _L.Add: _sum, _L.Concatenate: _concatenation, _L.ZeroPadding2D: _bordered,
    **dict.fromkeys((_L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D,
                     _L.Cropping2D, _L.Dropout, _L.SpatialDropout2D, _L.Identity), _same),
}  # fmt: skip
