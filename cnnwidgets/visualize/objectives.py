"""Objectives to maximize: immutable values with exact algebra.

    channel("conv5", 12)                    the mean of one channel
    2 * channel("conv5", 12) - neuron("conv3", 7)
    channel("conv5", range(16))             sixteen pictures at once, each with its own channel

By default a unit is climbed by what stands BEFORE its activation function: a unit whose ReLU is off passes no gradient
at all, and its picture would stay gray. Each factory gives one term; a sum keeps its terms apart, so that the layer
structure decides what is traced and the numbers (units, weights, places) stay tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import whole_number
from cnnwidgets.model.backend import tf

CENTER = -1  # a row or column that stands for the middle of the map


@dataclass(frozen=True)
class Term:
    """One summand: `weight * value`, for one picture or one for each picture of a batch.

    Attributes:
        kind: how the value is read: a key of VALUES.
        layer: the path of the layer; "" for the model's output.
        call: which call of a shared layer.
        output: where there is no layer: which output, its index or name.
        before_activation: whether to read what stands before the activation function.
        units: a unit for each picture.
        place: (row, column) on the map, CENTER for its middle.
        vector: a direction among the channels, of length 1; empty for other kinds.
        weight: the factor.
    """

    kind: str
    layer: str
    call: int = 0
    output: int | str = 0
    before_activation: bool = True
    units: tuple[int, ...] = (0,)
    place: tuple[int, int] = (CENTER, CENTER)
    vector: tuple[float, ...] = ()
    weight: float = 1.0

    @property
    def structure(self) -> Term:
        """What a graph is traced for: units, place, direction and weight are tensors in it."""
        return replace(self, units=(0,), place=(CENTER, CENTER), vector=(), weight=1.0)


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
    """The mean of one channel of a layer's map (activation maximization, Erhan et al. 2009; Olah et al. 2017).

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
    row: int | None = None,
    column: int | None = None,
    *,
    call: int = 0,
    before_activation: bool = True,
) -> Objective:
    """One channel at one place of the map; the middle cell if no place is given.

    . . . .       On an even map the cell right of and below the center is taken.
    . . . .
    . . X .
    . . . .
    """
    made = _one("neuron", layer, unit, call, before_activation)
    place = [CENTER if at is None else whole_number(name, at) for name, at in (("row", row), ("column", column))]
    return Objective((replace(made.terms[0], place=(place[0], place[1])),))


def class_logit(target: int | Iterable[int], *, output: int | str | None = None) -> Objective:
    """A class by its logit, wherever the softmax or sigmoid hides: before it, the classes do not compete.

    Args:
        target: the class's index, or one for each picture; `net.class_index` finds it by name. One sigmoid tells two
            classes, 0 and 1.
        output: of a model with several, its index or name; the first if not given.
    """
    return _of_output("unit", target, output)


def rival_logits(target: int | Iterable[int], *, output: int | str | None = None) -> Objective:
    """The logsumexp of all OTHER logits: subtract it to climb a class by its margin; `target` as for `class_logit`."""
    return _of_output("rivals", target, output)


def _of_output(kind: str, target: int | Iterable[int], output: int | str | None) -> Objective:
    chosen = output if isinstance(output, str) else whole_number("output", 0 if output is None else output)
    return Objective((Term(kind, "", output=chosen, units=_classes(target)),))


def layer(path: str, *, call: int = 0) -> Objective:
    """The mean square of a whole layer: DeepDream's objective (Mordvintsev et al. 2015)."""
    return _one("layer", path, 0, call, False)


def direction(layer: str, vector: Iterable[float], *, call: int = 0) -> Objective:
    """The mean of a layer's map along a direction among its channels (Kim et al., arXiv:1711.11279).

    Args:
        layer: a path.
        vector: one number for each channel; its length does not matter.
        call: which call of a shared layer.
    """
    try:
        numbers = np.asarray(list(vector), np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)  # no numbers, so no length either
    length = np.linalg.norm(numbers)
    if numbers.ndim != 1 or not np.isfinite(length) or length == 0:
        raise BadTarget(f"The direction {quoted(vector)} has no length. Give one finite number for each channel.")
    term = _one("direction", layer, 0, call, True).terms[0]
    return Objective((replace(term, vector=tuple((numbers / length).tolist())),))


def diversity(layer: str, *, call: int = 0) -> Objective:
    """How unlike the pictures of a batch are, 0 to -1: the mean cosine of their channels' correlations, negative.

    Add it, with a weight, to an objective for several pictures of ONE unit, to see the several things that it answers
    to (Olah et al., "Feature Visualization", Distill 2017).
    """
    return _one("diversity", layer, 0, call, False)


