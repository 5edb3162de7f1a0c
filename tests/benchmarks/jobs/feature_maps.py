"""The feature maps of all convolutions."""

from __future__ import annotations

import numpy as np

from tests.benchmarks.jobs import Contender, Job
from tests.benchmarks.process import RowFailed
from tests.benchmarks.work import Work

TITLE = "feature maps of all convolutions for {count} photographs, {size} px"
UNIT = "photograph"


def work(quick: bool) -> Work:
    return Work("", 4 if quick else 20, 224)


def ours(work: Work) -> Job:
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    return lambda: [list(cw.feature_maps(net, photograph).values()) for photograph in work.photographs]


def by_model(work: Work, way: str) -> Job:
    """A model of all convolutions, made once, asked in the way of a tutorial."""
    import tensorflow as tf

    every = work.up_to(*[layer.name for layer in work.network.layers if type(layer).__name__ == "Conv2D"])
    ask = {
        "predict": lambda batch: every.predict(batch, verbose=0),
        "called": every,
        "compiled": tf.function(every),
    }[way]
    batches = [photograph[None].astype(np.float32) for photograph in work.photographs]
    return lambda: [[np.asarray(found)[0] for found in ask(tf.constant(batch))] for batch in batches]


CONTENDERS = {
    "cnnwidgets": Contender(ours),
    "a model of all outputs, compiled": Contender(by_model, settings={"way": "compiled"}),
    "a model of all outputs, called": Contender(by_model, settings={"way": "called"}),
    "a model of all outputs, `predict`": Contender(by_model, settings={"way": "predict"}),
}


def check(work: Work, maps: list[list[np.ndarray]]) -> float:
    """How many maps there are for a photograph."""
    found = sum(one.shape[-1] for one in maps[-1])
    if len(maps) != work.count or not all(one.any() for one in maps[-1]):
        raise RowFailed(f"gives {len(maps)} of {work.count}")
    return float(found)
