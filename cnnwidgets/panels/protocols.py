"""What a panel reads of a frame, whichever verb made it: an unstarted iterator of frames goes down, these come up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np


class Frame(Protocol):
    """One intermediate result, as every panel reads it.

    Attributes:
        step: 1, 2, ... `steps`.
        steps: how many there will be, as far as is known.
        values: [N], the numbers that the curve shows: the objective before this step, one for each picture.
        notes: what is wrong with each picture, "" for nothing; empty before the last frame.
        is_step: whether it is a point of the curve.
    """

    @property
    def step(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def values(self) -> np.ndarray: ...
    @property
    def notes(self) -> Sequence[str]: ...
    @property
    def is_step(self) -> bool: ...


class PictureFrame(Frame, Protocol):
    """A frame of a verb that makes pictures.

    Attributes:
        pictures: [N, H, W, C], 0..1.
    """

    @property
    def pictures(self) -> np.ndarray: ...


@dataclass(frozen=True, eq=False, kw_only=True)
class PlainFrame:
    """What a run beside the main one has found so far: no point of a curve. The attributes are those of a Frame."""

    step: int = 1
    steps: int = 1
    values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    notes: tuple[str, ...] = ()
    is_step: bool = False


F = TypeVar("F", bound=Frame)
