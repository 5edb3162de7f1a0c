"""What a person waits for beyond the work itself: the first frame, the two-hundredth render, the panel around it.

python -m tests.benchmarks.waiting '["first"]'
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

from tests.benchmarks import process

UNITS, SIZE, STEPS = range(16), 64, 32
ROUNDS = 5


def _seconds(do: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    do()
    return clock() - start


def first() -> process.Numbers:
    """Until the first frame is read: of layers that are new to a warm process, and of other units of such a layer."""
    import cnnwidgets as cw
    from cnnwidgets.visualize.units import UnitsSettings

    net = cw.load_network("squeezenet")

    def frame(layer: str, units: range = UNITS) -> None:
        next(UnitsSettings(layer, units, SIZE, STEPS).check(net).frames()).pictures  # noqa: B018

    frame("fire2_concat")
    new = [_seconds(lambda layer=layer: frame(layer)) for layer in ("fire3_concat", "fire5_concat", "fire8_concat")]
    other = min(_seconds(lambda: frame("fire5_concat", range(16, 32))) for _ in range(ROUNDS))
    return {"new layer, s": min(new), "slowest new layer, s": max(new), "other units, s": other}


def steady() -> process.Numbers:
    """Two hundred renders over sixteen layers: are the last as quick as the early ones, and what stays behind?"""
    import cnnwidgets as cw
    from cnnwidgets.frame import last_of
    from cnnwidgets.visualize.batches import optimize
    from cnnwidgets.visualize.units import UnitsSettings

    net = cw.load_network("squeezenet")
    layers = [f"fire{i}_{part}" for i in range(2, 10) for part in ("squeeze1x1", "concat")]
    seconds: list[float] = []
    held = 0.0
    for count, layer in enumerate(itertools.islice(itertools.cycle(layers), 200)):
        seconds.append(
            _seconds(lambda layer=layer: last_of(optimize(UnitsSettings(layer, range(8), 32, 4).check(net))).pictures)
        )
        if count == 2 * len(layers):
            held = process.memory_now()
    early, late = (_by_layer(seconds, start, len(layers)) for start in (len(layers), 200 - 200 % len(layers) - 16))
    return {"late over early": late / early, "memory since the third round, MB": process.memory_now() - held}


def _by_layer(seconds: list[float], start: int, count: int) -> float:
    """The sum over one round of all layers."""
    return sum(seconds[start : start + count])


def panel() -> process.Numbers:
    """A gallery's panel that nobody watches, over the bare verb, in processor time; in turn, the least of each."""
    import cnnwidgets as cw

    net = cw.load_network("squeezenet")
    ways: dict[str, Callable[[], Any]] = {
        "verb": lambda: cw.visualize_units(net, "fire5_concat", range(16, 32), 128, STEPS),
        "panel": lambda: cw.FilterGallery(net, "fire5_concat", range(16, 32), 128, STEPS).run(),
    }
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS + 1):
        for name, way in ways.items():
            least[name] = min(least[name], _seconds(way, time.process_time))
    return {"panel over verb": least["panel"] / least["verb"]}


if __name__ == "__main__":
    (what,) = process.arguments()
    process.report(**{"first": first, "steady": steady, "panel": panel}[what]())
