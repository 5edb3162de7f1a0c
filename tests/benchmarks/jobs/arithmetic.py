"""The arithmetic of one output value, the pointer over another one each time; a forward pass to the layer bounds it."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, bare
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "the arithmetic of {count} values of `{layer}`, {size} px"
UNIT = "value"


def work(quick: bool) -> Work:
    return Work("", 4 if quick else 20, 224, layer="fire5_expand3x3")


def by_pointer(work: Work) -> Job:
    """As the panel asks: the picture's values are computed once."""
    import cnnwidgets as cw
    from cnnwidgets.activations.convolution import ConvolutionSettings

    plan = ConvolutionSettings(work.layer, 3, 10, 12).check(cw.load_network("squeezenet"), work.photographs[0])
    values = plan.values()
    return lambda: np.array([values.at(3, 10, column).before for column in range(work.count)])


def by_verb(work: Work) -> Job:
    import cnnwidgets as cw

    net, photographs = cw.load_network("squeezenet"), work.photographs
    return lambda: np.array([cw.convolution_at(net, one, work.layer, 3, 10, 12).before for one in photographs])


def by_hand(work: Work) -> Job:
    run, photographs = bare.forward(work, work.layer), work.photographs
    return lambda: np.array([run(one[None])[0, 10, 12, 3] for one in photographs])


CONTENDERS = {
    "cnnwidgets, a new photograph each": Contender(by_verb),
    "cnnwidgets, as the pointer moves": Contender(by_pointer),
    "a forward pass to the layer, compiled by hand": Contender(by_hand),
}


def check(work: Work, values: np.ndarray) -> float:
    """The largest value."""
    if values.shape != (work.count,) or not np.isfinite(values).all():
        raise RowFailed(f"no values: shape {values.shape}")
    return float(values.max())
