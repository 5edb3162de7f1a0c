"""Dead units: retried with more steps and a second seed, and labeled with the reason if they never fire.

A picture that is not gray proves nothing: the activity of the real network on the finished 8-bit picture counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cnnwidgets.frame import Array, Frame
from cnnwidgets.visualize import objectives, parametrizations
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.batches import UnitPictures, UnitsFrame
from cnnwidgets.visualize.dead_units.unit_activity import Activity, Measure, constant_notes, measuring, weights_of
from cnnwidgets.visualize.presets import BEFORE_ACTIVATION, named
from cnnwidgets.visualize.terms.objective_values import both

if TYPE_CHECKING:
    from cnnwidgets.visualize.units import UnitsPlan

STEPS, CHECK_EVERY, SEEDS = 96, 32, 2
BATCH = 4  # dead units are few: a batch of their own, fixed like any other
CONTRAST = 0.3  # of the second seed's noise; the usual one hardly leaves gray
MOST_SPEEDUP = 2.0  # a unit is given up that would not fire even if it rose this many times faster from now on
FLAT = 0.01  # of what the layer's units usually have: a unit that moves less is not retried any further


@dataclass(frozen=True)
class Retried:
    """The outcome for a dead unit: a picture that makes it fire, or a note on why there is none."""

    picture: Array | None = None
    activity: Activity | None = None
    note: str = ""


class LabeledUnits:
    """What follows the steps of a run: retries of its dead units, then its last frame with new values and the notes."""

    def __init__(self, plan: UnitsPlan, frame: UnitsFrame) -> None:
        self._plan, self._pictures, self._measure = plan, frame.pictures.copy(), _measuring(plan)
        self._activities = self._measure(self._pictures, plan.units)
        pairs = zip(plan.units, self._activities, strict=True)
        dead = list(dict.fromkeys(unit for unit, activity in pairs if not activity.highest > 0))
        self._decided = _decided(dead, plan, self._activities) if dead else {}
        left = [unit for unit in dead if unit not in self._decided]
        self.retries = Retries(left, self._optimized, self._measure)

    def _optimized(self, units: Sequence[int], extra_seed: int) -> Iterator[Frame]:
        plan = self._plan
        objective, ascent = objectives.unit(plan.layer.path, units, call=plan.call), named("fourier")
        if extra_seed:  # one position, no transforms: an edge has no mean, and a dense unit depends on each pixel's row
            # With more contrast: around gray all units of an earlier layer may be off, and then there is no gradient.
            ascent = replace(ascent, parametrization=parametrizations.Fourier(spread=CONTRAST), transforms=())
            if plan.layer.is_spatial:
                objective = objectives.neuron(plan.layer.path, units, call=plan.call)
        batch = 0 if plan.net.takes_batches else 1
        return maximize(plan.net, objective, plan.canvas, STEPS, ascent, plan.settings.seed + extra_seed, batch=batch)

    def last_frame(self, step: int) -> UnitsFrame:
        """The frame that ends a run of so many steps."""
        plan, pictures, activities = self._plan, self._pictures, self._activities
        notes = constant_notes(activities, lambda change: self._measure(change(pictures), plan.units))
        outcomes = self._decided | self.retries.outcomes
        for i, unit in enumerate(plan.units):
            if unit not in outcomes:
                continue
            found = outcomes[unit]
            notes[i] = found.note
            if found.picture is not None and found.activity is not None and BEFORE_ACTIVATION[plan.settings.recipe]:
                pictures[i], activities[i] = found.picture, found.activity
            elif found.picture is not None:
                notes[i] = (
                    f"no gradient from this starting noise with recipe={plan.settings.recipe!r}; "
                    "recipe='fourier' does activate the unit"
                )
        noted = tuple([both(note, plan.random_note) for note in notes])
        return UnitsFrame(pictures, step, step, _values(plan, activities), noted, plan.units, is_step=False)


def _decided(dead: Sequence[int], plan: UnitsPlan, activities: Sequence[Activity]) -> dict[int, Retried]:
    """The outcome of those dead units of which the weights alone say that no picture makes them fire."""
    weights = weights_of(plan.net, plan.layer, plan.call, plan.canvas)
    if weights is None:
        return {}
    own, decided = dict(zip(plan.units, activities, strict=True)), {}
    for unit in dead:
        found = own[unit]
        never, may_move = weights.after.high[unit] <= 0, weights.before.high[unit] - weights.before.low[unit]
        if weights.shares[unit] < FLAT and BEFORE_ACTIVATION[plan.settings.recipe]:  # else its steps had no gradient
            decided[unit] = Retried(note=_does_not_move(found, float(weights.biases[unit])))
        elif never and may_move < FLAT * found.usual:
            decided[unit] = Retried(note=_does_not_move(found, found.highest_before))
        elif never:
            decided[unit] = Retried(note=_never_fires(found, found.highest_before))
    return decided


def measured_once(plan: UnitsPlan, frame: UnitsFrame) -> UnitPictures:
    """The last frame of a run with measured values and a note on each unit that is inactive; none is retried."""
    activities = _measuring(plan)(frame.pictures, plan.units)
    inactive = f"inactive: no positive activation after {frame.steps} steps from this noise"
    is_off = [not (a.highest > 0 or a.is_linear) for a in activities]
    random = plan.random_note
    notes = tuple([both(inactive if off else "", random) for off in is_off])
    return UnitPictures(frame.pictures, plan.units, _values(plan, activities), notes)


def _measuring(plan: UnitsPlan) -> Measure:
    return measuring(plan.net, plan.layer, plan.batch, plan.call, plan.canvas)


def _values(plan: UnitsPlan, activities: Sequence[Activity]) -> Array:  # [n] float32
    """What was maximized, as measured on the finished pictures."""
    before = BEFORE_ACTIVATION[plan.settings.recipe]
    return np.array([a.maximized if before else a.mean for a in activities], np.float32)


class Retries:
    """Dead units, optimized for more steps, before their activation and from two seeds, until they fire or cannot.

    Each check gives up, for that seed, a unit that is too far from firing for the steps that remain; by its own levels
    alone, so that its outcome does not depend on the others.

    Args:
        units: the dead units.
        optimized: runs STEPS steps for exactly BATCH units from seed + (0 or 1).
        measure: the activity of units on pictures.

    Attributes:
        checks: the steps of an attempt after which `is_over` is to be asked.
        most_steps: of all attempts together.
        phase: what is done, in words.
        outcomes: for each unit; all of them once the attempts are over.
    """

    checks = frozenset({1, *range(CHECK_EVERY, STEPS + 1, CHECK_EVERY)})

    def __init__(
        self, units: Sequence[int], optimized: Callable[[Sequence[int], int], Iterator[Frame]], measure: Measure
    ) -> None:
        self._units, self._optimized, self._measure = units, optimized, measure
        self.most_steps = SEEDS * STEPS * -(-len(units) // BATCH)
        self.phase = f"retrying {len(units)} inactive {'unit' if len(units) == 1 else 'units'}"
        self.outcomes: dict[int, Retried] = {}
        self._tried: dict[int, list[Activity]] = {unit: [] for unit in units}
        self._progress: dict[int, Progress] = {}  # of the units of the attempt that runs now

    def attempts(self) -> Iterator[Iterator[Frame]]:
        """The steps of one attempt after the other; each may be left as soon as it `is_over`."""
        for extra_seed in range(SEEDS):
            left = [unit for unit in self._units if unit not in self.outcomes]
            for start in range(0, len(left), BATCH):
                part = left[start : start + BATCH]
                self._progress = {unit: Progress() for unit in part}
                yield self._optimized(part + part[-1:] * (BATCH - len(part)), extra_seed)
        for unit in self._units:
            if unit not in self.outcomes:
                best = max(self._tried[unit], key=lambda a: a.highest_before)
                self.outcomes[unit] = Retried(note=_never_fires(best, best.highest_before))

    def is_over(self, frame: Frame) -> bool:
        """Measure the pictures of an attempt: whether each unit fires now, never will, or is too far from firing."""
        units, pictures = list(self._progress), frame.pictures
        for row, (unit, found) in enumerate(zip(units, self._measure(pictures[: len(units)], units), strict=True)):
            if unit in self.outcomes or self._progress[unit].is_given_up:
                continue
            self._progress[unit].note(frame.step, found.highest_before, frame.steps)
            self._tried[unit].append(found)
            levels = [a.highest_before for a in self._tried[unit]]
            if found.highest > 0:
                self.outcomes[unit] = Retried(pictures[row], found)
            elif len(levels) > 1 and max(levels) - min(levels) < FLAT * found.usual:
                self.outcomes[unit] = Retried(note=_does_not_move(self._tried[unit][0], levels[0]))
        return all(unit in self.outcomes or one.is_given_up for unit, one in self._progress.items())


def _never_fires(best: Activity, level: float) -> str:
    """The note on a unit that no picture brings above zero."""
    if best.is_linear:
        return f"negative: at best {level:.2g}; the layer has no activation, so the unit is not off"
    return f"never fires: at best {level:.2g} before its activation"


def _does_not_move(found: Activity, bias: float) -> str:
    """The note on a unit that has nearly the same value whatever the picture."""
    if found.is_linear:
        return f"constant: always {found.highest_before:.2g}, weights ~0"
    return f"never fires: weights ~0, bias {bias:.2g}"


class Progress:
    """The progress of a unit from one starting noise, before its activation."""

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None
        self.is_given_up = False

    def note(self, step: int, level: float, steps: int) -> None:
        """Note the level at a step of so many, and whether the unit may still fire."""
        if self._first is None:
            self._first = step, level
            return
        speed = (level - self._first[1]) / (step - self._first[0])
        self.is_given_up = level + MOST_SPEEDUP * max(speed, 0.0) * (steps - step) <= 0
