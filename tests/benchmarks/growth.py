"""How cost grows with units, size, steps, depth and network: seconds and memory against the operations it takes.

    python -m tests.benchmarks.growth growth.png

Each series is a process of its own. A line is straight where the seconds follow the operations; its slope is the
machine's speed at this work.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks import process, table

RANDOM = {"VGG16": "block4_conv2", "ResNet50": "conv3_block2_out", "InceptionV3": "mixed3"}


class Point(NamedTuple):
    """One measured run."""

    name: str
    net: Any
    layer: str
    count: int
    size: int
    steps: int


def series(what: str) -> Iterator[Point]:
    import cnnwidgets as cw

    squeezenet = cw.load_network("squeezenet")
    if what == "units":
        yield from (Point(str(n), squeezenet, "fire8_concat", n, 64, 8) for n in (1, 8, 16, 64, 256, 512))
    elif what == "size":
        yield from (Point(str(n), squeezenet, "fire5_concat", 16, n, 4) for n in (64, 128, 256, 512, 1024))
    elif what == "steps":
        yield from (Point(str(n), squeezenet, "fire5_concat", 16, 64, n) for n in (8, 32, 64, 128))
    elif what == "depth":
        layers = ("conv1", "fire2_concat", "fire3_concat", "fire5_concat", "fire7_concat", "fire9_concat")
        yield from (Point(layer, squeezenet, layer, 16, 128, 8) for layer in layers)
    else:
        yield Point("squeezenet", squeezenet, "fire8_concat", 16, 128, 4)
        yield Point("efficientnet_lite0", cw.load_network("efficientnet_lite0"), "block10_add", 16, 128, 4)
        for name, layer in RANDOM.items():
            import keras

            model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(None, None, 3))
            yield Point(name, cw.Network(model), layer, 16, 128, 4)


def measured(point: Point) -> process.Numbers:
    """The run itself, without what is tried again for silent units: once to trace, once to measure."""
    from cnnwidgets.frame import last_of
    from cnnwidgets.model.tracing.cost import forward_flops
    from cnnwidgets.visualize.batches import optimize
    from cnnwidgets.visualize.units import UnitsSettings

    plan = UnitsSettings(point.layer, range(point.count), point.size, point.steps).check(point.net)
    next(optimize(plan)).pictures  # noqa: B018
    if len(plan.groups[-1]) != len(plan.groups[0]):
        for _ in zip(optimize(plan), range(len(plan.groups)), strict=False):
            pass
    start = time.perf_counter()
    last_of(optimize(plan)).pictures  # noqa: B018
    seconds = time.perf_counter() - start
    painted = sum(map(len, plan.groups)) * point.steps
    work = 2e-9 * forward_flops(point.net, point.layer, plan.canvas) * painted
    return {"GFLOP": work, "seconds": seconds, "memory": process.peak_memory()}


def main(picture: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 3.2), layout="constrained")
    for axes, what in zip(figure.subplots(1, 5), ("units", "size", "steps", "depth", "network"), strict=True):
        points = process.run("growth", what)
        names = list(dict.fromkeys(key.split("|")[0] for key in points if "|" in key))
        work, seconds, memory = (
            np.array([points[f"{name}|{number}"] for name in names]) for number in ("GFLOP", "seconds", "memory")
        )
        rows = zip(names, work, seconds, seconds / work, memory, strict=True)
        cells = {name: (f"{w:.3g}", f"{s:.3g}", f"{1000 * each:.3g}", f"{m:.0f}") for name, w, s, each, m in rows}
        print(table.markdown((what, "GFLOP", "s", "ms a GFLOP", "peak MB"), cells), end="\n\n", flush=True)
        axes.plot(work, seconds, "o-")
        for name, x, y in zip(names, work, seconds, strict=True):
            axes.annotate(name, (x, y), fontsize=7)
        axes.set(title=f"by {what}", xlabel="GFLOP", ylabel="s", xlim=(0, None), ylim=(0, None))
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    given = sys.argv[1]
    if given.startswith("["):
        (what,) = process.arguments()
        found = {f"{point.name}|{key}": value for point in series(what) for key, value in measured(point).items()}
        process.report(**found)
    else:
        main(Path(given))
