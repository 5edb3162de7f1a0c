"""Curves of loss and metrics over batches and epochs, at most some hundred points of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cnnwidgets.training.thinned import Thinned

MOST_POINTS = 400


class Point(NamedTuple):
    """Loss and metrics at one moment.

    Attributes:
        epoch: completed epochs.
        batch: completed batches, over all epochs.
        logs: by name.
    """

    epoch: int
    batch: int
    logs: Mapping[str, float]


class Curves:
    """Loss and metrics of a training, over batches and over epochs."""

    def __init__(self) -> None:
        self._batches: Thinned[Point] = Thinned(MOST_POINTS)
        self._epochs: Thinned[Point] = Thinned(MOST_POINTS)

    @property
    def batches(self) -> list[Point]:
        """Points within epochs, thinned out evenly; Keras reports the mean since the epoch began."""
        return self._batches.all()

    @property
    def epochs(self) -> list[Point]:
        """A point for the end of each epoch, with what validation adds."""
        return self._epochs.all()

    def add_batch(self, point: Point) -> None:
        """Note what a batch ended with."""
        if point.logs:
            self._batches.add(point)

    def add_epoch(self, point: Point) -> None:
        """Note what an epoch ended with."""
        self._epochs.add(point)

    def names(self) -> tuple[str, ...]:
        """Loss and metrics, in the order in which they first appeared."""
        return tuple(dict.fromkeys(name for point in (*self.batches, *self.epochs) for name in point.logs))
