"""A list that never grows beyond a limit: where it is full, it keeps every second of its values."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


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
