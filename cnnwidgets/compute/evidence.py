"""From signed evidence to a heatmap: shares of the largest, the picture's own size, and a word on what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.compute.frame import Array
from cnnwidgets.errors import JobFailed

ROUNDING = 1e-6  # of a map's largest value: smaller differences are no evidence


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """Evidence for a target, place by place.

    Attributes:
        map: [H, W] float32, 0..1, at the picture's own size: what speaks for the target, divided by its largest value.
        raw: float32, the signed evidence: [h, w] at the layer's own size; for an attribution [H, W] at the picture's.
        path: of the layer; "" for an attribution.
        call: which call of the layer, in the order Keras runs them.
        input: the picture input that this call sees; `None` where it sees several.
        note: "" or what to know about this map, beginning with a keyword: "no positive evidence: ...".
    """

    map: Array
    raw: Array
    path: str
    call: int
    input: str | None
    note: str = ""

    def __repr__(self) -> str:
        """One line, not a screen of numbers."""
        (h, w), (height, width) = self.raw.shape, self.map.shape
        note = f", {self.note.partition(':')[0]!r}" if self.note else ""
        return f"Heatmap({self.path!r}, call {self.call}, input {self.input!r}, {h} x {w} for {height} x {width}{note})"


@dataclass(frozen=True, eq=False, repr=False)
class HeatmapFrame:
    """The heatmaps as far as a slow method has come.

    Attributes:
        heatmaps: those that are begun.
        step: 1, 2, ... `steps`.
        steps: how many there will be.
        values: [n], the number that each explains; NaN for a method that explains none.
    """

    heatmaps: tuple[Heatmap, ...]
    step: int
    steps: int
    values: Array

    @property
    def notes(self) -> tuple[str, ...]:
        """The note of each heatmap."""
        return tuple(heat.note for heat in self.heatmaps)

    def result(self) -> list[Heatmap]:
        """What the verb would return if the run ended here."""
        return list(self.heatmaps)

    def __repr__(self) -> str:
        """One line."""
        return f"HeatmapFrame(step {self.step} of {self.steps}, {len(self.heatmaps)} heatmaps)"


class Sight(NamedTuple):
    """What a heatmap is of.

    Attributes:
        size: (height, width) of the picture as it was given.
        path: of the layer, or "".
        call: which call of the layer.
        input: the picture input that is seen, `None` for several.
    """

    size: tuple[int, int]
    path: str
    call: int
    input: str | None


class Verdict(NamedTuple):
    """What is to be said about a map.

    Attributes:
        notes: about the method, or the target.
        silence: where all of the map is zero.
        about: the target in words.
    """

    notes: tuple[str, ...]
    silence: str
    about: str


def finish(raw: Array, verdict: Verdict, sight: Sight) -> Heatmap:
    """The positive evidence as shares of its largest, at the picture's size, and what is to be said about it.

    Raises:
        JobFailed: for a map that is not finite.
    """
    if not np.isfinite(raw).all():
        raise JobFailed("The map is not finite, although the network's numbers are. Choose another method or layer.")
    raw = np.asarray(raw, np.float32)
    notes = (*_about(raw, verdict), *verdict.notes)
    positive = np.maximum(raw, 0) * (raw.max() > ROUNDING * np.abs(raw).max())
    stretched = np.maximum(pictures_.resize(positive, sight.size), 0)
    largest = stretched.max()
    shares = stretched / largest if largest > 0 else np.zeros(sight.size, np.float32)
    return Heatmap(shares, raw, sight.path, sight.call, sight.input, "; ".join(notes))


def _about(raw: Array, verdict: Verdict) -> tuple[str, ...]:
    """What is to be said about the numbers of a map."""
    largest = np.abs(raw).max()
    if largest == 0:
        return (verdict.silence,)
    if raw.max() <= ROUNDING * largest:
        return (
            f"no positive evidence: everything here speaks against {verdict.about}, so the map is empty; "
            "see `raw`, where it is negative, or explain another class",
        )
    if raw.size == 1:
        return ("flat: the layer has only one place; choose an earlier one",)
    if raw.max() - raw.min() <= ROUNDING * largest:
        return (f"flat: every place speaks alike for {verdict.about}",)
    return ()
