"""DeepDream of a photograph over octaves."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "DeepDream on `{layer}`, {size} px, 4 octaves of {steps} steps"
UNIT = "dream"
OCTAVES, SCALE = 4, 1.4


def work(quick: bool) -> Work:
    return Work("", 1, 512, 2 if quick else 10, "fire8_concat")


def per(_work: Work) -> int:
    return 1


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net, photograph = cw.load_network("squeezenet"), work.photographs[0]

    def dream() -> np.ndarray:
        for frame in cw.deepdream(net, photograph, work.layer, OCTAVES, SCALE, work.steps):
            last = frame
        return last.pictures[0]

    return dream


def by_hand(work: Work, compiled: bool) -> Job:
    """The Keras tutorial's octaves with the TensorFlow tutorial's roll and step."""
    import keras
    import tensorflow as tf

    whole = work.of_any_size
    shallow = keras.Model(whole.input, whole.get_layer(work.layer).output)

    def step(picture: tf.Tensor) -> tf.Tensor:
        roll = tf.random.uniform([2], -16, 17, tf.int32)
        with tf.GradientTape() as tape:
            tape.watch(picture)
            loss = tf.reduce_mean(tf.square(shallow(tf.roll(picture, roll, [1, 2]) * 255)))
        gradient = tape.gradient(loss, picture)
        return tf.clip_by_value(picture + 0.02 * gradient / (tf.math.reduce_std(gradient) + 1e-8), 0, 1)

    any_size = tf.TensorSpec([1, None, None, 3])
    once = tf.function(step, input_signature=[any_size]) if compiled else step
    original = tf.constant(work.photographs[0][None] / np.float32(255))
    sizes = [round(work.size / SCALE**i) for i in reversed(range(OCTAVES))]

    def dream() -> np.ndarray:
        shrunk = tf.image.resize(original, (sizes[0], sizes[0]))
        picture = shrunk
        for size in sizes:
            detailed = tf.image.resize(original, (size, size))
            picture = tf.image.resize(picture, (size, size)) + detailed - tf.image.resize(shrunk, (size, size))
            for _ in range(work.steps):
                picture = once(picture)
            shrunk = detailed
        return picture.numpy()[0]

    return dream


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "the tutorials' loop, compiled": Contender(by_hand, settings={"compiled": True}),
    "the tutorials' loop, eager": Contender(by_hand, settings={"compiled": False}, is_slow=True),
}


def check(work: Work, picture: np.ndarray) -> float:
    """The mean change of a pixel."""
    change = float(np.abs(picture - work.photographs[0] / 255).mean())
    if not 0.01 < change < 0.5:
        raise RowFailed(f"dreams nothing: a pixel changed by {change:.3g}")
    return change