def _one(kind: str, path: str, units: int | Iterable[int], call: int, before: bool) -> Objective:
    if not isinstance(path, str) or not path:
        raise BadTarget(f"There is no layer {quoted(path)}. Name one by its path, such as 'conv1'.")
    return Objective((Term(kind, path, whole_number("call", call), 0, before, _units(units)),))


def _units(units: int | Iterable[int]) -> tuple[int, ...]:
    return _indices(units, "unit", "Units count from 0")


def _classes(target: int | Iterable[int]) -> tuple[int, ...]:
    return _indices(target, "class", "net.class_index(name) finds the index of a name")


def _indices(given: int | Iterable[int], kind: str, advice: str) -> tuple[int, ...]:
    many = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not many:
        raise BadTarget(f"Expected at least one {kind}, got none.")
    for one in many:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)):
            raise BadTarget(f"{kind} must be an integer, got {quoted(one)}. {advice}.")
    return tuple(int(one) for one in many)


class Numbers(NamedTuple):
    """What changes in a term without another trace, as tensors.

    Attributes:
        weight: [].
        units: [N].
        place: [2], row and column.
        vector: [C], or [0] where there is no direction.
    """

    weight: Any
    units: Any
    place: Any
    vector: Any


def numbers_of(objective: Objective) -> tuple[Numbers, ...]:
    """The numbers of each term."""
    many = objective.pictures
    return tuple(
        Numbers(
            tf.constant(term.weight, tf.float32),
            tf.constant(np.broadcast_to(np.array(term.units, np.int32), (many,))),
            tf.constant(term.place, tf.int32),
            tf.constant(term.vector, tf.float32, [len(term.vector)]),
        )
        for term in objective.terms
    )


def _of_unit(means: Any, numbers: Numbers) -> Any:  # [N, C] -> [N]
    return tf.gather(means, numbers.units, batch_dims=1)


def _of_neuron(activation: Any, numbers: Numbers) -> Any:  # [N, h, w, C] -> [N]
    height, width = tf.shape(activation)[1], tf.shape(activation)[2]
    row, column = tf.unstack(numbers.place)
    y = tf.where(row < 0, height // 2, tf.minimum(row, height - 1))
    x = tf.where(column < 0, width // 2, tf.minimum(column, width - 1))
    return tf.gather(activation[:, y, x, :], numbers.units, batch_dims=1)


def _of_layer(activation: Any, _numbers: Numbers) -> Any:  # [N, ..., C] -> [N]
    return tf.reduce_mean(tf.square(activation), list(range(1, activation.shape.rank)))


def _of_direction(means: Any, numbers: Numbers) -> Any:  # [N, C] -> [N]
    return tf.linalg.matvec(means, numbers.vector)


def _of_diversity(activation: Any, _numbers: Numbers) -> Any:  # [N, h, w, C] -> [N]
    flat = tf.reshape(activation, [tf.shape(activation)[0], -1, activation.shape[-1]])  # [N, h * w, C]
    grams = tf.linalg.matmul(flat, flat, transpose_a=True)  # [N, C, C]
    unit = tf.math.l2_normalize(tf.reshape(grams, [tf.shape(grams)[0], -1]), -1, epsilon=1e-10)
    cosines = tf.linalg.matmul(unit, unit, transpose_b=True)  # [N, N]
    others = tf.cast(tf.maximum(tf.shape(cosines)[0] - 1, 1), tf.float32)
    return -(tf.reduce_sum(cosines, -1) - tf.linalg.diag_part(cosines)) / others


def _of_rivals(logits: Any, numbers: Numbers) -> Any:  # [N, C] -> [N]
    own = tf.one_hot(numbers.units, logits.shape[-1], on_value=-1e9, off_value=0.0)
    return tf.reduce_logsumexp(logits + own, -1)


def _of_decision(logit: Any, numbers: Numbers) -> Any:  # [N, 1] -> [N]
    return logit[:, 0] * (2.0 * tf.cast(numbers.units, tf.float32) - 1.0)


VALUES: dict[str, Callable[[Any, Numbers], Any]] = {
    "channel": _of_unit,
    "unit": _of_unit,
    "neuron": _of_neuron,
    "layer": _of_layer,
    "direction": _of_direction,
    "diversity": _of_diversity,
    "rivals": _of_rivals,
    "decision": _of_decision,
}

OF_MEANS = ("channel", "unit", "direction", "rivals", "decision")  # they read a map by the mean of each channel alone
