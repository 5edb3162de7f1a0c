"""A gallery: units of one layer, climbed side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.jobs import Contender, Job, loops
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "{count} units of `{layer}`, {size} px, {steps} steps"
UNIT = "picture-step"
FIRST = 16  # these fire by themselves; #9 never does, and only this package would spend time on finding that out


def work(quick: bool) -> Work:
    return Work("", 16, 64, 8) if quick else Work("", 16, 128, 64)


def per(work: Work) -> int:
    return work.count * work.steps


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


def xplique(work: Work, **bare: Any) -> Job:
    from xplique.features_visualizations import Objective, optimize

    network, side = work.network, (work.size, work.size)

    def paint() -> np.ndarray:
        objective = Objective.channel(network, work.layer, units(work))
        pictures, _ = optimize(objective, nb_steps=work.steps, values_range=(0, 255), custom_shape=side, **bare)
        return pictures[-1].numpy() / 255

    return paint


def tf_keras_vis(work: Work, **bare: Any) -> Job:
    import tensorflow as tf
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(work.network, ExtractIntermediateLayer(work.layer), clone=False)
    start, score = tf.random.uniform(work.shape, 0, 255), CategoricalScore(units(work))
    return lambda: np.asarray(climb(score, seed_input=start, steps=work.steps, **bare)) / 255


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "compiled loop by hand, pixels": Contender(pixels_by_hand),
    "compiled loop by hand, our recipe": Contender(fourier_by_hand),
    "xplique 2.0.2, bare": Contender(xplique, "xplique", {"transformations": None}),
    "xplique 2.0.2, as it comes": Contender(xplique, "xplique", is_slow=True),
    "tf-keras-vis 0.8.7, bare": Contender(
        tf_keras_vis, "tf-keras-vis", {"input_modifiers": [], "regularizers": []}, is_slow=True
    ),
    "tf-keras-vis 0.8.7, as it comes": Contender(tf_keras_vis, "tf-keras-vis", is_slow=True),
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
