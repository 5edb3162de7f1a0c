"""Tasks sent to the workers of a Dask cluster, a few at a time, each worker's own stretch of layers in order.

A task is sent to one worker, which Dask would never replace when it is lost: who is there is therefore asked every
second, and what a lost worker had is sent to others.
"""

from __future__ import annotations

import contextlib
import functools
import queue
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from distributed import CancelledError, Client, KilledWorker

from cnnwidgets.atlas.stretches import Item, Stretches
from cnnwidgets.errors import JobFailed, quoted

WAITING = 2  # tasks sent to a worker for each of its threads: one runs while the next one waits
LOSSES = 3  # workers that may be lost while they have a task before it is set apart
INTERVAL = 1.0  # seconds between two checks of which workers are there
ANYONE = ""  # stands for the first worker to come, while there is none


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
