"""From signed evidence to a heatmap: shares of the largest, the picture's own size, and a word on what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from cnnwidgets.errors import JobFailed
from cnnwidgets.frame import Array
from cnnwidgets.model.geometry.placement import Placement

ROUNDING = 1e-6  # of a map's largest value: smaller differences are no evidence
MOSTLY = 0.1  # of the evidence: where less than this share is positive, the note says so
FAINT, FEW = 0.05, 0.02  # a map covers almost nothing where less than FEW of it reaches FAINT of its largest value

# What the numbers of a map are. "evidence": signed, and the map shows the positive part. "parts": signed, and the map
# shows the magnitude. "slopes": the sign tells how a pixel would have to change, so that the map shows the magnitude.
Kind = Literal["evidence", "parts", "slopes"]


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """Evidence for a target, place by place.

    Attributes:
        map: [H, W] float32, 0..1, at the picture's own size, divided by its largest value: the positive evidence; for
            an attribution by gradients the magnitude of `raw`.
        raw: float32, the signed evidence: [h, w] at the layer's own size; for an attribution [H, W] at the picture's.
        path: of the layer; "" for an attribution.
        call: which call of the layer, in the order Keras runs them.
        input: the picture input that this call sees; `None` where it sees several.
        note: "" or what to know about this map, beginning with a keyword: "no positive evidence: ...".
        placement: where the cells of `raw` lie on the picture; over the whole of it where none is given.
    """

    map: Array
    raw: Array
    path: str
    call: int
    input: str | None
    note: str = ""
    placement: Placement | None = field(default=None, repr=False)

    @property
    def signed(self) -> Array:
        """[H, W] float32: `raw` laid over the picture, in its own units and with its signs."""
        return (self.placement or Placement.plain(self.raw.shape, self.map.shape)).lay(self.raw)

    def evidence_at(self, row: int, column: int) -> float:
        """The entry of `raw` that lies at a pixel; 0 where the layer does not see it."""
        placement = self.placement or Placement.plain(self.raw.shape, self.map.shape)
        cell = placement.cell(row, column)
        return 0.0 if cell is None else float(self.raw[cell])

    def __repr__(self) -> str:
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
        return f"HeatmapFrame(step {self.step} of {self.steps}, {len(self.heatmaps)} heatmaps)"


class Sight(NamedTuple):
    """What a heatmap is of.

    Attributes:
        placement: where its cells lie on the picture as it was given.
        path: of the layer, or "".
        call: which call of the layer.
        input: the picture input that is seen, `None` for several.
        notes: on what the layer's cells are.
    """

    placement: Placement
    path: str
    call: int
    input: str | None
    notes: tuple[str, ...] = ()


class Verdict(NamedTuple):
    """What is to be said about a map.

    Attributes:
        notes: about the method, or the target.
        silence: where all of the map is zero.
        about: the target in words.
        other: what of the target could be explained instead, such as "log_odds"; "" where there is nothing.
        kind: what the numbers of the map are.
    """

    notes: tuple[str, ...]
    silence: str
    about: str
    other: str = ""
    kind: Kind = "evidence"


def finish(raw: Array, verdict: Verdict, sight: Sight) -> Heatmap:
    """The evidence as shares of its largest, at the picture's size, and what is to be said about it.

    Raises:
        JobFailed: for a map that is not finite.
    """
    if not np.isfinite(raw).all():
        raise JobFailed("The map is not finite, although the network's numbers are. Choose another method or layer.")
    placement = sight.placement
    notes = [*_about(raw, verdict), *verdict.notes, *sight.notes, placement.note]
    shown = _shown(raw, verdict.kind)
    laid = np.maximum(placement.lay(shown), 0)
    largest = laid.max()
    if shown.any() and not largest > 0:
        notes.insert(0, "outside: all positive evidence lies in cells of padding, so the map is zero; see `raw`")
    shares = laid / largest if largest > 0 else np.zeros(placement.size, np.float32)
    note, raw = "; ".join(filter(None, notes)), np.asarray(raw, np.float32)
    return Heatmap(shares, raw, sight.path, sight.call, sight.input, note, placement=placement)


def _shown(raw: Array, kind: Kind) -> Array:
    """What the map shows, as shares 0..1 of its largest value: so small numbers are not lost in float32."""
    largest = np.abs(raw).max()
    shown = np.maximum(raw, 0) * (raw.max() > ROUNDING * largest) if kind == "evidence" else np.abs(raw)
    return np.asarray(shown / (shown.max() or 1), np.float32)


def _about(raw: Array, verdict: Verdict) -> tuple[str, ...]:
    """What is to be said about the numbers of a map."""
    largest = np.abs(raw).max()
    if largest == 0:
        return (verdict.silence,)
    if raw.max() <= ROUNDING * largest and verdict.kind == "evidence":
        return (
            f"no positive evidence: all evidence is negative for {verdict.about}, so the map is zero; "
            f"`raw` has the signed values, or explain another class{_instead(verdict)}",
        )
    if raw.size == 1:
        return ("flat: the layer has only one position; choose an earlier one",)
    if np.ptp(raw) <= ROUNDING * largest:
        return (f"flat: the evidence for {verdict.about} is the same everywhere",)
    return (*_balance(raw, verdict), *_coverage(raw, verdict))


def _balance(raw: Array, verdict: Verdict) -> tuple[str, ...]:
    """A note where nearly all evidence is negative."""
    share = float(np.maximum(raw, 0).sum(dtype=np.float64) / np.abs(raw).sum(dtype=np.float64))
    if verdict.kind == "slopes" or share >= MOSTLY:
        return ()
    return (f"mostly negative: {share:.1%} of the evidence is positive for {verdict.about}{_instead(verdict)}",)


def _coverage(raw: Array, verdict: Verdict) -> tuple[str, ...]:
    """A note where a map covers almost nothing; single pixels of a gradient are scattered anyway."""
    share = float((_shown(raw, verdict.kind) >= FAINT).mean())
    if verdict.kind != "evidence" or share >= FEW:
        return ()
    return (f"sparse: {share:.1%} of the map holds nearly all positive evidence for {verdict.about}",)


def _instead(verdict: Verdict) -> str:
    return f'; try of="{verdict.other}"' if verdict.other else ""
