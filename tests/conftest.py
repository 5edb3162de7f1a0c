"""For every test: no display, a cache of its own, and no thread left behind."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything is imported: fixtures wider than one test find a cache too, and processes started here inherit both.
WIDE_CACHE = tempfile.TemporaryDirectory(prefix="cnnwidgets-tests-")
os.environ["MPLBACKEND"] = "agg"
os.environ["CNNWIDGETS_CACHE_DIR"] = WIDE_CACHE.name

# What outlives a run by design: our one worker, and the threads on which Zarr and fsspec read and write.
SHARED_THREADS = ("cnnwidgets-worker", "zarr_", "asyncio_", "fsspecIO")
PATIENCE = 3.0  # seconds that a thread has to end after the test


def pytest_collection_finish() -> None:
    """Spare every test what makes the tracing of graphs slow, which is most of what the tests do.

    Garbage is looked for less often, and not in what is imported. And TensorFlow notes from where in Python it made
    each operation, through the sixty calls of a test run; only an error of a graph that runs would say it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
    if tf_stack := sys.modules.get("tensorflow.python.util.tf_stack"):
        here = tf_stack.extract_stack()
        tf_stack.extract_stack = lambda stacklevel=1: here


@pytest.fixture(autouse=True)
def cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What one test has kept, another one must not find."""
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> Iterator[None]:
    """Fail the test after which a thread is still alive that was not there before."""
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + PATIENCE
    while (left := threads_since(before)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left, f"the test left threads behind: {', '.join(left)}"


def threads_since(before: set[threading.Thread]) -> list[str]:
    return [t.name for t in threading.enumerate() if t not in before and not t.name.startswith(SHARED_THREADS)]
