"""One batch of an atlas: the same pictures as `visualize_units` makes, and a reason for each that cannot be made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnwidgets.atlas.records import Outcome
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import tf
from cnnwidgets.pictures import to_uint8
from cnnwidgets.visualize.batches import UnitPictures
from cnnwidgets.visualize.units import UnitsPlan

# At another batch the bytes would be others, so memory that is too short is a failure of the whole batch.
_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)


class Making:
    """A batch in the making: iterate to climb it step by step; then `write` puts it into its array.

    Args:
        plan: of the batch's layer.
        units: of the batch, in order, without gaps.

    Attributes:
        outcome: what became of it, once it is written.
    """

    def __init__(self, plan: UnitsPlan, units: Sequence[int]) -> None:
        self._plan, self._units = plan, tuple(units)
        self._pictures = np.full((len(units), *plan.canvas.shape), 128, np.uint8)
        self._values: dict[int, float] = {}
        self._notes: dict[int, str] = {}
        self._failed: dict[int, str] = {}

    def __iter__(self) -> Iterator[None]:
        """Climb; yields after each step."""
        return self._attempt(self._units)

    def _attempt(self, units: tuple[int, ...]) -> Iterator[None]:
        """Make these together; where that fails, each alone, to find out which of them is to blame."""
        try:
            for frame in replace(self._plan, units=units).whole_run():
                last = frame
                yield
            self._take(last.result())
            return
        except Exception as error:  # a network of the user's may raise anything; the others must go on
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

    def write(self, array: Any) -> Outcome:
        """Write the pictures, and say what became of them."""
        array[self._units[0] : self._units[-1] + 1] = self._pictures
        return Outcome(self._units, self._values, self._notes, self._failed)
