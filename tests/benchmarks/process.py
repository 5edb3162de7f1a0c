"""A row of a table, measured in a process of its own: its numbers come back as JSON, what went wrong as a sentence."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE = 1800.0  # seconds
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CNNWIDGETS_CACHE_DIR": ""}

Numbers = dict[str, float]


class RowFailed(Exception):
    """A row that could not be measured, in one line."""


def run(module: str, *arguments: Any) -> Numbers:
    """What `python -m tests.benchmarks.<module>` reports, and the `seconds` that it ran unless it reports its own.

    Raises:
        RowFailed: when the process fails or hangs.
    """
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", json.dumps(arguments)]
    start = time.perf_counter()
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | ENVIRONMENT, capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        raise RowFailed(f"not finished after {PATIENCE:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        raise RowFailed(last.removeprefix(f"{RowFailed.__module__}.{RowFailed.__name__}: "))
    return {"seconds": time.perf_counter() - start, **json.loads(done.stdout.splitlines()[-1])}


def arguments() -> list[Any]:
    """In the row's process: what `run` was given."""
    return json.loads(sys.argv[1])


def report(**numbers: float) -> None:
    """In the row's process: hand the numbers back."""
    print(json.dumps(numbers))


def peak_memory() -> float:
    """The most that this process has held so far, in MB.

    Linux counts what the starting process held too, so that one must stay small: it imports nothing large.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def memory_now() -> float:
    """What this process holds now, in MB."""
    import psutil

    return psutil.Process().memory_info().rss / 2**20
