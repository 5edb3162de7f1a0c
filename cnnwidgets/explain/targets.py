"""Targets of heatmaps: a class by its logit or log-odds, a plain number, or a function of the output."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.recorded_targets import unpack_mask
from cnnwidgets.explain.regions import Region, check_dense, region
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.placement import Placement
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find

__all__ = ["Reading", "Region", "Target", "named", "notes", "region", "settled", "unpack_mask"]

TOP = -1  # a unit that stands for the top class
OF = ("logit", "log_odds")  # what of a class is explained
SURE = 1 - 1e-6  # from here on softmax and sigmoid pass hardly any gradient in float32
NOWHERE = 0.5  # weight of each position where the class is the prediction at none of them
EVERYWHERE = np.zeros((1, 1), np.float32)  # stands for the pixels whose prediction the class is


class Chosen(NamedTuple):
    """The parts of a target that a graph takes as tensors.

    Attributes:
        classes: int32 [1 + k]: the class, or TOP, and the k classes that it is compared with.
        where: float32 [h, w], how much each position of a dense output counts; zeros for those whose prediction the
            class is.
    """

    classes: Any
    where: Any


CHOSEN = Chosen(tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, None], tf.float32))  # for tracing


@dataclass(frozen=True)
class Target:
    """A number that the model computes for each picture.

    Attributes:
        output: the index of the model's output.
        unit: the class, or TOP; one sigmoid has two classes, 0 and 1.
        function: a function of the output, instead of a class.
        takes_all: whether the function gets all outputs, in the model's structure.
        of: the number of the class: "logit", or "log_odds", its logit less the log-sum-exp of the other logits.
        against: classes whose mean is subtracted.
        where: [h, w], for a dense output: how much each position counts; zeros for those whose prediction the class is.
        region: the part of the picture that the user gave; `where` follows from it and from the picture's size.
    """

    output: int = 0
    unit: int = TOP
    function: Callable[[Any], Any] | None = None
    takes_all: bool = False
    of: str = "logit"
    against: tuple[int, ...] = ()
    where: Array = field(default_factory=lambda: EVERYWHERE, compare=False, repr=False)
    region: Region | None = field(default=None, compare=False)

    @property
    def structure(self) -> Target:
        """What a graph is traced for; classes and positions are tensors in it."""
        return replace(self, unit=TOP, against=self.against and (TOP,), where=EVERYWHERE, region=None)

    @property
    def chosen(self) -> Chosen:
        """What a graph takes of it."""
        return Chosen(tf.constant(np.array([self.unit, *self.against], np.int32)), tf.constant(self.where))

    def placed(self, placement: Placement) -> Target:
        """The same target if a region is explained, for an output whose positions lie on the picture like this.

        Raises:
            BadTarget: for a region that does not fit the picture, or that no position of the output sees.
        """
        assert self.region is not None
        inside = self.region.on(placement.size)
        where = inside if placement.is_even else placement.gather(inside)
        if not where.any():
            (top, bottom), (left, right) = (
                (round(np.nanmin(one)), round(np.nanmax(one))) for one in (placement.rows, placement.columns)
            )
            raise BadTarget(
                f"The output has no position inside {self.region!r}: its positions lie in rows {top} to {bottom} and "
                f"columns {left} to {right} of the picture. Give a region that reaches into them."
            )
        return replace(self, where=where)


class Reading(NamedTuple):
    """The target's values for a batch, each [N].

    Attributes:
        value: the number, float32.
        unit: its class.
        probability: of that class, if a softmax or sigmoid follows; else NaN.
        where: [N, h, w], how much each position of a dense output counts; [N, 1, 1] for other outputs.
    """

    value: Any
    unit: Any
    probability: Any
    where: Any


def named(
    net: Network, target: object, output: int | str | None, of: object = "logit", against: object = None
) -> Target:
    """The target that the user means: a class index or name, a Region, a function of the output, or `None` for the top.

    Raises:
        BadTarget: for a class or an output that does not exist, an `of` other than "logit" and "log_odds", an `against`
            that holds the target itself, and for either of them with a function.
    """
    index = find(output, net.outputs)
    if not isinstance(of, str) or of not in OF:
        raise BadTarget(f'of must be "logit" or "log_odds", got {quoted(of)}.')
    part = target if isinstance(target, Region) else None
    if part is not None:
        check_dense(net.outputs[index])
        target = part.target
    if not callable(target):
        unit = TOP if target is None else net.class_index(target, index)
        against = _rivals(net, against, index)
        return _not_against_itself(Target(index, unit, None, False, of, against, region=part))
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
            f"against contains the target itself, class {target.unit}. Give other classes, or name another target."
        )
    return target


def other(net: Network, target: Target) -> str:
    """The other choice of `of`; "" for a function, and if the log-odds equal the logit."""
    info = net.outputs[target.output]
    is_same = info.squashed_by == "sigmoid" or info.is_decision or info.classes == 1
    return "" if is_same or target.function is not None else next(one for one in OF if one != target.of)


def describe(net: Network, target: Target, unit: int) -> str:
    """The target in words, for notes and messages."""
    if target.function is not None:
        return "your target"
    info = net.outputs[target.output]
    name = net.class_name(unit, target.output)
    name = repr(name) if info.is_class_scores else f"the {name}"
    name = name if target.region is None else f"{name} in the region"
    rivals = ", ".join(repr(net.class_name(one)) for one in target.against[:3])
    return f"{name} rather than {rivals}" if rivals else name


def has_runner_up(net: Network, target: Target) -> bool:
    """Whether a target is a single class, compared with none, among more than two."""
    info = net.outputs[target.output]
    return target.function is None and not target.against and info.is_class_scores and info.classes > 2


def settled(target: Target, reading: Reading) -> Target:
    """The target with its class and positions fixed as they were read: copies of a picture are read for the same.

    Raises:
        BadTarget: if that class is among those it is compared with.
    """
    unit, where = int(np.asarray(reading.unit)[0]), np.asarray(reading.where)[0]
    return _not_against_itself(replace(target, unit=unit, where=where if where.size > 1 else EVERYWHERE))


def of_class(target: Target, unit: int) -> Target:
    """The same number of another class."""
    return replace(target, unit=unit)


def notes(net: Network, target: Target, reading: Reading) -> tuple[str, ...]:
    """Remarks about a number: that it is random, or that its softmax or sigmoid is saturated."""
    random = net.random_note() if target.takes_all else net.random_note(output=target.output)
    return (*filter(None, [random]), *_absence(net, target, reading), *_certainty(reading, target))


def _absence(net: Network, target: Target, reading: Reading) -> tuple[str, ...]:
    """A note where a class of a dense output is predicted at no position."""
    where = np.asarray(reading.where)[0]
    if target.region is not None or where.size == 1 or not (where == NOWHERE).all():
        return ()
    about = describe(net, target, int(np.asarray(reading.unit)[0]))
    return (f"not predicted: {about} is the prediction of no pixel, so its mean over all pixels is explained",)


def _certainty(reading: Reading, target: Target) -> tuple[str, ...]:
    """A note if the softmax or sigmoid is saturated."""
    if not np.asarray(reading.probability)[0] >= SURE:
        return ()
    explained = target.of.replace("_", "-")
    return (f"saturated: the probability is 1 to six digits and hardly moves, so its {explained} is explained",)
