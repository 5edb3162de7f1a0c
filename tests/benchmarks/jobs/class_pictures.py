"""Pictures that maximise classes, by their logits."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, loops, peer_pictures
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "{count} class pictures, {size} px, {steps} steps"
UNIT = "picture-step"
CLASSES = (1, 28, 130, 291, 340, 417, 463, 933)  # goldfish, salamander, flamingo, lion, zebra, balloon, bucket, burger


def work(quick: bool) -> Work:
    return Work("", 8, 64, 8, "logits") if quick else Work("", 8, 128, 64, "logits")


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda: cw.visualize_classes(net, CLASSES, work.size, work.steps).pictures


def by_hand(work: Work) -> Job:
    start, render = loops.fourier(work, 1.25)
    objective = loops.means(work.feature_map, CLASSES)
    return loops.adam(work, start, lambda x: loops.cropped(render(x)), objective, render)


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "compiled loop by hand, crops and noise": Contender(by_hand),
    **peer_pictures.contenders("neuron", lambda work: list(CLASSES)),
}


def check(work: Work, pictures: np.ndarray) -> float:
    """The mean logit of the pictures' own classes; that of noise is near zero."""
    logits = work.answers(pictures, work.layer)
    own = float(np.mean([logits[i, one] for i, one in enumerate(CLASSES)]))
    if not own > 2 * abs(float(logits.mean())):
        raise RowFailed(f"paints nothing: the classes' mean logit is {own:.3g}, that of all {logits.mean():.3g}")
    return own
