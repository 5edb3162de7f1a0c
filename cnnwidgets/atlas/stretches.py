"""Tasks shared out in stretches of whole layers, so that each worker traces few layers.

A stretch is a list of neighboring tasks. Each worker starts with one. A worker without tasks takes over the stretch of
a worker that was lost, or else the second half of the longest one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NEAR = 0.25  # of a stretch: how far a cut may move to fall between two layers


@dataclass(eq=False)
class Item:
    """A task.

    Attributes:
        task: what is sent to a worker.
        layer: the number of its layer.
        losses: how many workers were lost while they had it.
    """

    task: Any
    layer: int
    losses: int = 0


class Stretches:
    """The tasks that no worker has been sent yet.

    Args:
        layers: the tasks of each layer.
        workers: the names of the first workers; others may come and go.
    """

    def __init__(self, layers: Iterable[Sequence[Any]], workers: Sequence[str]) -> None:
        rest = deque(Item(task, number) for number, layer in enumerate(layers) for task in layer)
        self._owned: dict[str, deque[Item]] = {}
        for index, worker in enumerate(workers):
            self._owned[worker], rest = _cut(rest, len(rest) // (len(workers) - index))
        self._free = [rest] if rest else []

    def __len__(self) -> int:
        return sum(map(len, [*self._owned.values(), *self._free]))

    def next_for(self, worker: str) -> Item | None:
        """The next task for a worker; `None` when none is left."""
        own = self._owned.get(worker)
        if not own:
            own = self._owned[worker] = self._taken_over()
        return own.popleft() if own else None

    def give_back(self, worker: str, unfinished: Iterable[Item]) -> None:
        """Take back the stretch of a lost worker, with the tasks that it had been sent and did not finish."""
        rest = deque([*unfinished, *self._owned.pop(worker, ())])
        if rest:
            self._free.append(rest)

    def _taken_over(self) -> deque[Item]:
        if self._free:
            return self._free.pop(0)
        owner = max(self._owned, key=lambda name: len(self._owned[name]), default=None)
        if owner is None:
            return deque()
        self._owned[owner], rest = _cut(self._owned[owner], len(self._owned[owner]) // 2)
        return rest


def _cut(stretch: deque[Item], length: int) -> tuple[deque[Item], deque[Item]]:
    """A stretch in two, the first of about this length; cut between two layers where that is near."""
    items = list(stretch)
    cuts = [at for at in range(1, len(items)) if items[at - 1].layer != items[at].layer]
    nearest = min(cuts, key=lambda at: abs(at - length), default=length)
    if 0 < length < len(items) and abs(nearest - length) <= NEAR * len(items):
        length = nearest
    return deque(items[:length]), deque(items[length:])
