"""Which number a heatmap explains: a class by its logit or log-odds, a plain number, or a function of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import target_function
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs import behind, find
from cnnwidgets.model.recording import Recording

TOP = -1  # a unit that stands for the top class
OF = ("logit", "log_odds")  # what of a class is explained
SURE = 1 - 1e-6  # from here on softmax and sigmoid pass hardly any gradient in float32
TINY = 1e-30  # of a probability whose logarithm is taken


@dataclass(frozen=True)
class Target:
    """A number that the model puts out for each picture.

    Attributes:
        output: the index of the model's output.
        unit: the class, or TOP; one sigmoid tells two classes, 0 and 1.
        function: a function of the output, instead of a class.
        takes_all: whether the function is given all outputs, in the model's own structure.
        of: what of the class: "logit", or "log_odds", its logit less the log-sum-exp of the other logits.
        against: classes whose mean is subtracted.
    """

    output: int = 0
    unit: int = TOP
    function: Callable[[Any], Any] | None = None
    takes_all: bool = False
    of: str = "logit"
    against: tuple[int, ...] = ()

    @property
    def structure(self) -> Target:
        """What a graph is traced for; the classes are a tensor in it."""
        return replace(self, unit=TOP, against=self.against and (TOP,))

    @property
    def classes(self) -> Array:
        """int32 [1 + classes it is compared with]: what `read` takes."""
        return np.array([self.unit, *self.against], np.int32)


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


def named(
    net: Network, target: object, output: int | str | None, of: object = "logit", against: object = None
) -> Target:
    """The target that the user means: a class index or name, a function of the model's output, or `None` for the top.

    Raises:
        BadTarget: for a class or an output that does not exist, an `of` other than "logit" and "log_odds", an `against`
            that holds the target itself, and for either of them with a function.
    """
    index = find(output, net.outputs)
    if not isinstance(of, str) or of not in OF:
        raise BadTarget(f'of must be "logit" or "log_odds", got {quoted(of)}.')
    if not callable(target):
        unit = TOP if target is None else net.class_index(target, index)
        return _not_against_itself(Target(index, unit, None, False, of, _rivals(net, against, index)))
    if of != OF[0] or against is not None:
        name = "against" if against is not None else "of"
        raise BadTarget(
            f"{name}={quoted(of if name == 'of' else against)} is for a class, but the target is a function. "
            f"Leave {name} out and let the function return the number that you mean."
        )
    return Target(index, TOP, target, takes_all=output is None and not net.returns_one_tensor)


def _rivals(net: Network, against: object, output: int) -> tuple[int, ...]:
    """The classes that a target is compared with."""
    if against is None:
        return ()
    several = isinstance(against, (list, tuple, range)) or (isinstance(against, np.ndarray) and against.ndim > 0)
    classes: Iterable[object] = against if several else [against]  # type: ignore[assignment]
    every = tuple(dict.fromkeys(net.class_index(one, output) for one in classes))
    if not every:
        raise BadTarget("against must name at least one class, got none. Leave it out to explain the target alone.")
    return every


def _not_against_itself(target: Target) -> Target:
    if target.unit in target.against:
        raise BadTarget(
            f"against holds the target itself, class {target.unit}. Give other classes, or name another target."
        )
    return target


def other(net: Network, target: Target) -> str:
    """What else of a class could be explained; "" for a function, and where the log-odds are the logit itself."""
    info = net.outputs[target.output]
    is_same = info.squashed_by == "sigmoid" or info.classes == 1
    return "" if is_same or target.function is not None else next(one for one in OF if one != target.of)


def describe(net: Network, target: Target, unit: int) -> str:
    """The target in words, for notes and messages."""
    if target.function is not None:
        return "your target"
    info = net.outputs[target.output]
    name = net.class_name(unit, target.output)
    name = repr(name) if info.is_class_scores else f"the {name}"
    rivals = ", ".join(repr(net.class_name(one)) for one in target.against[:3])
    return f"{name} rather than {rivals}" if rivals else name


def read(net: Network, target: Target, outputs: Sequence[Any], recording: Recording, classes: Any) -> Reading:
    """The target of each picture, inside a graph.

    Args:
        net: the network.
        target: what is read.
        outputs: what `net.call` gave, under a recording of activations.
        recording: that recording.
        classes: int32 [1 + k]: the class, or TOP, and the k classes that it is compared with.
    """
    if target.function is not None:
        one = [outputs[target.output]]
        given, nested = (list(outputs), net.as_returned) if target.takes_all else (one, lambda flat: flat[0])
        value = target_function.values(target.function, given, nested)
        return Reading(value, tf.fill(tf.shape(value), TOP), tf.fill(tf.shape(value), float("nan")))
    logits, squashed_by = behind(outputs[target.output], recording)
    logits = _for_each_class(tf.cast(logits, tf.float32), net.outputs[target.output].is_decision)  # [N, K]
    top = tf.argmax(logits, -1, tf.int32)  # [N]
    units = tf.where(classes[0] < 0, top, classes[0])
    value = tf.gather(logits, units, batch_dims=1)
    if squashed_by == "sigmoid":
        probability = tf.sigmoid(value)
    elif squashed_by:
        probability = tf.gather(tf.nn.softmax(logits), units, batch_dims=1)
    else:
        probability = tf.fill(tf.shape(value), float("nan"))
    if target.of == "log_odds" and squashed_by != "sigmoid" and logits.shape[-1] != 1:
        value = _log_odds(logits, units[:, None], squashed_by)[:, 0]
    if target.against:
        rivals = tf.repeat(classes[None, 1:], tf.shape(logits)[0], 0)  # [N, k]
        value -= tf.reduce_mean(tf.gather(logits, rivals, batch_dims=1), -1)
    return Reading(value, units, probability)


def _log_odds(logits: Any, units: Any, squashed_by: str) -> Any:  # [N, K], [N, M] -> [N, M]
    """log(p / (1 - p)) of classes behind a softmax, without the rounding of p near 1."""
    if not squashed_by:  # a mean of softmaxes, for example: probabilities whose logits are not in the graph
        is_distribution = (tf.abs(tf.reduce_sum(logits, -1) - 1) < 1e-3) & tf.reduce_all(logits >= 0, -1)
        logits = tf.where(is_distribution[:, None], tf.math.log(tf.clip_by_value(logits, TINY, 1 / TINY)), logits)
    is_unit = tf.one_hot(units, tf.shape(logits)[-1], True, False)  # [N, M, K]
    others = tf.where(is_unit, tf.constant(-np.inf, logits.dtype), logits[:, None])
    return tf.gather(logits, units, batch_dims=1) - tf.reduce_logsumexp(others, -1)


def _for_each_class(logits: Any, is_decision: bool) -> Any:  # [N, ..., K] -> [N, K]
    """The mean over positions; one sigmoid speaks for its class 1 and against its class 0."""
    logits = tf.reduce_mean(logits, list(range(1, logits.shape.rank - 1)))
    return tf.concat([-logits, logits], -1) if is_decision else logits


def settled(target: Target, reading: Reading) -> Target:
    """The target with its class fixed as it was read: what is the top class of one picture stays so for its copies.

    Raises:
        BadTarget: where that class is among those it is compared with.
    """
    return _not_against_itself(replace(target, unit=int(np.asarray(reading.unit)[0])))


def notes(net: Network, target: Target, reading: Reading) -> tuple[str, ...]:
    """What is to be known about a number: that it is random, or that its softmax or sigmoid is saturated."""
    random = net.random_note() if target.takes_all else net.random_note(output=target.output)
    return (*filter(None, [random]), *_certainty(reading, target))


def _certainty(reading: Reading, target: Target) -> tuple[str, ...]:
    """A note where the softmax or sigmoid is saturated."""
    if not np.asarray(reading.probability)[0] >= SURE:
        return ()
    explained = target.of.replace("_", "-")
    return (f"saturated: the probability is 1 to six digits and hardly moves, so its {explained} is explained",)
