"""The units that carried a decision, for a new photograph each time; one forward and one backward pass bound it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, bare, class_maps
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "the units behind a decision, {count} photographs, {size} px"
UNIT = "photograph"
work = class_maps.work


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda: np.stack([
        cw.unit_attribution(net, photograph, work.layer, bare.CAT)[0].shares for photograph in work.photographs
    ])  # fmt: skip


def by_hand(work: Work) -> Job:
    passes = bare.backward(work)

    def shares(photograph: np.ndarray) -> np.ndarray:
        activation, gradient = passes(photograph[None])
        return np.asarray((activation * gradient).sum((0, 1, 2)))

    return lambda: np.stack([shares(photograph) for photograph in work.photographs])


CONTENDERS = {"cnnwidgets": Contender(ours), "its passes, compiled by hand": Contender(by_hand)}


def check(work: Work, shares: np.ndarray) -> float:
    """The largest share."""
    if shares.shape[0] != work.count or not np.isfinite(shares).all() or not shares.any():
        raise RowFailed(f"explains nothing: shape {shares.shape}")
    return float(shares.max())
