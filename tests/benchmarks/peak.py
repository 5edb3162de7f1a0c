"""The machine's limit: the fastest float32 convolution, and what a picture-step must compute at least."""

from __future__ import annotations

import time
from typing import Any

from tests.benchmarks import process

SHAPES = ((16, 32, 256, 3), (16, 64, 128, 3), (16, 32, 512, 1), (8, 64, 256, 1))  # pictures, side, channels, kernel
ROUNDS = 30


def convolution(pictures: int, side: int, channels: int, kernel: int) -> float:
    """GFLOP/s of the fastest of several convolutions."""
    import tensorflow as tf

    x = tf.random.normal([pictures, side, side, channels])
    weights = tf.random.normal([kernel, kernel, channels, channels])
    run: Any = tf.function(lambda: tf.reduce_max(tf.nn.conv2d(x, weights, 1, "SAME")))
    run()
    return 2e-9 * pictures * side**2 * channels**2 * kernel**2 / min(_seconds(run) for _ in range(ROUNDS))


def _seconds(run: Any) -> float:
    start = time.perf_counter()
    run().numpy()
    return time.perf_counter() - start


def picture_step(layer: str, size: int) -> float:
    """GFLOP from the picture to the layer and back; the gradient of the picture costs the way there again."""
    import cnnwidgets as cw
    from cnnwidgets.model.sizes.canvas import Canvas
    from cnnwidgets.model.tracing.cost import forward_flops

    return 2e-9 * forward_flops(cw.load_network("squeezenet"), layer, Canvas((size, size, 3)))


if __name__ == "__main__":
    process.report(peak=max(convolution(*shape) for shape in SHAPES), step=picture_step(*process.arguments()))
