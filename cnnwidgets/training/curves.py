"""Lists that are thinned out where they grow too long, and curves of loss and metrics made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
MOST_POINTS = 400


class Thinned(Generic[T]):
    """Values in the order in which they came, thinned out evenly where there are too many.

    The first and the last always stay. Whenever there is no room, every second one of the others is dropped, and from
    then on every second new one, so that the distances between those that remain are equal.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._every, self._came = 1, 0
        self._values: list[tuple[int, T]] = []  # (how many came before it, it)

    def add(self, value: T) -> None:
        """Take one more."""
        self._values = [*self._on_grid(), (self._came, value)]
        self._came += 1
        while len(self._values) > 2 and self.is_full():
            self._every *= 2
            last = self._values[-1]
            self._values = [*(one for one in self._on_grid() if one is not last), last]

    def _on_grid(self) -> list[tuple[int, T]]:
        return [one for one in self._values if one[0] % self._every == 0]

    def is_full(self) -> bool:
        """Whether there are more values than there is room for."""
        return len(self._values) > self._most

    def all(self) -> list[T]:
        """Those that remain, the oldest first."""
        return [value for _, value in self._values]


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
