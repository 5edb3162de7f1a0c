"""Frame: one intermediate result of a run."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

Array = np.ndarray[Any, Any]
Made = TypeVar("Made")


def last_of(frames: Iterable[Made]) -> Made:
    """The last frame of a run, without holding those before it: each keeps its pictures on the device."""
    return collections.deque(frames, maxlen=1).pop()


@dataclass(frozen=True, eq=False, repr=False)
class Frame:
    """What a run has made so far. Frozen; pictures and values stay on the device until somebody reads them.

    Attributes:
        picture_source: the pictures, or what makes them at the first reading.
        step: 1, 2, ... `steps`, over the whole run.
        steps: how many there will be.
        value_source: the values, perhaps still on the device.
        notes: on the last frame, for each picture "" or what is wrong with it; empty before.
        is_step: whether its values belong to a step of the run; else it is from a retry or a final measurement.
    """

    picture_source: Callable[[], Array] | Array
    step: int
    steps: int
    value_source: Any
    notes: tuple[str, ...] = ()
    is_step: bool = field(default=True, kw_only=True)

    @functools.cached_property
    def pictures(self) -> Array:
        """[N, H, W, C] float32, 0..1."""
        return self.picture_source() if callable(self.picture_source) else self.picture_source

    @functools.cached_property
    def values(self) -> Array:
        """The objective before this step, one for each picture: [N] float32."""
        return np.asarray(self.value_source, np.float32)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(step {self.step} of {self.steps}, values {np.round(self.values[:4], 3)})"
