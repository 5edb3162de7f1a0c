"""Tasks sent to the workers of a Dask cluster, a few at a time, each worker's own stretch of layers in order.

A task is sent to one worker, which Dask would never replace when it is lost: who is there is therefore asked every
second, and what a lost worker had is sent to others.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from distributed import CancelledError, Client, KilledWorker

from cnnwidgets.errors import JobFailed, quoted

WAITING = 2  # tasks sent to a worker for each of its threads: one runs while the next one waits
LOSSES = 3  # workers that may be lost while they have a task before it is set apart
INTERVAL = 1.0  # seconds between two checks of which workers are there
ANYONE = ""  # stands for the first worker to come, while there is none
NEAR = 0.25  # of a stretch: how far a cut may move to fall between two layers


class TaskFailed(Exception):
    """A task without a result: it could not be sent, or its workers were killed."""


def results(
    client: Client, layers: Iterable[Sequence[Any]], work: Callable[[Any], Any]
) -> Iterator[tuple[Any, Any | TaskFailed]]:
    """Each task with `work(task)`, in order of completion, or with a TaskFailed.

    A task whose workers were lost repeatedly may be the cause, or may have shared a worker with the cause: it is
    retried alone at the end.

    Args:
        client: of the cluster.
        layers: the tasks of each layer.
        work: a function that the workers can import.

    Raises:
        JobFailed: when the cluster is lost.
    """
    together = _Dispatch(client, work)
    yield from together.run(layers)
    for task in together.set_apart:
        alone = _Dispatch(client, work)
        yield from alone.run([[task]])
        for _ in alone.set_apart:
            yield task, TaskFailed("the workers that rendered it were killed; is there enough memory?")


class _Dispatch:
    """Tasks on their way.

    Attributes:
        set_apart: tasks whose workers were lost too often.
    """

    def __init__(self, client: Client, work: Callable[[Any], Any]) -> None:
        self.set_apart: list[Any] = []
        self._client, self._work = client, work
        self._sent: dict[str, dict[Any, Item]] = {}  # worker -> future -> its task, in the order of sending
        self._done: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()

    def run(self, layers: Iterable[Sequence[Any]]) -> Iterator[tuple[Any, Any | TaskFailed]]:
        """See `results`; a task whose workers were lost too often is set apart instead."""
        self._threads = self._client.nthreads()
        self._stretches, self._looked = Stretches(layers, list(self._threads)), float("-inf")
        try:
            while len(self._stretches) or any(self._sent.values()):
                self._look()
                with contextlib.suppress(queue.Empty):
                    worker, future = self._done.get(timeout=INTERVAL)
                    yield from self._result(worker, future)
        finally:
            with contextlib.suppress(Exception):  # a cluster that is gone has nothing to cancel
                self._client.cancel([future for sent in self._sent.values() for future in sent])

    def _look(self) -> None:
        """Once a second: take back what lost workers had, and give work to those that have none."""
        if time.monotonic() - self._looked < INTERVAL:
            return
        before, self._threads = self._threads, self._client.nthreads()
        self._looked = time.monotonic()
        for worker in before.keys() - self._threads.keys():
            self._take_back(worker, before[worker])
        if self._threads:
            self._stretches.give_back(ANYONE, ())
        for worker in self._threads or [ANYONE]:
            self._send(worker)

    def _take_back(self, worker: str, threads: int) -> None:
        lost = self._sent.pop(worker, {})
        self._client.cancel(list(lost))
        for item in list(lost.values())[:threads]:  # the others were waiting for their turn
            item.losses += 1
        self.set_apart += [item.task for item in lost.values() if item.losses > LOSSES]
        self._stretches.give_back(worker, [item for item in lost.values() if item.losses <= LOSSES])

    def _send(self, worker: str) -> None:
        """Send as many tasks to a worker as it may have at once."""
        sent = self._sent.setdefault(worker, {})
        where = {} if worker == ANYONE else {"workers": [worker]}
        while len(sent) < WAITING * self._threads.get(worker, 1) and (item := self._stretches.next_for(worker)):
            future = self._client.submit(self._work, item.task, pure=False, **where)
            sent[future] = item
            future.add_done_callback(functools.partial(self._put, worker))

    def _put(self, worker: str, future: Any) -> None:
        self._done.put((worker, future))

    def _result(self, worker: str, future: Any) -> Iterator[tuple[Any, Any | TaskFailed]]:
        """The result of a task that has ended; none if it was taken back, or is set apart."""
        while item := self._sent.get(worker, {}).get(future):
            try:
                result = future.result(timeout=INTERVAL)
            except KilledWorker:
                self.set_apart.append(item.task)
            except CancelledError as error:
                raise JobFailed(
                    "The cluster was lost. Finished pictures are kept; the same call continues where it stopped."
                ) from error
            except Exception as error:  # of sending the task or its result
                if isinstance(error, TimeoutError) and future.status != "error":  # the worker was lost with the result
                    self._look()
                    continue
                yield item.task, TaskFailed(quoted(str(error), 200))
            else:
                yield item.task, result
            del self._sent[worker][future]
            self._send(worker)


@dataclass(eq=False)
class Item:
    """A task."""

    task: Any
    layer: int
    losses: int = 0


class Stretches:
    """The tasks that no worker has been sent yet, in stretches of whole layers, so that each worker traces few layers.

    A stretch is a list of neighboring tasks. Each worker starts with one. A worker without tasks takes over the stretch
    of a worker that was lost, or else the second half of the longest one.

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
