"""What a run has been through, besides its last frame."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnwidgets.panels.stopwatch import Stopwatch

KEPT_PICTURES = 32  # of a run, for its GIF
KEPT_BYTES = 64_000_000


class Record:
    """The objective at each step, how fast the steps go, and some pictures, evenly spaced.

    Attributes:
        objective: the mean over all pictures, at each step.
        steps: how many steps there will be.
        pictures: uint8 [H, W, C], of which the first is the first step's.
        watch: how long the run has really run.
    """

    def __init__(self) -> None:
        self.objective: list[float] = []
        self.steps = 0
        self.pictures: list[np.ndarray] = []
        self.watch = Stopwatch()
        self._first_at = self._latest_at = 0.0
        self._stride = 1

    def add(self, frame: Any, paint: Callable[[Any], np.ndarray]) -> None:
        """Note a step; `paint` is called only where its picture is kept."""
        self.steps, self._latest_at = frame.steps, self.watch.seconds
        self.objective.append(float(np.nanmean(frame.values)))
        if len(self.objective) == 1:
            self._first_at = self._latest_at
            self.pictures.append(paint(frame))
            most = max(2, min(KEPT_PICTURES, KEPT_BYTES // self.pictures[0].nbytes))
            self._stride = -(-frame.steps // most)
        elif (len(self.objective) - 1) % self._stride == 0 and frame.step < frame.steps:
            self.pictures.append(paint(frame))

    @property
    def pace(self) -> float | None:
        """Seconds for a step, without what the first one took to be traced; `None` before there are two."""
        count = len(self.objective) - 1
        return (self._latest_at - self._first_at) / count if count > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """How long the steps that remain will take; `None` while that is not known."""
        return None if self.pace is None else self.pace * (self.steps - len(self.objective))
