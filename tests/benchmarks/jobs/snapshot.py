"""A snapshot of a training: pictures of 8 units, feature maps and a heatmap; the same steps and passes bound it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, bare, loops
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "a snapshot: {count} units of `{layer}`, {size} px, {steps} steps, maps and a heatmap"
UNIT = "snapshot"


def work(quick: bool) -> Work:
    return Work("", 8, 48, 4 if quick else 16)


def per(_work: Work) -> int:
    return 1


def ours(work: Work) -> Job:
    import cnnwidgets as cw
    from cnnwidgets.training.request import RecorderSettings

    settings = RecorderSettings(work.layer, range(work.count), size=work.size, steps=work.steps, target=bare.CAT)
    request = settings.check(cw.load_network("squeezenet"), work.photographs[0])
    return lambda: request.snapshot(0, 0, {}).pictures


def by_hand(work: Work) -> Job:
    start, render = loops.fourier(work, 1.0)
    objective = loops.means(work.feature_map, range(work.count))
    paint = loops.adam(work, start, lambda x: loops.rolled(render(x)), objective, render)
    full = Work(work.network_file, 1, 224, layer=work.layer)
    explained = Work(work.network_file, 1, 224, layer="fire9_concat")
    maps, heat, photograph = bare.forward(full, work.layer), bare.backward(explained), full.photographs[0][None]

    def snapshot() -> np.ndarray:
        maps(photograph)
        heat(photograph)
        return np.asarray(paint())

    return snapshot


CONTENDERS = {"cnnwidgets": Contender(ours), "its steps and passes, compiled by hand": Contender(by_hand)}


def check(work: Work, pictures: np.ndarray) -> float:
    """How far from one another the pictures' values lie."""
    spread = float(np.std(pictures))
    if pictures.shape != work.shape or not spread > 0:
        raise RowFailed(f"shows nothing: shape {pictures.shape}, spread {spread:.3g}")
    return spread
