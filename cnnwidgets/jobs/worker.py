"""The thread that owns the device and steps all jobs in turn; visible jobs go first."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from operator import attrgetter
from typing import Any

from cnnwidgets.jobs.job import Job

_priority = attrgetter("priority")


class Worker:
    """One daemon thread that runs jobs step by step, so that a paused or a long one never blocks another.

    The thread starts with the first job and stays; idle, it sleeps until woken. Between two steps it applies requests
    first, then takes the visible jobs in turn, and hidden ones only while no visible job is ready.
    """

    def __init__(self) -> None:
        self._jobs: list[Job[Any]] = []  # the longest waiting comes first
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    @property
    def jobs(self) -> tuple[Job[Any], ...]:
        """The jobs that have not ended."""
        with self._changed:
            return tuple(job for job in self._jobs if not job.ended)

    @property
    def is_this_thread(self) -> bool:
        """Whether the caller runs on the worker's thread, which must not wait for a job."""
        return threading.current_thread() is self._thread

    def submit(self, job: Job[Any]) -> None:
        """Run `job` together with the others; does nothing if it was submitted before or has ended."""
        job.attach(self._wake)
        with self._changed:
            if job.ended or job in self._jobs:
                return
            self._jobs.append(job)
            self._closing = False
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._loop, name="cnnwidgets-worker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def run(self, job: Job[Any]) -> None:
        """Submit `job` and wait for its end; an interrupt stops it, waits for its end, and is raised again.

        Raises:
            RuntimeError: on the worker's own thread, which would wait for itself.
        """
        if self.is_this_thread:
            raise RuntimeError("a job cannot wait for another on the worker's thread; submit it instead")
        try:
            self.submit(job)
            job.wait()
        except BaseException:
            job.stop()
            job.wait()  # a second interrupt leaves at once
            raise

    def close(self, timeout: float = 2.0) -> None:
        """Stop all jobs and end the thread, waiting at most `timeout` seconds; a later `submit` restarts it."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        for job in self.jobs:
            job.stop()
        if thread is not None:
            thread.join(timeout)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _loop(self) -> None:
        """Advance the jobs in turn; an idle thread holds no reference to a job, so that none is kept alive."""
        while True:
            with self._changed:
                job = max(self._jobs, key=_priority, default=None)  # the first of equals
                if job is None or not job.ready:
                    if self._closing and not self._jobs:
                        self._thread = None
                        return
                    del job
                    self._changed.wait()
                    continue
            job.advance()
            with self._changed:
                self._jobs.remove(job)
                if not job.ended:
                    self._jobs.append(job)
            del job


_shared = Worker()


def worker() -> Worker:
    """The worker that all panels of this process share."""
    return _shared


def _forget_shared() -> None:
    """Replace the worker after a fork: the child has the parent's jobs and locks, but not its thread."""
    global _shared
    _shared = Worker()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget_shared)


@atexit.register
def _close_shared() -> None:
    """Close at exit: a thread in device code during interpreter shutdown can crash the process."""
    _shared.close()
