"""Texts of a UnitAttributionPanel: headings, captions, notes, sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain import targets
from cnnwidgets.explain.overlays.unit_tiles import COLORS
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.unit_attribution.unit_rows_run import UnitRowsFrame, UnitsRequest

LIKELY = 5  # classes that are shown as bars


def about(request: UnitsRequest, unit: int) -> str:
    """What is explained, in words: a class with the classes that it is compared with, a number, or a function."""
    net, asked = request.net, request.settings
    wanted = targets.named(net, asked.target, asked.output, asked.of, asked.against)
    return targets.describe(net, wanted, unit)


def explained(frame: UnitRowsFrame) -> str:
    """What a frame explains."""
    target = frame.shown.target
    return about(frame.request, -1 if callable(target) else target)


def are_class_scores(request: UnitsRequest) -> bool:
    """Whether the output that is explained gives class scores; else nothing is called a class."""
    outputs = request.net.outputs
    return outputs[find_output(request.settings.output, outputs)].is_class_scores


def _is_dense(request: UnitsRequest) -> bool:
    """Whether a class is predicted at each position, so that predictions are shares of the pixels."""
    outputs = request.net.outputs
    return are_class_scores(request) and len(outputs[find_output(request.settings.output, outputs)].shape) == 3


def headings(frame: UnitRowsFrame) -> tuple[str, str]:
    """Over the rows for and against, or over the rows at a place and nothing."""
    if frame.request.place is None:
        return f"Strongest for {explained(frame)}", f"Strongest against {explained(frame)}"
    row, column = frame.request.place
    return f"At x {column}, y {row}, strongest first", ""


def share(frame: UnitRowsFrame, unit: int) -> str:
    """A unit's share in words."""
    value = float(frame.shares[unit])
    where = "" if frame.request.place is None else " at this position"
    if value == 0:
        return f"unit {unit} has no part in {explained(frame)}{where}"
    side = "for" if value > 0 else "against"
    return f"unit {unit}: {value:+.3g}{where}, {side} {explained(frame)}"


def caption(frame: UnitRowsFrame | None, unit: int | None) -> str:
    """Under the photograph: its text equivalent."""
    if frame is None:
        return "The photograph"
    if frame.maps.why_none:
        return f"The photograph. {frame.maps.why_none} There are shares without a position."
    whose = "all units together" if unit is None else f"unit {unit}"
    at = ""
    if frame.request.place is not None:
        row, column = frame.request.place
        at = f" The frame is at x {column}, y {row}."
    return f"Evidence of {whose} at {frame.shown.path} for {explained(frame)}.{at}"


def legend(frame: UnitRowsFrame, unit: int | None) -> str:
    """The color scale of the evidence on the photograph, as HTML."""
    table = pictures.to_uint8(pictures.colormap(COLORS)[::17])
    parts = frame.shown.parts
    largest = f"{float(np.abs(parts.sum(-1) if unit is None else parts[..., unit]).max()):.3g}"
    words = f"Red is evidence for {explained(frame)}, blue is evidence against it."
    return markup.legend([(int(r), int(g), int(b)) for r, g, b in table], 0, f"-{largest}", largest, words)


def conclusion(frame: UnitRowsFrame) -> str:
    """What is seen, and what to try next; what is to be noted comes first."""
    note = frame.shown.note
    if note:
        return f"{note[:1].upper()}{note[1:]}."
    if not frame.rows or not frame.shares[frame.rows[0]]:
        return f"No unit of {frame.shown.path} has a part in {explained(frame)} here. Choose another position or layer."
    first = f"{share(frame, frame.rows[0])}, is the strongest."
    whole = (
        f" All shares of {frame.shown.path} add up to {frame.shown.total:+.3g}; the value is {frame.shown.value:.3g}."
    )
    return f"{first[:1].upper()}{first[1:]}{whole} Uncheck units to see the prediction without them."


def lines_of(
    before: Sequence[Prediction], after: Sequence[Prediction], target: int | None
) -> tuple[list[tuple[str, float, float]], int | None]:
    """Names with both numbers: the most probable before and after and the target; and the target's place among them."""
    numbers = {line.index: line.probability for line in after}
    top = {line.index for line in [*before[:LIKELY], *after[:2]]} | {target}
    kept = [line for line in before if line.index in top]
    at = next((place for place, line in enumerate(kept) if line.index == target), None)
    return [(line.name, line.probability, numbers[line.index]) for line in kept], at


def change(request: UnitsRequest, before: Sequence[Prediction], after: Sequence[Prediction], target: int) -> str:
    """What switching units off has changed, in a sentence."""
    lines, at = lines_of(before, after, target)
    name, first, then = lines[at or 0]
    name = f"the share of pixels of {name}" if _is_dense(request) else name
    is_scores = are_class_scores(request)
    shown = markup.percent if is_scores else "{:.4g}".format
    if shown(first) == shown(then):
        moved = f"{name} stays at {shown(then)}"
    else:
        moved = f"{name} {'falls' if then < first else 'rises'} from {shown(first)} to {shown(then)}"
    top_before, top = before[0].name, after[0].name
    other = f" The network then predicts {top}." if is_scores and top != top_before else ""
    return f"{moved}.{other}"


def switched_off(without: Mapping[str, Sequence[int]]) -> str:
    """Which units are off."""
    parts = [
        f"{'unit' if len(units) == 1 else 'units'} {', '.join(map(str, units))} of {path}"
        for path, units in without.items()
    ]
    return " and ".join(parts)
