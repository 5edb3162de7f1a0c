"""The contenders: each takes the work and gives a function, steps -> pictures [N, H, W, 3], 0..1.

Everybody but this package gets SqueezeNet as a file, with its preprocessing inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.work import Work

Paint = Callable[[int], np.ndarray]


def cnnwidgets(work: Work) -> Paint:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda steps: cw.visualize_units(net, work.layer, work.units, work.size, steps).pictures


def pixels_by_hand(work: Work) -> Paint:
    """The loop of the Keras and TensorFlow tutorials on a batch of pictures, compiled."""
    import tensorflow as tf

    return _by_hand(work, tf.random.uniform(work.shape, 0.4, 0.6), lambda pictures: pictures)


def fourier_by_hand(work: Work) -> Paint:
    """The same loop with this package's own recipe: Fourier, decorrelated colors, a jitter of 8 pixels."""
    import tensorflow as tf

    n, size = work.count, work.size
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    scale = tf.constant(size / np.maximum(frequency, 1 / size), tf.float32)
    colors = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
    colors = tf.constant((colors / np.linalg.norm(colors, axis=0).max()).T)

    def render(spectrum: Any) -> Any:
        planes = tf.signal.irfft2d(tf.complex(spectrum[0] * scale, spectrum[1] * scale)) / 4  # [N, 3, H, W]
        pictures = tf.sigmoid(tf.tensordot(tf.transpose(planes, [0, 2, 3, 1]), colors, 1))
        return tf.roll(pictures, tf.random.uniform([2], -8, 9, tf.int32), [1, 2])

    return _by_hand(work, 0.01 * tf.random.normal([2, n, 3, size, size // 2 + 1]), render)


def _by_hand(work: Work, start: Any, render: Callable[[Any], Any]) -> Paint:
    import keras
    import tensorflow as tf

    feature_map, variables = work.feature_map, tf.Variable(start)
    optimizer = keras.optimizers.Adam(0.05)
    optimizer.build([variables])
    at_rest = [state.numpy() for state in optimizer.variables]

    @tf.function
    def step() -> None:
        with tf.GradientTape() as tape:
            means = tf.reduce_mean(feature_map(render(variables) * 255), [1, 2])  # [N, units]
            loss = -tf.reduce_sum(tf.gather(means, work.units, batch_dims=1))
        optimizer.apply_gradients([(tape.gradient(loss, variables), variables)])

    def paint(steps: int) -> np.ndarray:
        variables.assign(start)
        for state, value in zip(optimizer.variables, at_rest, strict=True):
            state.assign(value)
        for _ in range(steps):
            step()
        return np.clip(render(variables), 0, 1)

    return paint


def xplique(work: Work, **bare: Any) -> Paint:
    from xplique.features_visualizations import Objective, optimize

    network, side = work.network, (work.size, work.size)

    def paint(steps: int) -> np.ndarray:
        objective = Objective.channel(network, work.layer, work.units)
        pictures, _ = optimize(objective, nb_steps=steps, values_range=(0, 255), custom_shape=side, **bare)
        return pictures[-1].numpy() / 255

    return paint


def tf_keras_vis(work: Work, **bare: Any) -> Paint:
    import tensorflow as tf
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(work.network, ExtractIntermediateLayer(work.layer), clone=False)
    start = tf.random.uniform(work.shape, 0, 255)
    score = CategoricalScore(work.units)
    return lambda steps: np.asarray(climb(score, seed_input=start, steps=steps, **bare)) / 255


class Contender(NamedTuple):
    """Who takes part, and which of the peers must be there for it."""

    begin: Callable[..., Paint]
    peer: str = ""
    bare: Mapping[str, Any] = {}


CONTENDERS = {
    "cnnwidgets": Contender(cnnwidgets),
    "compiled loop by hand, pixels": Contender(pixels_by_hand),
    "compiled loop by hand, our recipe": Contender(fourier_by_hand),
    "xplique 2.0.2, bare": Contender(xplique, "xplique", {"transformations": None}),
    "xplique 2.0.2, as it comes": Contender(xplique, "xplique"),
    "tf-keras-vis 0.8.7, bare": Contender(tf_keras_vis, "tf-keras-vis", {"input_modifiers": [], "regularizers": []}),
    "tf-keras-vis 0.8.7, as it comes": Contender(tf_keras_vis, "tf-keras-vis"),
}
