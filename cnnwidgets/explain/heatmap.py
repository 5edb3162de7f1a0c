"""Heatmaps from signed evidence: scaled to 0..1 at the picture's size, with notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cnnwidgets.errors import JobFailed
from cnnwidgets.frame import Array
from cnnwidgets.model.geometry.placement import Placement

if TYPE_CHECKING:
    from cnnwidgets.explain.passes import Probe

ROUNDING = 1e-6  # of a map's largest value: smaller differences are no evidence
MOSTLY = 0.1  # of the evidence: where less than this share is positive, the note says so
FAINT, FEW = 0.05, 0.02  # a map covers almost nothing where less than FEW of it reaches FAINT of its largest value

# The meaning of a map's numbers. "evidence": signed, and the map shows the positive part. "parts": signed, and the map
# shows the magnitude. "gradients": the sign is the direction in which a pixel would have to change; magnitude is shown.
Kind = Literal["evidence", "parts", "gradients"]


@dataclass(frozen=True, eq=False, repr=False)
class Heatmap:
    """Evidence for a target at each position.

    Attributes:
        map: [H, W] float32, 0..1, at the picture's own size, divided by its largest value: the positive evidence; for
            an attribution by gradients the magnitude of `raw`.
        raw: float32, the signed evidence: [h, w] at the layer's own size; for an attribution [H, W] at the picture's.
        path: of the layer; "" for an attribution.
        call: which call of the layer, in the order Keras runs them.
        input: the picture input that this call sees; `None` where it sees several.
        note: "" or a remark about this map, beginning with a keyword: "no positive evidence: ...".
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
    """The heatmaps after a step.

    Attributes:
        heatmaps: those started so far.
        step: 1, 2, ... `steps`.
        steps: their total number.
        values: [n], the number that each explains; NaN for a method that explains none.
    """

    heatmaps: tuple[Heatmap, ...]
    step: int
    steps: int
    values: Array

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(heat.note for heat in self.heatmaps)

    def result(self) -> list[Heatmap]:
        """The return value of the function if the run ended here."""
        return list(self.heatmaps)

    def __repr__(self) -> str:
        return f"HeatmapFrame(step {self.step} of {self.steps}, {len(self.heatmaps)} heatmaps)"


class MapSource(NamedTuple):
    """The origin of a heatmap: layer, call, input and placement.

    Attributes:
        placement: positions of its cells on the picture as given.
        path: of the layer, or "".
        call: which call of the layer.
        input: the picture input that is seen, `None` for several.
        notes: about the layer's cells.
    """

    placement: Placement
    path: str
    call: int
    input: str | None
    notes: tuple[str, ...] = ()


class MapNotes(NamedTuple):
    """Notes about a map.

    Attributes:
        notes: about the method or the target.
        if_zero: the note if the map is zero everywhere.
        about: the target in words.
        other: an alternative `of` for the target, such as "log_odds"; "" if there is none.
        kind: the meaning of the numbers.
    """

    notes: tuple[str, ...]
    if_zero: str
    about: str
    other: str = ""
    kind: Kind = "evidence"


def finish(raw: Array, map_notes: MapNotes, source: MapSource) -> Heatmap:
    """A Heatmap from evidence: scaled by its largest value, at the picture's size, with notes.

    Raises:
        JobFailed: for a map that is not finite.
    """
    if not np.isfinite(raw).all():
        raise JobFailed("The map is not finite, although the network's numbers are. Choose another method or layer.")
    placement, shown = source.placement, _shown(raw, map_notes.kind)
    notes = [*_about(raw, map_notes), *map_notes.notes, *source.notes, placement.note]
    laid = np.maximum(placement.lay(shown), 0)
    largest = laid.max()
    if shown.any() and not largest > 0:
        notes.insert(0, "outside: all positive evidence lies in cells of padding, so the map is zero; see `raw`")
    shares = laid / largest if largest > 0 else np.zeros(placement.size, np.float32)
    note, raw = "; ".join(filter(None, notes)), np.asarray(raw, np.float32)
    return Heatmap(shares, raw, source.path, source.call, source.input, note, placement=placement)


def _shown(raw: Array, kind: Kind) -> Array:
    """The visible part of a map, scaled to 0..1 so that small numbers are not lost in float32."""
    largest = np.abs(raw).max()
    shown = np.maximum(raw, 0) * (raw.max() > ROUNDING * largest) if kind == "evidence" else np.abs(raw)
    return np.asarray(shown / (shown.max() or 1), np.float32)


def _about(raw: Array, map_notes: MapNotes) -> tuple[str, ...]:
    """Notes about the numbers of a map."""
    largest = np.abs(raw).max()
    if largest == 0:
        return (map_notes.if_zero,)
    if raw.max() <= ROUNDING * largest and map_notes.kind == "evidence":
        return (
            f"no positive evidence: all evidence is negative for {map_notes.about}, so the map is zero; "
            f"`raw` has the signed values, or explain another class{_instead(map_notes)}",
        )
    if raw.size == 1:
        return ("flat: the layer has only one position; choose an earlier one",)
    if np.ptp(raw) <= ROUNDING * largest:
        return (f"flat: the evidence for {map_notes.about} is the same everywhere",)
    return (*_balance(raw, map_notes), *_coverage(raw, map_notes))


def _balance(raw: Array, map_notes: MapNotes) -> tuple[str, ...]:
    """A note if nearly all evidence is negative."""
    share = float(np.maximum(raw, 0).sum(dtype=np.float64) / np.abs(raw).sum(dtype=np.float64))
    if map_notes.kind == "gradients" or share >= MOSTLY:
        return ()
    return (f"mostly negative: {share:.1%} of the evidence is positive for {map_notes.about}{_instead(map_notes)}",)


def _coverage(raw: Array, map_notes: MapNotes) -> tuple[str, ...]:
    """A note if a map covers almost nothing; not for gradients, which are scattered anyway."""
    share = float((_shown(raw, map_notes.kind) >= FAINT).mean())
    if map_notes.kind != "evidence" or share >= FEW:
        return ()
    return (f"sparse: {share:.1%} of the map holds nearly all positive evidence for {map_notes.about}",)


def _instead(map_notes: MapNotes) -> str:
    return f'; try of="{map_notes.other}"' if map_notes.other else ""


def with_picture_notes(found: Sequence[Any], probe: Probe) -> list[Any]:
    """Heatmaps, or anything with a `note` and an `input`, with the notes of the pictures they see ("dark: ...")."""
    notes = {probe.net.inputs[i].name: note for i, note in probe.notes.items()}
    return [
        replace(one, note="; ".join(filter(None, [one.note, *(notes[n] for n in notes if one.input in (n, None))])))
        for one in found
    ]
