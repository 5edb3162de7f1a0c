"""Dead units: retried with more steps and a second seed, and labeled with the reason if they never fire.

A picture that is not gray proves nothing: the activity of the real network on the finished 8-bit picture counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cnnwidgets.frame import Array, Frame
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.batches import UnitPictures, UnitsFrame
from cnnwidgets.visualize.presets import BEFORE_ACTIVATION, named
from cnnwidgets.visualize.terms.objective_values import both
from cnnwidgets.visualize.unit_activity import Activity, Measure, constant_notes, measuring

if TYPE_CHECKING:
    from cnnwidgets.visualize.units import UnitsPlan

STEPS, CHECK_EVERY, SEEDS = 96, 32, 2
BATCH = 4  # dead units are few: a batch of their own, fixed like any other
MOST_SPEEDUP = 2.0  # a unit is given up that would not fire even if it rose this many times faster from now on
FLAT = 0.01  # of what the layer's units usually have: a unit that moves less is not retried any further


@dataclass(frozen=True)
class Retried:
    """The outcome for a dead unit: a picture that makes it fire, or a note on why there is none."""

    picture: Array | None = None
    activity: Activity | None = None
    note: str = ""


def with_dead_units_retried(plan: UnitsPlan, frames: Iterator[UnitsFrame]) -> Iterator[UnitsFrame]:
    """A run, then retries of its dead units; the last frame has re-measured values and the notes.

    Args:
        plan: the request.
        frames: the run of all units.

    Yields:
        UnitsFrame: those of the run but the last, one for each step of a retry, and the last one of all.
    """
    for frame in frames:
        if frame.step < frame.steps:
            yield frame

    measure = _measuring(plan)

    def optimized(units: Sequence[int], extra_seed: int) -> Iterator[Frame]:
        objective, ascent = objectives.unit(plan.layer.path, units, call=plan.call), named("fourier")
        if extra_seed:  # one position, no transforms: an edge has no mean, and a dense unit depends on each pixel's row
            ascent = replace(ascent, transforms=())
            if plan.layer.is_spatial:
                objective = objectives.neuron(plan.layer.path, units, call=plan.call)
        return maximize(plan.net, objective, plan.canvas, STEPS, ascent, plan.settings.seed + extra_seed)

    pictures, notes = frame.pictures.copy(), [""] * len(plan.units)
    activities = measure(pictures, plan.units)
    dead = list(dict.fromkeys(unit for unit, a in zip(plan.units, activities, strict=True) if not a.highest > 0))
    outcomes: dict[int, Retried] = {}
    total = frame.steps
    if dead:
        total += SEEDS * STEPS * -(-len(dead) // BATCH) + 1
        phase = f"retrying {len(dead)} inactive {'unit' if len(dead) == 1 else 'units'}"
        for step, so_far in enumerate(retry(dead, optimized, measure), frame.step):
            outcomes = so_far
            yield UnitsFrame(
                pictures, min(step, total - 1), total, frame.values, units=plan.units, phase=phase, is_step=False
            )
    constant = constant_notes(activities, lambda change: measure(change(pictures), plan.units))
    for i, unit in enumerate(plan.units):
        found = outcomes.get(unit, Retried())
        notes[i] = found.note or ("" if unit in outcomes else constant[i])
        if found.picture is not None and found.activity is not None and BEFORE_ACTIVATION[plan.settings.recipe]:
            pictures[i], activities[i] = found.picture, found.activity
        elif found.picture is not None:
            notes[i] = (
                f"no gradient from this starting noise with recipe={plan.settings.recipe!r}; "
                "recipe='fourier' does activate the unit"
            )
    random = plan.random_note
    noted = tuple([both(note, random) for note in notes])
    yield UnitsFrame(pictures, total, total, _values(plan, activities), noted, plan.units, is_step=False)


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
    return np.array([a.mean_before if before else a.mean for a in activities], np.float32)


def retry(
    units: Sequence[int], optimized: Callable[[Sequence[int], int], Iterator[Frame]], measure: Measure
) -> Iterator[dict[int, Retried]]:
    """Optimize dead units for more steps, before their activation and from two seeds, until they fire or cannot.

    Each check gives up, for that seed, a unit that is too far from firing for the steps that remain; by its own levels
    alone, so that its outcome does not depend on the others.

    Args:
        units: the dead units.
        optimized: runs STEPS steps for exactly BATCH units from seed + (0 or 1).
        measure: the activity of units on pictures.

    Yields:
        The outcomes so far, after each step of each batch; at the end one for each unit.
    """
    outcomes: dict[int, Retried] = {}
    tried: dict[int, list[Activity]] = {unit: [] for unit in units}
    for extra_seed in range(SEEDS):
        left = [unit for unit in units if unit not in outcomes]
        for start in range(0, len(left), BATCH):
            part = left[start : start + BATCH]
            progress = {unit: Progress() for unit in part}
            for frame in optimized(part + part[-1:] * (BATCH - len(part)), extra_seed):
                if frame.step == 1 or frame.step % CHECK_EVERY == 0:
                    _check(part, frame, measure, tried, outcomes, progress)
                yield outcomes
                if all(unit in outcomes or progress[unit].is_given_up for unit in part):
                    break
    for unit in units:
        if unit not in outcomes:
            best = max(tried[unit], key=lambda a: a.highest_before)
            outcomes[unit] = Retried(note=_never_fires(best, best.highest_before))
    yield outcomes


def _never_fires(best: Activity, level: float) -> str:
    """The note on a unit that no picture brings above zero."""
    if best.is_linear:
        return f"negative: at best {level:.2g}; the layer has no activation, so the unit is not off"
    return f"never fires: at best {level:.2g} before its activation"


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


def _check(
    units: Sequence[int],
    frame: Frame,
    measure: Measure,
    tried: dict[int, list[Activity]],
    outcomes: dict[int, Retried],
    progress: Mapping[int, Progress],
) -> None:
    """Measure the pictures of units: which fire now, and which do not move at all whatever the picture."""
    pictures = frame.pictures
    for row, (unit, found) in enumerate(zip(units, measure(pictures[: len(units)], units), strict=True)):
        if unit in outcomes or progress[unit].is_given_up:
            continue
        progress[unit].note(frame.step, found.highest_before, frame.steps)
        tried[unit].append(found)
        levels = [a.highest_before for a in tried[unit]]
        if found.highest > 0:
            outcomes[unit] = Retried(pictures[row], found)
        elif len(levels) > 1 and max(levels) - min(levels) < FLAT * found.usual:
            flat = f"never fires: weights ~0, bias {levels[0]:.2g}"
            outcomes[unit] = Retried(note=f"constant: always {levels[0]:.2g}, weights ~0" if found.is_linear else flat)
