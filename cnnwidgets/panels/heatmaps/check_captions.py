"""Texts about whether a heatmap can be trusted: sentence, areas, table of methods."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cnnwidgets.explain.faithfulness import RANDOM_ORDERS, Curve, CurvesFrame
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.method_comparison import MethodResult
from cnnwidgets.panels.base import markup
from cnnwidgets.quantities import spoken

PART = 0.2  # of the pixels, for the sentence
SAME = 0.01  # of a random order's area, or of 1 for probabilities: areas that differ by less are the same
VERBS = {"insertion": "inserting"}


def sentence(curve: Curve, name: str, are_shares: bool = True) -> str:
    """What removing a part of the pixels does: in the order of the map, and in random orders.

    Args:
        curve: of the map.
        name: of what is explained.
        are_shares: whether its numbers are probabilities.
    """
    shown = "{:.0%}".format if are_shares else "{:.3g}".format
    first, then = float(curve.values[0]), float(np.interp(PART, curve.fractions, curve.values))
    chance = float(np.interp(PART, curve.fractions, curve.random_values))
    doing = VERBS.get(curve.metric, "removing")
    change = f"leaves {name} at {shown(then)}"
    if shown(first) != shown(then):
        verb = "lowers" if then < first else "raises"
        change = f"{verb} {name} from {shown(first)} to {shown(then)}"
    result = "gives" if curve.metric == "insertion" else "leaves"
    words = (
        f"{doing[:1].upper()}{doing[1:]} the {PART:.0%} that this map calls most important {change}; "
        f"a random {PART:.0%} {result} {shown(chance)}."
    )
    return words.replace("%", " %")


def areas(curve: Curve, are_shares: bool = True) -> str:
    """The areas as numbers, and what they mean."""
    better = "higher" if curve.metric == "insertion" else "lower"
    ahead = curve.area - curve.random_area if better == "higher" else curve.random_area - curve.area
    result = "no better than" if ahead < SAME * (1 if are_shares else abs(curve.random_area)) else "better than"
    return (
        f"Area under the curve: {curve.area:.3f}; of random orders: {curve.random_area:.3f} ({better} is better). "
        f"This map is {result} a random order."
    )


def part(curve: Curve, share: float) -> str:
    """The caption of the picture without a part of its pixels."""
    doing = "with" if curve.metric == "insertion" else "without"
    return f"The picture {doing} the {share:.0%} of its pixels that this map calls most important"


def progress(frame: CurvesFrame) -> str:
    """Which order of the pixels is computed."""
    batches = max(1, frame.steps // (len(frame.curves) + RANDOM_ORDERS))
    number = (frame.step - 1) // batches - len(frame.curves) + 1
    what = "the order of this map" if number < 1 else f"random order {number} of {RANDOM_ORDERS}"
    return f"step {frame.step} of {frame.steps} · {what}"


def tiles(results: Sequence[MethodResult]) -> list[tuple[str, str, str]]:
    """The captions of the grid."""
    return [
        (method_guide.label(one.method), "" if one.curve is None else f"{one.curve.area:.3f}",
         "no map" if one.heat is None else "")
        for one in results
    ]  # fmt: skip


def table(results: Sequence[MethodResult]) -> str:
    """The methods with area and time, as HTML."""
    rows = [
        (method_guide.label(one.method), "" if one.curve is None else f"{one.curve.area:.3f}",
         spoken(one.seconds, tenths=True), one.note)
        for one in results
    ]  # fmt: skip
    return markup.table(("method", "area", "time", "note"), rows, "Heatmap methods, the best first")


def best(results: Sequence[MethodResult]) -> str:
    """Which method names the pixels that matter most, in a sentence."""
    first = results[0].curve if results else None
    if first is None:
        return "No area is known yet."
    order = "largest" if first.metric == "insertion" else "smallest"
    return (
        f"{method_guide.label(results[0].method)} has the {order} area, {first.area:.3f}; random orders of the pixels: "
        f"{first.random_area:.3f}."
    )
