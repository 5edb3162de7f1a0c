"""One batch of an atlas: the pictures of `visualize_units`, and a reason for each one that fails."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnwidgets.atlas.records import BatchResult
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import tf
from cnnwidgets.pictures import to_uint8
from cnnwidgets.visualize.batches import UnitPictures
from cnnwidgets.visualize.units import UnitsPlan

# Another batch size would give other bytes, so running out of memory fails the whole batch.
_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)


class BatchRun:
    """The rendering of a batch: iterate to run its steps, then `write` the pictures.

    Args:
        plan: of the batch's layer.
        units: of the batch, in order, without gaps.
    """

    def __init__(self, plan: UnitsPlan, units: Sequence[int]) -> None:
        self._plan, self._units = plan, tuple(units)
        self._pictures = np.full((len(units), *plan.canvas.shape), 128, np.uint8)
        self._values: dict[int, float] = {}
        self._notes: dict[int, str] = {}
        self._failed: dict[int, str] = {}

    def __iter__(self) -> Iterator[None]:
        """Optimize; yields after each step."""
        return self._attempt(self._units)

    def _attempt(self, units: tuple[int, ...]) -> Iterator[None]:
        """Render these together; if that fails, each alone, to find out which one fails."""
        try:
            for frame in replace(self._plan, units=units).whole_run():
                last = frame
                yield
            self._take(last.result())
            return
        except Exception as error:  # the user's network may raise anything; other units continue
            failure = Failure.of(error)
            alone = len(units) == 1 or isinstance(error, _MEMORY)
        if alone:
            self._failed |= dict.fromkeys(units, failure.line)
            return
        for unit in units:
            yield from self._attempt((unit,))

    def _take(self, made: UnitPictures) -> None:
        pixels = to_uint8(made.pictures)
        for row, unit in enumerate(made.units):
            if not np.isfinite(made.values[row]):
                self._failed[unit] = f"its value is {made.values[row]}"
                continue
            self._pictures[unit - self._units[0]] = pixels[row]
            self._values[unit] = float(made.values[row])
            if made.notes[row]:
                self._notes[unit] = made.notes[row]

    def write(self, array: Any) -> BatchResult:
        """Write the pictures and return the result."""
        array[self._units[0] : self._units[-1] + 1] = self._pictures
        return BatchResult(self._units, self._values, self._notes, self._failed)
