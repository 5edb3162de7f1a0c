"""A gallery: units of one layer, climbed side by side."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, loops, peer_pictures
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "{count} units of `{layer}`, {size} px, {steps} steps"
UNIT = "picture-step"
FIRST = 16  # these fire by themselves; #9 never does, and only this package would spend time on finding that out


def work(quick: bool) -> Work:
    return Work("", 16, 64, 8) if quick else Work("", 16, 128, 64)


def units(work: Work) -> list[int]:
    return list(range(FIRST, FIRST + work.count))


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda: cw.visualize_units(net, work.layer, units(work), work.size, work.steps).pictures


def pixels_by_hand(work: Work) -> Job:
    import tensorflow as tf

    start = tf.random.uniform(work.shape, 0.4, 0.6)
    return loops.adam(work, start, lambda pictures: pictures, loops.means(work.feature_map, units(work)))


def fourier_by_hand(work: Work) -> Job:
    start, render = loops.fourier(work, 1.0)
    return loops.adam(
        work, start, lambda x: loops.rolled(render(x)), loops.means(work.feature_map, units(work)), render
    )


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "compiled loop by hand, pixels": Contender(pixels_by_hand),
    "compiled loop by hand, our recipe": Contender(fourier_by_hand),
    **peer_pictures.contenders("channel", units),
}


def check(work: Work, pictures: np.ndarray) -> float:
    """The mean over places of the channels' answers to their pictures; that to noise is far below."""
    noise = np.random.default_rng(0).normal(0.5, 0.05, work.shape)
    before, after = (_mean(work, seen) for seen in (noise, pictures))
    if not after > 2 * before:
        raise RowFailed(f"paints nothing: the channels' mean is {before:.3g} for noise, {after:.3g} then")
    return after


def _mean(work: Work, pictures: np.ndarray) -> float:
    maps = work.answers(pictures, work.layer)
    return float(np.mean([maps[i, ..., unit] for i, unit in enumerate(units(work))]))
