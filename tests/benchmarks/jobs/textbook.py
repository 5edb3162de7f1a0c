"""The textbook's filters: from noise, one after the other as the books do it, by normalized gradients."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "the textbook recipe: {count} filters of `{layer}`, {size} px, {steps} steps"
UNIT = "filter"
FIRST = 16


def work(quick: bool) -> Work:
    return Work("", 2, 64, 4) if quick else Work("", 8, 150, 40)


def per(work: Work) -> int:
    return work.count


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net, units = cw.load_network("squeezenet"), range(FIRST, FIRST + work.count)
    return lambda: cw.visualize_units(net, work.layer, units, work.size, work.steps, recipe="textbook").pictures


def by_hand(work: Work, compiled: bool) -> Job:
    import tensorflow as tf

    network = work.feature_map

    def step(pictures: tf.Tensor, filter_index: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            loss = tf.reduce_mean(network(pictures)[..., filter_index])
        gradient = tape.gradient(loss, pictures)
        return pictures + gradient / (tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-5)

    once = tf.function(step) if compiled else step

    def paint(filter_index: int) -> np.ndarray:
        pictures, which = tf.random.uniform((1, work.size, work.size, 3), 128, 148), tf.constant(filter_index)
        for _ in range(work.steps):
            pictures = once(pictures, which)
        picture = pictures.numpy()[0]
        return np.clip((picture - picture.mean()) / (picture.std() + 1e-5) * 0.1 + 0.5, 0, 1)

    return lambda: np.stack([paint(FIRST + i) for i in range(work.count)])


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "the book's loop, compiled": Contender(by_hand, settings={"compiled": True}),
    "the book's loop, eager": Contender(by_hand, settings={"compiled": False}, is_slow=True),
}


def check(work: Work, pictures: np.ndarray) -> float:
    """The mean over places of the filters' answers."""
    maps = work.answers(pictures, work.layer)
    found = float(np.mean([maps[i, ..., FIRST + i] for i in range(work.count)]))
    if not found > 0 or not pictures.std() > 0.05:
        raise RowFailed(f"paints nothing: the filters' mean is {found:.3g}")
    return found
