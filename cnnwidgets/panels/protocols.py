"""What crosses the two walls: a plan goes down to the worker, its frames come up to the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    def step(self) -> int: ...  # noqa: D102
    @property
    def steps(self) -> int: ...  # noqa: D102
    @property
    def values(self) -> np.ndarray: ...  # noqa: D102
    @property
    def notes(self) -> Sequence[str]: ...  # noqa: D102
    @property
    def is_step(self) -> bool: ...  # noqa: D102


class PictureFrame(Frame, Protocol):
    """A frame of a verb that makes pictures.

    Attributes:
        pictures: [N, H, W, C], 0..1.
    """

    @property
    def pictures(self) -> np.ndarray: ...  # noqa: D102


F = TypeVar("F", bound=Frame)
F_co = TypeVar("F_co", bound=Frame, covariant=True)


class Plan(Protocol[F_co]):
    """A request that was checked: whatever can be refused is refused before it exists."""

    def frames(self) -> Iterator[F_co]:
        """The unstarted run, handed down to the worker."""
