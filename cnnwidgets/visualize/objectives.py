"""Objectives to maximize: immutable values with exact algebra.

    channel("conv5", 12)                    the mean of one channel
    2 * channel("conv5", 12) - neuron("conv3", 7)
    channel("conv5", range(16))             sixteen pictures at once, each with its own channel

By default a unit is maximized by its value BEFORE the activation function: a unit whose ReLU is off passes no gradient
at all, and its picture would stay gray. Each factory gives one term; a sum keeps its terms apart, so that the layer
structure decides what is traced and the numbers (units, weights, positions) stay tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import number, whole_number
from cnnwidgets.visualize.terms.custom import Custom
from cnnwidgets.visualize.terms.of_layers import CENTER, Alignment, Channel, Direction, Diversity, Layer, Neuron, Unit
from cnnwidgets.visualize.terms.of_outputs import ClassLogit, RivalLogits
from cnnwidgets.visualize.terms.term import BEFORE_SHARE, LayerTerm, Numbers, OutputTerm, Term

MOST_POWER = 16.0  # of a cosine


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

    def numbers(self) -> tuple[Numbers, ...]:
        """What may change without another trace, of each term."""
        pictures = self.pictures
        return tuple([term.numbers(pictures) for term in self.terms])


def channel(layer: str, unit: int | Iterable[int], *, call: int = 0, before_activation: bool = True) -> Objective:
    """The mean of one channel of a layer's map (activation maximization, Erhan et al. 2009; Olah et al. 2017).

    Args:
        layer: a path.
        unit: the channel's index, or one for each picture.
        call: which call of a shared layer.
        before_activation: maximize the value before the activation function, so that a dead unit has a gradient. In a
            first layer, where that depends on the picture's average color alone, the mean after the activation
            function is maximized, plus a hundredth of the mean before it.
    """
    return _of_layer(Channel, layer, unit, call, before_activation)


def unit(layer: str, unit: int | Iterable[int], *, call: int = 0, before_activation: bool = True) -> Objective:
    """One unit of any layer: the mean of a channel where the layer has rows and columns, else its single number."""
    return _of_layer(Unit, layer, unit, call, before_activation)


def neuron(
    layer: str,
    unit: int | Iterable[int],
    row: int | None = None,
    column: int | None = None,
    *,
    call: int = 0,
    before_activation: bool = True,
) -> Objective:
    """One channel at one position of the map; the middle cell if no position is given.

    . . . .       On an even map the cell right of and below the center is taken.
    . . . .
    . . X .
    . . . .
    """
    position = tuple(
        CENTER if at is None else whole_number(name, at) for name, at in (("row", row), ("column", column))
    )
    return _of_layer(Neuron, layer, unit, call, before_activation, position=position)


def class_logit(target: int | Iterable[int], *, output: int | str | None = None) -> Objective:
    """A class by its logit, wherever the softmax or sigmoid hides: before it, the classes do not compete.

    Args:
        target: the class's index, or one for each picture; `net.class_index` finds it by name. One sigmoid tells two
            classes, 0 and 1.
        output: of a model with several, its index or name; the first if not given.
    """
    return _of_output(ClassLogit, target, output)


def rival_logits(target: int | Iterable[int], *, output: int | str | None = None) -> Objective:
    """The logsumexp of all OTHER logits: subtract it to maximize a margin; `target` as for `class_logit`."""
    return _of_output(RivalLogits, target, output)


def layer(path: str, *, call: int = 0) -> Objective:
    """The mean square of a whole layer: DeepDream's objective (Mordvintsev et al. 2015)."""
    return _of_layer(Layer, path, 0, call, False)


