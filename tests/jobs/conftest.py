"""What the tests of `jobs` share: a worker of their own, and no thread left behind."""

from __future__ import annotations

import resource
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cnnwidgets.jobs import Job, Worker, worker


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.002)


@pytest.fixture
def until() -> Callable[..., None]:
    """`until(condition)` waits for something that another thread does, and fails after 5 s."""
    return wait_until


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test that leaves a thread behind, or work for the shared worker, which alone may live on."""
    before = set(threading.enumerate())
    yield

    def left() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t not in before and t is not worker()._thread]

    wait_until(lambda: not left() and not worker().jobs, seconds=2.0)


@pytest.fixture
def own() -> Iterator[Worker]:
    """A worker for one test."""
    own = Worker()
    yield own
    own.close()


class Counter:
    """An endless iterator that tells what was done to it, and on which thread."""

    def __init__(self, seconds: float = 0.002, last: float = float("inf")) -> None:
        self.seconds, self.last, self.count = seconds, last, 0
        self.threads: set[str] = set()
        self.closed_on: list[str] = []
        self.busy = False

    def __iter__(self) -> Counter:
        return self

    def __next__(self) -> int:
        self.threads.add(threading.current_thread().name)
        if self.count >= self.last:
            raise StopIteration
        self.busy = True
        time.sleep(self.seconds)
        self.busy = False
        self.count += 1
        return self.count

    def close(self) -> None:
        self.closed_on.append(threading.current_thread().name)


@pytest.fixture
def counter() -> type[Counter]:
    """`counter(seconds, last)` counts 1, 2, ... with a step of so many seconds."""
    return Counter


@pytest.fixture
def wakings() -> Callable[[float], int]:
    """`wakings(seconds)`: how often a thread of this process went to sleep meanwhile."""

    def wakings(seconds: float) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
        time.sleep(seconds)
        return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before

    return wakings


@pytest.fixture
def finish() -> Callable[[Job[int]], None]:
    """`finish(job)` waits for the end of a job, at most 5 s."""

    def finish(job: Job[int]) -> None:
        assert job.wait(5), f"{job} did not end"

    return finish
