"""One contender's job in a process of its own: the first time, tracing included, and again.

python -m tests.benchmarks.row '["unit_pictures", "cnnwidgets", {"network_file": "squeezenet.keras", ...}, ""]'
"""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

from tests.benchmarks import peers, process
from tests.benchmarks.jobs import Contender, amount
from tests.benchmarks.work import Work

AGAIN = 2


def measure(job: Any, contender: Contender, work: Work) -> process.Numbers:
    """Do it three times, then ask whether the result shows anything at all."""
    do = contender.begin(work, **contender.settings)
    first, first_cpu, _ = _timed(do)
    again, cpu, results = zip(*[_timed(do) for _ in range(AGAIN)], strict=True)
    memory = process.peak_memory()
    each = 1000 / amount(job, work)  # s -> ms of one
    return {
        "first": each * first,
        "again": each * min(again),
        "cpu": each * min(cpu),
        "two_cpu": each * (first_cpu + min(cpu)),
        "memory": memory,
        "check": job.check(work, results[-1]),
    }


def _timed(do: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds, seconds of processor time, and the result."""
    start, started = time.perf_counter(), time.process_time()
    result = do()
    return time.perf_counter() - start, time.process_time() - started, result


if __name__ == "__main__":
    name, contender, settings, folder = process.arguments()
    if folder:
        peers.borrow(folder)
    module = import_module(f"tests.benchmarks.jobs.{name}")
    process.report(**measure(module, module.CONTENDERS[contender], Work(**settings)))