def direction(layer: str, vector: Iterable[float], *, call: int = 0, cosine_power: float = 0) -> Objective:
    """The mean of a layer's map along a direction among its channels (Kim et al., arXiv:1711.11279).

    The mean alone is largest where the strongest channels of the direction are, whatever the others do. With a
    `cosine_power`, each position counts by that power of its cosine with the direction, so that the activation is of
    the direction's proportions (Carter et al., "Activation Atlas", Distill 2019).

    Args:
        layer: a path.
        vector: one number for each channel; its length does not matter.
        call: which call of a shared layer.
        cosine_power: 0 to 16. Above 0 the layer's activation itself is read; a hundredth of the values before its
            activation function is added, so that there is a gradient where nothing is active.
    """
    try:
        numbers = np.asarray(list(vector), np.float64)
    except (TypeError, ValueError):
        numbers = np.zeros(0)  # no numbers, so no length either
    length = np.linalg.norm(numbers)
    if numbers.ndim != 1 or not np.isfinite(length) or length == 0:
        raise BadTarget(f"The direction {quoted(vector)} has no length. Give one finite number for each channel.")
    unit_vector, power = tuple((numbers / length).tolist()), number("cosine_power", cosine_power, 0, MOST_POWER)
    along = _of_layer(Direction, layer, 0, call, True, vector=unit_vector)
    if not power:
        return along
    return _of_layer(Alignment, layer, 0, call, False, vector=unit_vector, power=power) + BEFORE_SHARE * along


def diversity(layer: str, *, call: int = 0) -> Objective:
    """How unlike the pictures of a batch are, 0 to -1: the mean cosine of their channels' correlations, negative.

    Add it, with a weight, to an objective for several pictures of ONE unit, to see the several things that it answers
    to (Olah et al., "Feature Visualization", Distill 2017).
    """
    return _of_layer(Diversity, layer, 0, call, False)


def custom(layer: str, function: Callable[[Any], Any], *, call: int = 0, before_activation: bool = False) -> Objective:
    """An objective of your own: what a function makes of a layer's activation.

    Args:
        layer: a path.
        function: takes the activation, float32 [N, h, w, k] ([N, k] where the layer has no rows and columns), as a
            symbolic tensor, and returns one number for each picture, [N], by TensorFlow operations that have a
            gradient. It is called while a graph is built, not at each step.
        call: which call of a shared layer.
        before_activation: read what stands before the layer's activation function instead of what the layer gives.

    A recipe holds settings, not code: keep the function yourself to make the picture again.

    Raises:
        BadTarget: for what is not a function; in a run for one that fails, returns anything but finite numbers [N], or
            has no gradient.

    Example:
        >>> custom("fire5_concat", lambda activation: tf.reduce_max(activation[..., 12], [1, 2]))
    """
    if not callable(function):
        raise BadTarget(
            f"function must be a function of a layer's activation, got {quoted(function)}. "
            "Give one such as lambda activation: tf.reduce_mean(activation[..., 7], [1, 2])."
        )
    return _of_layer(Custom, layer, 0, call, before_activation, function=function)


def _of_layer(
    kind: type[LayerTerm], path: str, units: int | Iterable[int], call: int, before_activation: bool, **own: Any
) -> Objective:
    if not isinstance(path, str) or not path:
        raise BadTarget(f"There is no layer {quoted(path)}. Name one by its path, such as 'conv1'.")
    call, units = whole_number("call", call), _indices(units, "unit", "Units count from 0")
    return Objective((kind(layer=path, call=call, before_activation=before_activation, units=units, **own),))


def _of_output(kind: type[OutputTerm], target: int | Iterable[int], output: int | str | None) -> Objective:
    chosen = output if isinstance(output, str) else whole_number("output", 0 if output is None else output)
    classes = _indices(target, "class", "net.class_index(name) finds the index of a name")
    return Objective((kind(output=chosen, units=classes),))


def _indices(given: int | Iterable[int], kind: str, advice: str) -> tuple[int, ...]:
    many = tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    if not many:
        raise BadTarget(f"Expected at least one {kind}, got none.")
    for one in many:
        if isinstance(one, bool) or not isinstance(one, (int, np.integer)):
            raise BadTarget(f"{kind} must be an integer, got {quoted(one)}. {advice}.")
    return tuple(int(one) for one in many)
