"""Compiled passes by hand, which some verbs need and which bound them: forward, and the gradient by a layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.work import Work

CAT = 285


def forward(work: Work, *layers: str) -> Callable[[np.ndarray], Any]:
    """uint8 or float pictures [N, H, W, 3] 0..255 -> what layers put out, as arrays."""
    import tensorflow as tf

    network = tf.function(work.up_to(*layers))
    return lambda pictures: tf.nest.map_structure(np.asarray, network(tf.constant(pictures, tf.float32)))


def backward(work: Work) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Pictures [1, H, W, 3] 0..255 -> the layer's activation and the gradient of the cat's logit by it."""
    import tensorflow as tf

    both = work.up_to(work.layer, "logits")

    @tf.function
    def passes(pictures: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(pictures)
            activation, logits = both(pictures)
            value = logits[:, CAT]
        return activation, tape.gradient(value, activation)

    def run(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        activation, gradient = passes(tf.constant(pictures, tf.float32))
        return np.asarray(activation), np.asarray(gradient)

    return run
