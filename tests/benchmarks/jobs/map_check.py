"""A deletion curve with the random orders beside it; the predictions of all changed pictures bound it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, bare
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "a deletion curve of {steps} steps and 5 random orders, {size} px"
UNIT = "picture"
ORDERS = 6  # the map's and the random ones


def work(quick: bool) -> Work:
    return Work("", 1, 224, 4 if quick else 16)


def per(work: Work) -> int:
    return ORDERS * (work.steps + 1)


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net, photograph = cw.load_network("squeezenet"), work.photographs[0]
    heat = cw.class_activation_map(net, photograph, target=bare.CAT)[0]
    return lambda: cw.faithfulness(net, photograph, heat, bare.CAT, steps=work.steps).values


def by_hand(work: Work) -> Job:
    """As many predictions, in batches of the length of a curve or 8."""
    predict, photograph = bare.forward(work, "logits"), work.photographs[0].astype(np.float32)
    batch = min(8, work.steps + 1)

    def curve() -> np.ndarray:
        left, found = per(work), []
        while left:
            copies = np.repeat(photograph[None], min(batch, left), 0)
            found.append(predict(copies)[:, bare.CAT])
            left -= len(copies)
        return np.concatenate(found)[: work.steps + 1]

    return curve


CONTENDERS = {"cnnwidgets": Contender(ours), "its predictions, compiled by hand": Contender(by_hand)}


def check(work: Work, values: np.ndarray) -> float:
    """The highest value of the curve."""
    if len(values) != work.steps + 1 or not np.isfinite(values).all():
        raise RowFailed(f"no curve: shape {values.shape}")
    return float(values.max())
