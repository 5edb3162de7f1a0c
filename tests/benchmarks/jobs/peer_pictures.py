"""Pictures of units and classes by other packages."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.benchmarks.jobs import Contender, Job
from tests.benchmarks.work import Work


def contenders(kind: str, units: Callable[[Work], list[int]]) -> dict[str, Contender]:
    """The peers, each bare and as it comes; `kind` is what xplique calls what is optimized: "channel" or "neuron"."""
    xplique_, vis = functools.partial(xplique, kind, units), functools.partial(tf_keras_vis, units)
    plain = {"input_modifiers": [], "regularizers": []}
    return {
        "xplique 2.0.2, bare": Contender(xplique_, "xplique", {"transformations": None}),
        "xplique 2.0.2, as it comes": Contender(xplique_, "xplique", is_slow=True),
        "tf-keras-vis 0.8.7, bare": Contender(vis, "tf-keras-vis", plain, is_slow=True),
        "tf-keras-vis 0.8.7, as it comes": Contender(vis, "tf-keras-vis", is_slow=True),
    }


def xplique(kind: str, units: Callable[[Work], list[int]], work: Work, **bare: Any) -> Job:
    import tensorflow as tf
    from xplique.features_visualizations import Objective, optimize

    network, side = work.network, (work.size, work.size)

    def paint() -> np.ndarray:
        objective = getattr(Objective, kind)(network, work.layer, units(work))
        pictures, _ = optimize(objective, nb_steps=work.steps, values_range=(0, 255), custom_shape=side, **bare)
        return np.asarray(tf.convert_to_tensor(pictures[-1])) / 255

    return paint


def tf_keras_vis(units: Callable[[Work], list[int]], work: Work, **bare: Any) -> Job:
    import tensorflow as tf
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(work.network, ExtractIntermediateLayer(work.layer), clone=False)
    start, score = tf.random.uniform(work.shape, 0, 255), CategoricalScore(units(work))
    return lambda: np.asarray(climb(score, seed_input=start, steps=work.steps, **bare)) / 255
