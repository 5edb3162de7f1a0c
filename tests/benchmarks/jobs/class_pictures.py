"""Pictures that maximise classes, by their logits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.benchmarks.jobs import Contender, Job, loops
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "{count} class pictures, {size} px, {steps} steps"
UNIT = "picture-step"
CLASSES = (1, 28, 130, 291, 340, 417, 463, 933)  # goldfish, salamander, flamingo, lion, zebra, balloon, bucket, burger


def work(quick: bool) -> Work:
    return Work("", 8, 64, 8, "logits") if quick else Work("", 8, 128, 64, "logits")


def per(work: Work) -> int:
    return work.count * work.steps


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda: cw.visualize_classes(net, CLASSES, work.size, work.steps).pictures


def by_hand(work: Work) -> Job:
    start, render = loops.fourier(work, 1.25)
    objective = loops.means(work.feature_map, CLASSES)
    return loops.adam(work, start, lambda x: loops.cropped(render(x)), objective, render)


def xplique(work: Work, **bare: Any) -> Job:
    import tensorflow as tf
    from xplique.features_visualizations import Objective, optimize

    network, side = work.network, (work.size, work.size)

    def paint() -> np.ndarray:
        objective = Objective.neuron(network, work.layer, list(CLASSES))
        pictures, _ = optimize(objective, nb_steps=work.steps, values_range=(0, 255), custom_shape=side, **bare)
        return np.asarray(tf.convert_to_tensor(pictures[-1])) / 255

    return paint


def tf_keras_vis(work: Work, **bare: Any) -> Job:
    import tensorflow as tf
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ExtractIntermediateLayer
    from tf_keras_vis.utils.scores import CategoricalScore

    climb = ActivationMaximization(work.network, ExtractIntermediateLayer(work.layer), clone=False)
    start, score = tf.random.uniform(work.shape, 0, 255), CategoricalScore(list(CLASSES))
    return lambda: np.asarray(climb(score, seed_input=start, steps=work.steps, **bare)) / 255


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "compiled loop by hand, crops and noise": Contender(by_hand),
    "xplique 2.0.2, bare": Contender(xplique, "xplique", {"transformations": None}),
    "xplique 2.0.2, as it comes": Contender(xplique, "xplique", is_slow=True),
    "tf-keras-vis 0.8.7, bare": Contender(
        tf_keras_vis, "tf-keras-vis", {"input_modifiers": [], "regularizers": []}, is_slow=True
    ),
    "tf-keras-vis 0.8.7, as it comes": Contender(tf_keras_vis, "tf-keras-vis", is_slow=True),
}


def check(work: Work, pictures: np.ndarray) -> float:
    """The mean logit of the pictures' own classes; that of noise is near zero."""
    logits = work.answers(pictures, work.layer)
    own = float(np.mean([logits[i, one] for i, one in enumerate(CLASSES)]))
    if not own > 2 * abs(float(logits.mean())):
        raise RowFailed(f"paints nothing: the classes' mean logit is {own:.3g}, that of all {logits.mean():.3g}")
    return own
