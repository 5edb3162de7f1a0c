"""The loops that the Keras and TensorFlow tutorials teach, compiled, with the parts that several jobs need."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.benchmarks.jobs import Job
from tests.benchmarks.work import Work

Render = Callable[[Any], Any]


def means(network: Any, units: Sequence[int]) -> Callable[[Any], Any]:
    """The objective of tutorials: pictures 0..255 -> each one's own unit, the mean over its map where it has one."""
    import tensorflow as tf

    def read(pictures: Any) -> Any:
        answer = network(pictures)
        pooled = tf.reduce_mean(answer, [1, 2]) if answer.shape.rank == 4 else answer
        return tf.gather(pooled, list(units), batch_dims=1)

    return read


def adam(work: Work, start: Any, render: Render, objective: Callable[[Any], Any], finish: Render | None = None) -> Job:
    """All pictures climbed together by Adam, one compiled step after the other."""
    import keras
    import tensorflow as tf

    variables, optimizer = tf.Variable(start), keras.optimizers.Adam(0.05)
    optimizer.build([variables])
    at_rest = [state.numpy() for state in optimizer.variables]

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            loss = -tf.reduce_sum(objective(render(variables) * 255))
        optimizer.apply_gradients([(tape.gradient(loss, variables), variables)])

    def paint() -> np.ndarray:
        variables.assign(start)
        for state, value in zip(optimizer.variables, at_rest, strict=True):
            state.assign(value)
        for _ in range(work.steps):
            step()
        return np.clip((finish or render)(variables), 0, 1)

    return paint


def fourier(work: Work, decay: float) -> tuple[Any, Render]:
    """Fourier in decorrelated colors: where to start, and how variables become pictures."""
    import tensorflow as tf

    size = work.size
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    scale = tf.constant(size / np.maximum(frequency, 1 / size) ** decay, tf.float32)
    colors = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
    colors = tf.constant((colors / np.linalg.norm(colors, axis=0).max()).T)

    def render(spectrum: Any) -> Any:
        planes = tf.signal.irfft2d(tf.complex(spectrum[0] * scale, spectrum[1] * scale)) / 4  # [N, 3, H, W]
        return tf.sigmoid(tf.tensordot(tf.transpose(planes, [0, 2, 3, 1]), colors, 1))

    return 0.01 * tf.random.normal([2, work.count, 3, size, size // 2 + 1]), render


def rolled(pictures: Any) -> Any:
    """A jitter of 8 pixels."""
    import tensorflow as tf

    return tf.roll(pictures, tf.random.uniform([2], -8, 9, tf.int32), [1, 2])


def cropped(pictures: Any) -> Any:
    """A square part of each, .55 to .95 of its side, resized back, with a little noise."""
    import tensorflow as tf

    count = pictures.shape[0]
    side = tf.random.uniform([count], 0.55, 0.95)
    top, left = (tf.random.uniform([count]) * (1 - side) for _ in range(2))
    boxes = tf.stack([top, left, top + side, left + side], 1)
    parts = tf.image.crop_and_resize(pictures, boxes, tf.range(count), pictures.shape[1:3])
    return parts + tf.random.normal(parts.shape, stddev=0.03)
