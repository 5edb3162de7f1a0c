"""Which number a heatmap explains: a class by its logit, a plain number, or a function of the model's output."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.compute.backend import tf
from cnnwidgets.compute.layers import Recording
from cnnwidgets.compute.network import Network
from cnnwidgets.compute.outputs import behind, find
from cnnwidgets.errors import BadTarget, quoted

TOP = -1  # a unit that stands for the top class
SURE = 1 - 1e-6  # from here on softmax and sigmoid pass hardly any gradient in float32


@dataclass(frozen=True)
class Target:
    """A number that the model puts out for each picture.

    Attributes:
        output: the index of the model's output.
        unit: the class, or TOP; one sigmoid tells two classes, 0 and 1.
        function: a function of the output, instead of a class.
        takes_all: whether the function is given the list of all outputs.
    """

    output: int = 0
    unit: int = TOP
    function: Callable[[Any], Any] | None = None
    takes_all: bool = False

    @property
    def structure(self) -> Hashable:
        """What a graph is traced for; the unit is a tensor in it."""
        return self.output, self.takes_all, None if self.function is None else id(self.function)


class Reading(NamedTuple):
    """What was read for each picture of a batch, each [N].

    Attributes:
        value: the number itself, float32.
        unit: which class it stands for.
        probability: of that class, where a softmax or sigmoid follows; else NaN.
    """

    value: Any
    unit: Any
    probability: Any


def named(net: Network, target: object, output: int | str | None) -> Target:
    """The target that the user means: a class index or name, a function of the model's output, or `None` for the top.

    Raises:
        BadTarget: for a class or an output that does not exist.
    """
    index = find(output, net.outputs)
    if callable(target):
        return Target(index, TOP, target, takes_all=output is None and len(net.outputs) > 1)
    return Target(index, TOP if target is None else net.class_index(target, index))


def describe(net: Network, target: Target, unit: int) -> str:
    """The target in words, for notes and messages."""
    if target.function is not None:
        return "your target"
    info = net.outputs[target.output]
    return repr(net.class_name(unit)) if info.classes != 1 else f"the value of {info.name!r}"


def read(net: Network, target: Target, outputs: Sequence[Any], recording: Recording, unit: Any) -> Reading:
    """The target of each picture, inside a graph.

    Args:
        net: the network.
        target: what is read.
        outputs: what `net.call` gave, under a recording of activations.
        recording: that recording.
        unit: int32 [], the class, or TOP.
    """
    if target.function is not None:
        value = _of_function(target.function, list(outputs) if target.takes_all else outputs[target.output])
        return Reading(value, tf.fill(tf.shape(value), TOP), tf.fill(tf.shape(value), float("nan")))
    logits, squashed_by = behind(outputs[target.output], recording)
    logits = _for_each_class(tf.cast(logits, tf.float32), net.outputs[target.output].is_decision)  # [N, K]
    top = tf.argmax(logits, -1, tf.int32)  # [N]
    units = tf.where(unit < 0, top, unit)
    value = tf.gather(logits, units, batch_dims=1)
    if squashed_by == "sigmoid":
        probability = tf.sigmoid(value)
    elif squashed_by:
        probability = tf.gather(tf.nn.softmax(logits), units, batch_dims=1)
    else:
        probability = tf.fill(tf.shape(value), float("nan"))
    return Reading(value, units, probability)


def _for_each_class(logits: Any, is_decision: bool) -> Any:  # [N, ..., K] -> [N, K]
    """The mean over positions; one sigmoid speaks for its class 1 and against its class 0."""
    logits = tf.reduce_mean(logits, list(range(1, logits.shape.rank - 1)))
    return tf.concat([-logits, logits], -1) if is_decision else logits


def _of_function(function: Callable[[Any], Any], given: Any) -> Any:
    value = function(given)
    try:
        value = tf.cast(tf.convert_to_tensor(value), tf.float32)
    except (TypeError, ValueError) as error:
        raise BadTarget(f"The target function returned {quoted(value)}, which is no number. {RETURN_ONE}") from error
    if value.shape.rank in (None, 0) or any(n != 1 for n in value.shape[1:]):
        raise BadTarget(f"The target function returned the shape {quoted(tuple(value.shape))}. {RETURN_ONE}")
    return tf.reshape(value, [-1])


RETURN_ONE = "Return one number for each picture of the batch, such as lambda output: output[:, 7]."


def settled(target: Target, reading: Reading) -> Target:
    """The target with its class fixed as it was read: what is the top class of one picture stays so for its copies."""
    return replace(target, unit=int(np.asarray(reading.unit)[0]))


def certainty(reading: Reading) -> tuple[str, ...]:
    """A note where the softmax or sigmoid is saturated."""
    if not np.asarray(reading.probability)[0] >= SURE:
        return ()
    return ("saturated: the probability is 1 to six digits and hardly moves, so its logit is explained",)
