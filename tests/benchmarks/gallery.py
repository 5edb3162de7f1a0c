"""One contender's gallery: how long a user waits for the first, for the next, and for each further step.

    python -m tests.benchmarks.gallery '["cnnwidgets", {"network_file": "squeezenet.keras"}, null]'
"""

from __future__ import annotations

import time

import numpy as np

from tests.benchmarks import peers, process
from tests.benchmarks.contenders import CONTENDERS, Paint
from tests.benchmarks.work import Work


def measure(contender: str, work: Work) -> process.Numbers:
    """Paint three times, then ask the network whether the pictures show anything at all."""
    begin, _, bare = CONTENDERS[contender]
    paint = begin(work, **bare)
    few = work.steps // 4
    first, _ = _timed(paint, work.steps)
    again, pictures = _timed(paint, work.steps)
    short, _ = _timed(paint, few)
    memory = process.peak_memory()
    before = _means(work, np.random.default_rng(0).normal(0.5, 0.05, work.shape))
    after = _means(work, pictures)
    if not after > 2 * before:
        raise process.RowFailed(f"paints nothing: the channels' mean is {before:.3g} for noise, {after:.3g} then")
    each = 1000 / work.count  # seconds of a batch -> ms of a picture
    return {
        "first": each * first / work.steps,
        "next": each * again / work.steps,
        "step": each * (again - short) / (work.steps - few),
        "memory": memory,
        "before": before,
        "after": after,
    }


def _timed(paint: Paint, steps: int) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    pictures = paint(steps)
    return time.perf_counter() - start, pictures


def _means(work: Work, pictures: np.ndarray) -> float:
    """How strongly the channels answer to their pictures in 8 bits: the mean over places and channels."""
    maps = work.feature_map(np.round(np.clip(pictures, 0, 1) * 255).astype(np.float32), training=False)
    return float(np.mean([maps[i, ..., unit] for i, unit in enumerate(work.units)]))


if __name__ == "__main__":
    contender, settings, folder = process.arguments()
    if folder:
        peers.borrow(folder)
    process.report(**measure(contender, Work(**settings)))
