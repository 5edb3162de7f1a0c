"""What to climb: immutable values with exact algebra.

    channel("conv5", 12)                    the mean of one channel
    2 * channel("conv5", 12) - neuron("conv3", 7)
    channel("conv5", range(16))             sixteen pictures at once, each with its own channel

By default a unit is climbed by what stands BEFORE its activation function: a unit whose ReLU is off passes no gradient
at all, and its picture would stay grey. Each factory gives one term; a sum keeps its terms apart, so that the layer
structure decides what is traced and the numbers (units, weights, places) stay tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.compute.backend import tf
from cnnwidgets.errors import BadTarget, quoted

CENTER = -1  # a row or column that stands for the middle of the map


@dataclass(frozen=True)
class Term:
    """One summand: `weight * value`, for one picture or one for each picture of a batch.

    Attributes:
        kind: how the value is read: a key of VALUES.
        layer: the path of the layer; "" for the model's output.
        call: which call of a shared layer; for an output, which output.
        before_activation: whether to read what stands before the activation function.
        units: a unit for each picture.
        place: (row, column) on the map, CENTER for its middle.
        weight: the factor.
    """

    kind: str
    layer: str
    call: int = 0
    before_activation: bool = True
    units: tuple[int, ...] = (0,)
    place: tuple[int, int] = (CENTER, CENTER)
    weight: float = 1.0


@dataclass(frozen=True)
class Objective:
    """A sum of weighted terms. Add, subtract, negate, multiply or divide by a number: the operands stay as they are."""

    terms: tuple[Term, ...]

    def __add__(self, other: Objective) -> Objective:
        """The sum."""
        return Objective(self.terms + other.terms) if isinstance(other, Objective) else NotImplemented

    def __sub__(self, other: Objective) -> Objective:
        """The difference."""
        return self + -other if isinstance(other, Objective) else NotImplemented

    def __mul__(self, factor: float) -> Objective:
        """The multiple."""
        if not isinstance(factor, (int, float, np.floating, np.integer)):
            return NotImplemented
        return Objective(tuple(replace(term, weight=term.weight * float(factor)) for term in self.terms))

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Objective:
        """The multiple by 1 / divisor."""
        return self * (1 / divisor)

    def __neg__(self) -> Objective:
        """The opposite."""
        return self * -1.0

    @property
    def pictures(self) -> int:
        """How many pictures it is for: the longest of its lists of units."""
        return max(len(term.units) for term in self.terms)

    @property
    def units(self) -> tuple[int, ...]:
        """The units of its first term, one for each picture; they seed the pictures' randomness."""
        units = self.terms[0].units
        return units if len(units) == self.pictures else units * self.pictures


def channel(layer: str, unit: int | Iterable[int], *, call: int = 0, before_activation: bool = True) -> Objective:
    """The mean of one channel of a layer's map (activation maximisation, Erhan et al. 2009; Olah et al. 2017).

    Args:
        layer: a path.
        unit: the channel's index, or one for each picture.
        call: which call of a shared layer.
        before_activation: climb what stands before the activation function, so that a silent channel has a gradient.
    """
    return _one("channel", layer, unit, call, before_activation)


def unit(layer: str, unit: int | Iterable[int], *, call: int = 0, before_activation: bool = True) -> Objective:
    """One unit of any layer: the mean of a channel where the layer has rows and columns, else its single number."""
    return _one("unit", layer, unit, call, before_activation)


def neuron(
    layer: str,
    unit: int | Iterable[int],
    row: int = CENTER,
    column: int = CENTER,
    *,
    call: int = 0,
    before_activation: bool = True,
) -> Objective:
    """One channel at one place of the map; the middle cell if no place is given.

    . . . .       On an even map the cell right of and below the centre is taken.
    . . . .
    . . X .
    . . . .
    """
    made = _one("neuron", layer, unit, call, before_activation)
    return Objective((replace(made.terms[0], place=(int(row), int(column))),))


def class_logit(target: int | Iterable[int], *, output: int = 0) -> Objective:
    """A class by its logit, wherever the softmax or sigmoid hides: before it, the classes do not compete.

    Args:
        target: the class's index, or one for each picture. One sigmoid tells two classes, 0 and 1.
        output: of a model with several, which one.
    """
    return _one("unit", "", target, output, True)


def rival_logits(target: int | Iterable[int], *, output: int = 0) -> Objective:
    """The logsumexp of all OTHER logits: subtract it to climb a class by its margin."""
    return _one("rivals", "", target, output, True)


def layer(path: str, *, call: int = 0) -> Objective:
    """The mean square of a whole layer: DeepDream's objective (Mordvintsev et al. 2015)."""
    return _one("layer", path, 0, call, False)


def _one(kind: str, path: str, units: int | Iterable[int], call: int, before: bool) -> Objective:
    many = tuple(units) if isinstance(units, Iterable) and not isinstance(units, str) else (units,)
    if not many:
        raise BadTarget("No unit was given. Name at least one.")
    for one in many:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)):
            raise BadTarget(f"A unit is a whole number, not {quoted(one)}. Units count from 0.")
    return Objective((Term(kind, path, int(call), before, tuple(int(u) for u in many)),))


def _of_unit(activation: Any, units: Any, _row: Any, _column: Any) -> Any:  # [N, ..., C], [N] -> [N]
    axes = list(range(1, activation.shape.rank - 1))
    return tf.gather(tf.reduce_mean(activation, axes) if axes else activation, units, batch_dims=1)


def _of_neuron(activation: Any, units: Any, row: Any, column: Any) -> Any:  # [N, h, w, C], [N] -> [N]
    height, width = tf.shape(activation)[1], tf.shape(activation)[2]
    y = tf.where(row < 0, height // 2, tf.minimum(row, height - 1))
    x = tf.where(column < 0, width // 2, tf.minimum(column, width - 1))
    return tf.gather(activation[:, y, x, :], units, batch_dims=1)


def _of_layer(activation: Any, _units: Any, _row: Any, _column: Any) -> Any:  # [N, ..., C] -> [N]
    return tf.reduce_mean(tf.square(activation), list(range(1, activation.shape.rank)))


def _of_rivals(activation: Any, units: Any, _row: Any, _column: Any) -> Any:  # [N, ..., C], [N] -> [N]
    axes = list(range(1, activation.shape.rank - 1))
    logits = tf.reduce_mean(activation, axes) if axes else activation  # [N, C]
    own = tf.one_hot(units, logits.shape[-1], on_value=-1e9, off_value=0.0)
    return tf.reduce_logsumexp(logits + own, -1)


def _of_decision(activation: Any, units: Any, _row: Any, _column: Any) -> Any:  # [N, ..., 1], [N] -> [N]
    logit = _of_unit(activation, tf.zeros_like(units), _row, _column)
    return logit * (2.0 * tf.cast(units, tf.float32) - 1.0)


VALUES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "channel": _of_unit,
    "unit": _of_unit,
    "neuron": _of_neuron,
    "layer": _of_layer,
    "rivals": _of_rivals,
    "decision": _of_decision,
}
