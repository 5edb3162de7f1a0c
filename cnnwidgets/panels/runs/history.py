"""History of a run: objective per step, timing, snapshots; and how long runs take on this machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnnwidgets.panels.protocols import F

MOST_KEPT = 16  # snapshots of a run, for its scrubber and its GIF; each has to be rendered
KEPT_BYTES = 64_000_000
ASSUMED = 3e10  # floating point operations a second


class Stopwatch:
    """Counts seconds from `begin`, except those between `hold` and `go`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        self._counted, self._since = 0.0, self._clock()
        self._running = True

    def hold(self) -> None:
        """Count no further until `go`; harmless while it is held."""
        self._counted, self._running = self.seconds, False

    def go(self) -> None:
        """Count on; harmless while it counts."""
        self._counted, self._since, self._running = self.seconds, self._clock(), True

    @property
    def seconds(self) -> float:
        return self._counted + (self._clock() - self._since if self._running else 0.0)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A moment of a run.

    Attributes:
        pixels: uint8, as the panel keeps them.
        step: 1, 2, ...
        values: the objective before that step, one for each picture.
    """

    pixels: np.ndarray
    step: int
    values: np.ndarray


class Phase(NamedTuple):
    """A part of a run, and the step and the time at which it began."""

    name: str
    step: int
    seconds: float


class Record:
    """The objective at each step, the speed of the steps, and some snapshots, evenly spaced.

    Attributes:
        objective: the mean over all pictures, at each step.
        steps: how many steps there will be.
        snapshots: the first is the first step's; the last step has none, since its frame is at hand.
        watch: the running time, without pauses.
    """

    def __init__(self) -> None:
        self.objective: list[float] = []
        self.steps = 0
        self.snapshots: list[Snapshot] = []
        self.watch = Stopwatch()
        self._first_at = self._latest_at = 0.0
        self._phase: Phase | None = None
        self._stride = 1

    def watched(
        self, frames: Iterator[F], pixels: Callable[[F], np.ndarray], are_steps_first: bool = False
    ) -> Iterator[F]:
        """Pass frames on and record each step.

        Args:
            frames: of the run.
            pixels: called for frames that are kept.
            are_steps_first: whether no step comes after a frame that is not one, so that those need not be watched.
        """
        watched = self._each(frames, pixels, are_steps_first)
        return itertools.chain(watched, frames) if are_steps_first else watched

    def _each(self, frames: Iterator[F], pixels: Callable[[F], np.ndarray], are_steps_first: bool) -> Iterator[F]:
        for frame in frames:
            if frame.is_step:
                self.add(frame, pixels)
            yield frame
            if are_steps_first and not frame.is_step:
                return

    def add(self, frame: F, pixels: Callable[[F], np.ndarray]) -> None:
        self.steps, self._latest_at = frame.steps, self.watch.seconds
        self.objective.append(float(np.nanmean(frame.values)))
        if len(self.objective) == 1:
            self._first_at = self._latest_at
            self._keep(frame, pixels)
            most = max(2, min(MOST_KEPT, KEPT_BYTES // self.snapshots[0].pixels.nbytes))
            self._stride = -(-frame.steps // most)
        elif (len(self.objective) - 1) % self._stride == 0 and frame.step < frame.steps:
            self._keep(frame, pixels)

    def _keep(self, frame: F, pixels: Callable[[F], np.ndarray]) -> None:
        self.snapshots.append(Snapshot(pixels(frame), frame.step, np.asarray(frame.values)))

    @property
    def pace(self) -> float | None:
        """Seconds for a step, without what the first one took to be traced; `None` before there are two."""
        count = len(self.objective) - 1
        return (self._latest_at - self._first_at) / count if count > 0 else None

    def phase_left(self, phase: str, step: int, steps: int) -> float | None:
        """At most how long a phase will take from now on; `None` while its pace is not known."""
        if self._phase is None or phase != self._phase.name:
            self._phase = Phase(phase, step, self.watch.seconds)
        _, first, began = self._phase
        return (self.watch.seconds - began) / (step - first) * (steps - step) if step > first else None

    @property
    def seconds_left(self) -> float | None:
        """How long the steps that remain will take; `None` while that is not known."""
        return None if self.pace is None else self.pace * (self.steps - len(self.objective))


class Speed:
    """The floating point operations a second of this process: assumed, until a run has shown them.

    Args:
        first: seconds for the first step, which is compiled.
        overhead: seconds for each step, in addition.
        least: operations; a run with smaller steps shows their overhead, not the speed of the machine.
    """

    def __init__(self, first: float, overhead: float = 0.0, least: float = 0.0) -> None:
        self._first, self._overhead, self.least = first, overhead, least
        self.measured = ASSUMED

    def seconds(self, operations: float, steps: int) -> float:
        """The time of a run whose steps have so many operations each."""
        return self._first + steps * (operations / self.measured + self._overhead)

    def learn(self, operations: float, pace: float | None) -> None:
        """Take over the pace of a run, seconds for each step; `None` for a run that was too short."""
        if pace and operations > self.least:
            self.measured = operations / pace
