"""Grad-CAM of photographs, a new one each time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.benchmarks.jobs import Contender, Job
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "Grad-CAM of {count} photographs, {size} px"
UNIT = "photograph"
CAT = 285


def work(quick: bool) -> Work:
    return Work("", 4 if quick else 20, 224, layer="fire9_concat")


def _each(work: Work, explain: Callable[[np.ndarray], np.ndarray]) -> Job:
    photographs = work.photographs
    return lambda: np.stack([explain(photograph) for photograph in photographs])


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return _each(work, lambda photograph: cw.class_activation_map(net, photograph, work.layer, CAT)[0].map)


def by_hand(work: Work, compiled: bool) -> Job:
    """The Keras tutorial's function, a model of activations and classes made once."""
    import tensorflow as tf

    heat = _heat(work.up_to(work.layer, "logits"))
    return _each(work, _enlarged(tf.function(heat) if compiled else heat, work.size))


def _heat(both: object) -> Callable[[object], object]:
    """A picture -> its map, from a model that gives activation and logits."""
    import tensorflow as tf

    def heat(picture: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(picture)
            activation, logits = both(picture)  # type: ignore[operator]
            value = logits[:, CAT]
        weights = tf.reduce_mean(tape.gradient(value, activation), [0, 1, 2])
        found = tf.maximum(tf.reduce_sum(activation[0] * weights, -1), 0)
        return found / tf.reduce_max(found)

    return heat


def _enlarged(heat: Callable[..., object], size: int) -> Callable[[np.ndarray], np.ndarray]:
    import tensorflow as tf

    def explain(photograph: np.ndarray) -> np.ndarray:
        found = heat(tf.constant(photograph[None], tf.float32))
        return tf.image.resize(found[..., None], (size, size)).numpy()[..., 0]  # type: ignore[index]

    return explain


def xplique(work: Work) -> Job:
    import tensorflow as tf
    from xplique.attributions import GradCAM

    cam, target = GradCAM(work.up_to("logits"), conv_layer=work.layer), tf.one_hot([CAT], 1000)
    return _each(work, lambda photograph: np.asarray(cam(photograph[None].astype(np.float32), target))[0].squeeze())


def tf_keras_vis(work: Work) -> Job:
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    cam, score = Gradcam(work.up_to("logits"), clone=False), CategoricalScore([CAT])
    return _each(
        work, lambda photograph: cam(score, photograph[None].astype(np.float32), penultimate_layer=work.layer)[0]
    )


def tf_explain(work: Work) -> Job:
    from tf_explain.core.grad_cam import GradCAM

    cam, network = GradCAM(), work.up_to("logits")

    def explain(photograph: np.ndarray) -> np.ndarray:
        data = photograph[None].astype(np.float32), None
        return cam.explain(data, network, CAT, work.layer).mean(-1)  # a colored overlay is all that it gives

    return _each(work, explain)


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "the Keras tutorial's function, compiled": Contender(by_hand, settings={"compiled": True}),
    "the Keras tutorial's function": Contender(by_hand, settings={"compiled": False}, is_slow=True),
    "xplique 2.0.2": Contender(xplique, "xplique"),
    "tf-keras-vis 0.8.7": Contender(tf_keras_vis, "tf-keras-vis", is_slow=True),
    "tf-explain 0.3.1": Contender(tf_explain, "tf-explain", is_slow=True),
}


def check(work: Work, maps: np.ndarray) -> float:
    """How far from one another the maps' values lie."""
    spread = float(maps.max() - maps.min())
    if maps.shape != (work.count, work.size, work.size) or not spread > 0 or not np.isfinite(maps).all():
        raise RowFailed(f"maps nothing: shape {maps.shape}, spread {spread:.3g}")
    return spread
