"""Grad-CAM of one photograph, another class each time: what a class menu asks."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job, class_maps
from tests.benchmarks.work import Work

TITLE = "Grad-CAM of {count} classes of one photograph, {size} px"
UNIT = "class"
work, check = class_maps.work, class_maps.check


def by_probe(work: Work) -> Job:
    import cnnwidgets as cw
    from cnnwidgets.explain.class_activation_map import MapSettings
    from cnnwidgets.explain.passes import Probe

    probe = Probe(cw.load_network("squeezenet"), work.photographs[0])

    def explain(target: int) -> np.ndarray:
        *_, last = MapSettings(work.layer, target).check(probe).frames()
        return last.result()[0].map

    return lambda: np.stack([explain(class_maps.CAT - i) for i in range(work.count)])


def by_verb(work: Work) -> Job:
    import cnnwidgets as cw

    net, photograph = cw.load_network("squeezenet"), work.photographs[0]
    targets = [class_maps.CAT - i for i in range(work.count)]
    return lambda: np.stack([cw.class_activation_map(net, photograph, work.layer, one)[0].map for one in targets])


CONTENDERS = {
    "cnnwidgets, as the panel asks": Contender(by_probe),
    "cnnwidgets, a full call each": Contender(by_verb),
}
