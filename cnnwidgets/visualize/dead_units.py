"""Units that stay inactive: measured, retried, and labeled with the reason if they never fire.

A picture that is not gray is no proof: only the real network's answer to the delivered 8-bit picture counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.backend import tf
from cnnwidgets.model.canvas import Canvas
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import compiled

STEPS, CHECK_EVERY, SEEDS = 96, 32, 2
BATCH = 4  # silent units are few: a batch of their own, fixed like any other
ROUNDING = 1e-6  # of a value: smaller differences are none
HOPE = 2.0  # a unit is given up that would not fire even if it rose this many times faster from now on
FLAT = 0.01  # of what the layer's units usually show: a unit that moves less is not worth climbing on


@dataclass(frozen=True)
class Answer:
    """What a unit answers to a picture.

    Attributes:
        mean: over the map, after the activation.
        mean_before: over the map, before the activation.
        highest: over the map, after the activation; a unit that is silent has none above 0.
        highest_before: over the map, before the activation.
        usual: the mean size of what the layer's units show before the activation.
        lowest: over the map, after the activation.
        is_linear: whether the layer has no activation, so that a value below zero does not mean that the unit is off.
    """

    mean: float
    mean_before: float
    highest: float
    highest_before: float
    usual: float
    lowest: float = float("nan")
    is_linear: bool = False

    @property
    def is_flat(self) -> bool:
        """Whether it is the same at every position."""
        return self.highest - self.lowest <= ROUNDING * abs(self.highest)


@dataclass(frozen=True)
class Rescued:
    """What became of a silent unit: a picture that makes it fire, or a note that says why there is none."""

    picture: Array | None = None
    answer: Answer | None = None
    note: str = ""


def measure(
    net: Network, layer: LayerInfo, pictures: Array, units: Sequence[int], batch: int, call: int, canvas: Canvas
) -> list[Answer]:
    """Run the real network on the pictures as they would be saved, in 8 bits.

    Args:
        net: the network.
        layer: the units' layer.
        pictures: [n, H, W, C] float32, 0..1, one for each unit.
        units: their indices.
        batch: how many pictures share one device call.
        call: which call of a shared layer.
        canvas: the input that the pictures go to, and what the others get.
    """
    still = canvas.structure
    forward = net.traces.get(lambda: compiled(lambda p, held: _answers(net, layer, call, still.feed(net, p, held))))
    eight_bit = np.round(pictures * 255).astype(np.float32) / np.float32(255)
    found = []
    for start in range(0, len(units), batch):
        part = eight_bit[start : start + batch]
        padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
        table = forward(tf.constant(padded), dict(canvas.held)).numpy()  # [7, batch, units]
        for row, unit in enumerate(units[start : start + batch]):
            mean, before, highest, highest_before, usual, lowest, is_linear = map(float, table[:, row, unit])
            found.append(Answer(mean, before, highest, highest_before, usual, lowest, bool(is_linear)))
    return found


def constants(answers: Sequence[Answer], measured: Callable[[Any], list[Answer]]) -> list[str]:
    """A note for each unit that shows the same number for its own picture, the negative of it, and black.

    Args:
        answers: of the units to their own pictures.
        measured: gives the answers to the pictures that a function makes of their own.
    """
    if not any(a.is_flat for a in answers):
        return [""] * len(answers)
    others = zip(measured(lambda pictures: 1 - pictures), measured(np.zeros_like), strict=True)
    notes = []
    for own, rest in zip(answers, others, strict=True):
        levels = [level for one in (own, *rest) for level in (one.lowest, one.highest)]
        is_constant = max(levels) - min(levels) <= ROUNDING * abs(own.highest)
        notes.append(f"constant: always {own.highest:.2g}, whatever the picture" if is_constant else "")
    return notes


def _answers(net: Network, layer: LayerInfo, call: int, feed: Sequence[Any]) -> Any:  # -> [7, N, units]
    with net.record([layer.path], activations=True) as recording:
        net.call(feed)
    after, before = (recording.activation(layer.path, call, before) for before in (False, True))
    is_linear = float(not recording.activation_of(recording.calls[layer.path][call]))
    axes = list(range(1, after.shape.rank - 1))
    rows, lowest = [after, before, after, before], after
    if axes:
        rows = [tf.reduce_mean(after, axes), tf.reduce_mean(before, axes),
                tf.reduce_max(after, axes), tf.reduce_max(before, axes)]  # fmt: skip
        lowest = tf.reduce_min(after, axes)
    usual = tf.reduce_mean(tf.abs(rows[1]), -1, keepdims=True)
    zeros = tf.zeros_like(lowest)
    return tf.stack([*rows, usual + zeros, lowest, is_linear + zeros])


def rescue(
    units: Sequence[int],
    climb: Callable[[Sequence[int], int], Iterator[Frame]],
    answer: Callable[[Array, Sequence[int]], list[Answer]],
) -> Iterator[dict[int, Rescued]]:
    """Climb silent units longer, before their activation and from two seeds, until they fire or are hopeless.

    Each check gives up, for that seed, a unit that is too far from firing for the steps that remain; by its own levels
    alone, so that what becomes of it does not depend on the others.

    Args:
        units: the silent units.
        climb: runs STEPS steps for exactly BATCH units from seed + (0 or 1).
        answer: measures pictures of units.

    Yields:
        What is known so far, after each step of each batch; a note for each unit left at the end.
    """
    known: dict[int, Rescued] = {}
    tried: dict[int, list[Answer]] = {unit: [] for unit in units}
    for extra_seed in range(SEEDS):
        left = [unit for unit in units if unit not in known]
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            risen = {unit: Rise() for unit in part}
            for frame in climb(part + part[-1:] * (BATCH - len(part)), extra_seed):
                if frame.step == 1 or frame.step % CHECK_EVERY == 0:
                    _check(part, frame, answer, tried, known, risen)
                yield known
                if all(unit in known or risen[unit].is_hopeless for unit in part):
                    break
    for unit in units:
        if unit not in known:
            best = max(tried[unit], key=lambda a: a.highest_before)
            known[unit] = Rescued(note=_hopeless(best, best.highest_before))
    yield known


def _hopeless(best: Answer, level: float) -> str:
    """What to say of a unit that no picture brings above zero."""
    if best.is_linear:
        return f"negative: at best {level:.2g}; the layer has no activation, so the unit is not off"
    return f"never fires: at best {level:.2g} before its activation"


class Rise:
    """How a unit has risen from one starting noise, before its activation."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self.is_hopeless = False

    def note(self, step: int, level: float, steps: int) -> None:
        """Note the level at a step of so many, and whether the unit may still fire."""
        if self._first is None:
            self._first = step, level
            return
        speed = (level - self._first[1]) / (step - self._first[0])
        self.is_hopeless = level + HOPE * max(speed, 0.0) * (steps - step) <= 0


def _check(
    units: Sequence[int],
    frame: Frame,
    answer: Callable[[Array, Sequence[int]], list[Answer]],
    tried: dict[int, list[Answer]],
    known: dict[int, Rescued],
    risen: Mapping[int, Rise],
) -> None:
    """Measure the pictures of units: which fire now, and which do not move at all whatever the picture."""
    pictures = frame.pictures
    for row, (unit, found) in enumerate(zip(units, answer(pictures[: len(units)], units), strict=True)):
        if unit in known or risen[unit].is_hopeless:
            continue
        risen[unit].note(frame.step, found.highest_before, frame.steps)
        tried[unit].append(found)
        levels = [a.highest_before for a in tried[unit]]
        if found.highest > 0:
            known[unit] = Rescued(pictures[row], found)
        elif len(levels) > 1 and max(levels) - min(levels) < FLAT * found.usual:
            flat = f"never fires: weights ~0, bias {levels[0]:.2g}"
            known[unit] = Rescued(note=f"constant: always {levels[0]:.2g}, weights ~0" if found.is_linear else flat)
