"""Tiles that come from an atlas, and their combination with rendered ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.batches import UnitsFrame
from cnnwidgets.visualize.units import UnitsPlan

NOT_YET = "not rendered yet"
PAGE = 16  # units that a gallery shows together


class PartialFrame(UnitsFrame):
    """A frame with a gray placeholder for each tile that is not rendered yet."""


@dataclass(frozen=True, eq=False)
class ReadyTiles:
    """Tiles of a page that are there already.

    Attributes:
        pictures: float32 [H, W, C], by unit.
        values: what each reaches, by unit.
        notes: "" or what is wrong, by unit.
        why_none: why the atlas cannot be used, in words; "" where it can, or where there is none.
    """

    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)
    values: Mapping[int, float] = field(default_factory=dict)
    notes: Mapping[int, str] = field(default_factory=dict)
    why_none: str = ""

    def missing(self, units: Sequence[int]) -> tuple[int, ...]:
        """Those of the units that must be rendered."""
        return tuple(unit for unit in units if unit not in self.pictures)

    def combined(self, frame: UnitsFrame, units: tuple[int, ...]) -> UnitsFrame:
        """A frame of all the units, out of one of those that were missing."""
        row = {unit: index for index, unit in enumerate(frame.units)}

        def each(ready: Mapping[int, Any], rendered: Any) -> list[Any]:
            return [ready[unit] if unit in ready else rendered[row[unit]] for unit in units]

        return replace(
            frame,
            picture_source=lambda: np.stack(each(self.pictures, frame.pictures)),
            value_source=np.array(each(self.values, frame.values), np.float32),
            notes=tuple(each(self.notes, frame.notes)) if frame.notes or not frame.units else (),
            units=units,
        )

    def blank(self, plan: UnitsPlan) -> UnitsFrame:
        """A frame of all units, in which missing pictures are gray tiles with a note."""
        missing = self.missing(plan.units)
        pictures = np.full((len(missing), *plan.canvas.shape), 0.5, np.float32)
        values, notes = np.full(len(missing), np.nan, np.float32), (NOT_YET,) * len(missing)
        steps = plan.settings.steps * max(1, len(replace(plan, units=missing).groups))
        kind = PartialFrame if missing else UnitsFrame
        return self.combined(kind(pictures, steps, steps, values, notes, missing), plan.units)


def part_of(frame: UnitsFrame, units: tuple[int, ...]) -> UnitsFrame:
    """Some units of a finished frame."""
    rows = [frame.units.index(unit) for unit in units]
    notes = tuple(frame.notes[row] for row in rows)
    return replace(
        frame, picture_source=frame.pictures[rows], value_source=frame.values[rows], notes=notes, units=units
    )


def ready_in(atlas: Atlas | None, plan: UnitsPlan) -> ReadyTiles:
    """The tiles of a plan that an atlas holds, if it is of the same network and settings."""
    if atlas is None:
        return ReadyTiles()
    try:
        if why := _why_not(atlas, plan):
            return ReadyTiles(why_none=f"The atlas is not used: {why}.")
        return _read(atlas, plan)
    except BadTarget as error:  # it is damaged, or its disk is gone
        return ReadyTiles(why_none=str(error))


def _why_not(atlas: Atlas, plan: UnitsPlan) -> str:
    settings, path = atlas.settings, plan.layer.path
    if why := why_of_another(atlas, plan.net, path, plan.call):
        return why
    its_path = path_in(atlas, plan.net, path)
    assert its_path is not None  # or there is a reason
    sizes = tuple(" x ".join(map(str, shape[:2])) for shape in (atlas[its_path].shape[1:], plan.canvas.shape))
    pairs = {
        "size": sizes,
        "steps": (settings.steps, plan.settings.steps),
        "recipe": (settings.recipe, plan.settings.recipe),
        "seed": (settings.seed, plan.settings.seed),
    }
    return "; ".join(f"its {name} is {its}, not {ours}" for name, (its, ours) in pairs.items() if its != ours)


def why_of_another(atlas: Atlas, net: Network, path: str, call: int) -> str:
    """Why an atlas says nothing about a layer of a network; "" where it does."""
    identity = net.identity()
    if atlas.settings.fingerprint != identity.digest:
        return f"its network differs from {quoted(net.name)} in weights, layers or preprocessing"
    if not identity.is_complete:
        return f"{quoted(net.name)} reads a file or the clock, so it cannot be known to be the same"
    if path_in(atlas, net, path) is None:
        return f"it has no layer {quoted(path)}"
    return f"it is of call 0, not {call}" if call else ""


def path_in(atlas: Atlas, net: Network, path: str) -> str | None:
    """The path in an atlas of a layer of its network."""
    return atlas.path_of(path, list(net.layers_by_path))


def _read(atlas: Atlas, plan: UnitsPlan) -> ReadyTiles:
    path = path_in(atlas, plan.net, plan.layer.path)
    assert path is not None  # or `_why_not` gives the reason
    there = set(atlas.units(path))
    units = [unit for unit in dict.fromkeys(plan.units) if unit in there]
    if not units:
        return ReadyTiles()
    pixels = atlas[path][units]
    # A batch whose file is lost reads as black, which no rendered picture is: it is rendered again.
    rows = {unit: row for row, unit in enumerate(units) if pixels[row].any()}
    values, notes = atlas.values(path), atlas.notes(path)
    return ReadyTiles(
        {unit: pixels[row] / np.float32(255) for unit, row in rows.items()},
        {unit: float(values[unit]) for unit in rows},
        {unit: notes[unit] for unit in rows},
    )
