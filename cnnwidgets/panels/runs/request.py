"""One result at a time, computed on the worker while the page stays responsive."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from cnnwidgets.jobs import Job, Publisher, worker
from cnnwidgets.jobs.failure import Failure

R = TypeVar("R")


class Request(Generic[R]):
    """A computation on the worker's thread with one result; another one, or `drop`, replaces it.

    `on_result` and `on_failure` run on a thread that belongs to the computation, and only while it is the latest one.

    Args:
        on_result: called with what was computed.
        on_failure: called with what went wrong instead.
    """

    def __init__(self, on_result: Callable[[R], object], on_failure: Callable[[Failure], object]) -> None:
        self._on_result, self._on_failure = on_result, on_failure
        self._lock = threading.Lock()
        self._publisher: Publisher[R] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it is being computed."""
        publisher = self._publisher
        return publisher is not None and not publisher.job.ended

    def begin(self, compute: Callable[[], R]) -> None:
        """Compute on the worker's thread, and do not wait."""
        publisher = Publisher(Job(_once(compute)), lambda result, number: None, finished=self._finished)
        self._replace(publisher)
        publisher.start()
        worker().submit(publisher.job)

    def wait(self) -> None:
        """Wait until it is computed and reported; an interrupt stops it."""
        publisher = self._publisher
        if publisher is not None:
            worker().run(publisher.job)
            publisher.join()

    def drop(self) -> None:
        """Compute and report nothing more."""
        self._replace(None)

    def _replace(self, publisher: Publisher[R] | None) -> None:
        with self._lock:
            old, self._publisher = self._publisher, publisher
        if old is not None:
            old.job.release()

    def _finished(self, job: Job[Any]) -> None:
        with self._lock:
            if self._publisher is None or job is not self._publisher.job:
                return
        if job.failure is not None:
            self._on_failure(job.failure)
        elif job.frame is not None:
            self._on_result(job.frame)


def _once(compute: Callable[[], R]) -> Iterator[R]:
    yield compute()
