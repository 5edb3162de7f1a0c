"""What a fresh process spends before the first gallery is there, and on the bare import."""

from __future__ import annotations

import sys
import time

from tests.benchmarks import process


def bare_import() -> None:
    """`import cnnwidgets`, which must leave TensorFlow alone."""
    start = time.perf_counter()
    import cnnwidgets  # noqa: F401

    seconds = time.perf_counter() - start
    if "tensorflow" in sys.modules:
        raise process.RowFailed("it imports tensorflow")
    process.report(seconds=seconds, memory=process.peak_memory())


def gallery(count: int, size: int, steps: int) -> None:
    """Import, load the network, paint units of `fire5_concat`; the seconds are those of the whole process."""
    import cnnwidgets as cw

    cw.visualize_units(cw.load_network("squeezenet"), "fire5_concat", range(count), size, steps)
    process.report(memory=process.peak_memory())


if __name__ == "__main__":
    settings = process.arguments()
    gallery(*settings) if settings else bare_import()
