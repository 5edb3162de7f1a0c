"""Where concepts are in a new photograph; a forward pass to their layer bounds it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, bare
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "the maps of 4 concepts, {count} photographs, {size} px"
UNIT = "photograph"


def work(quick: bool) -> Work:
    return Work("", 4 if quick else 12, 224, layer="fire9_concat")


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net, photographs = cw.load_network("squeezenet"), work.photographs
    found = cw.concepts(net, photographs[:4], work.layer, bare.CAT, count=4)
    return lambda: np.stack([found.maps(photograph)[0].map for photograph in photographs])


def by_hand(work: Work) -> Job:
    run, photographs = bare.forward(work, work.layer), work.photographs
    return lambda: np.stack([run(photograph[None])[0].mean(-1) for photograph in photographs])


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "a forward pass to the layer, compiled by hand": Contender(by_hand),
}


def check(work: Work, maps: np.ndarray) -> float:
    """The largest value."""
    if len(maps) != work.count or not np.isfinite(maps).all() or not maps.any():
        raise RowFailed(f"maps nothing: shape {maps.shape}")
    return float(maps.max())
