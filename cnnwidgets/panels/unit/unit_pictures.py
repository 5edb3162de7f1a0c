"""Pictures of single units for a few rows: from memory, an atlas or the cache if they are there, else optimized now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.jobs import Cache
from cnnwidgets.model.backend import device_kind
from cnnwidgets.model.network import Network
from cnnwidgets.panels.galleries.ready_tiles import PAGE, ready_in
from cnnwidgets.provenance.positions import with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions
from cnnwidgets.visualize.batches import UnitsFrame
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings

WAITING = "not rendered yet"


@dataclass(frozen=True, eq=False)
class UnitPicture:
    """What a unit responds to."""

    pixels: np.ndarray | None
    note: str = ""


Pictures = Mapping[tuple[str, int], UnitPicture]  # by layer and unit


@dataclass(frozen=True, eq=False)
class Progress:
    """The pictures so far.

    Attributes:
        by_unit: those of all units that were asked for.
        step: 1, 2, ... `steps`; 0 where nothing has to be rendered.
        steps: how many there will be.
    """

    by_unit: Mapping[int, UnitPicture]
    step: int = 0
    steps: int = 0


class UnitPainter:
    """Renders pictures of units like a FilterGallery, and keeps finished ones."""

    def __init__(self, net: Network, atlas: Atlas | None) -> None:
        self.net, self.atlas = net, atlas
        self._finished: dict[str, UnitPicture] = {}  # by the key of their recipe, weights included

    def frames(self, layer: str, call: int, units: Sequence[int]) -> Iterator[Progress]:
        """The pictures that are there at once, then the missing ones with each step: runs on the worker's thread."""
        try:
            plan = UnitsSettings(layer, list(units), call=call).check(self.net)
        except CnnWidgetsError as error:  # what else is known of the units is right all the same
            yield Progress(dict.fromkeys(units, UnitPicture(None, str(error))))
            return
        keys = _Keys(plan)
        known = self._known(plan, keys)
        missing = [unit for unit in plan.units if unit not in known]
        waiting = dict.fromkeys(missing, UnitPicture(None, WAITING))
        yield Progress({**known, **waiting}, 0, plan.settings.steps if missing else 0)
        if missing:
            yield from self._rendered(replace(plan, units=tuple(missing)), known, keys)

    def _rendered(self, plan: UnitsPlan, known: Mapping[int, UnitPicture], keys: _Keys) -> Iterator[Progress]:
        made: dict[int, UnitPicture] = {}
        try:
            for frame in plan.frames():
                made = _pictures_of(frame)
                yield Progress({**known, **made}, frame.step, frame.steps)
        except CnnWidgetsError as error:
            failed = {unit: UnitPicture(made[unit].pixels if unit in made else None, str(error)) for unit in plan.units}
            yield Progress({**known, **failed}, 1, 1)
            return
        if keys.are_lasting and not frame.smaller_batch:
            self._keep(frame, made, keys)

    def _known(self, plan: UnitsPlan, keys: _Keys) -> dict[int, UnitPicture]:
        ready = ready_in(self.atlas, plan)
        found = {
            unit: UnitPicture(pictures.to_uint8(ready.pictures[unit]), ready.notes[unit]) for unit in ready.pictures
        }
        for unit in plan.units if keys.are_lasting else ():
            if unit not in found and (kept := self._finished.get(keys.of([unit])) or _cached(plan, unit, keys)):
                found[unit] = kept
        return found

    def _keep(self, frame: UnitsFrame, made: Mapping[int, UnitPicture], keys: _Keys) -> None:
        for index, unit in enumerate(frame.units):
            key, own = keys.of([unit]), slice(index, index + 1)
            self._finished[key] = made[unit]
            arrays = {"pictures": frame.pictures[own], "values": frame.values[own]}
            Cache.default().put(key, arrays, {"notes": list(frame.notes[own])})


class _Keys:
    """The keys under which a gallery keeps pages of these units."""

    def __init__(self, plan: UnitsPlan) -> None:
        self._plan, identity = plan, plan.net.identity()
        self.are_lasting = identity.is_complete  # else the same key may be of another network later
        self._fingerprint, self._versions, self._device = identity.digest, installed_versions(), device_kind()

    def of(self, units: Sequence[int]) -> str:
        plan, (height, width) = self._plan, self._plan.canvas.shape[:2]
        settings: dict[str, Any] = {
            **plan.settings.recorded(),
            "units": list(units),
            "size": height if height == width else [height, width],
            "batch": plan.batch,
            "columns": pictures.columns_for(len(units)),
        }
        located = with_positions(settings, plan.net)
        name, fingerprint = plan.net.name, self._fingerprint
        return Recipe("visualize_units", name, fingerprint, located, self._versions, self._device).key()


def _cached(plan: UnitsPlan, unit: int, keys: _Keys) -> UnitPicture | None:
    """From the cache: rendered alone, or on its page of a gallery."""
    first = unit // PAGE * PAGE
    page = range(first, min(first + PAGE, plan.layer.units))
    for units in ([unit], page):
        entry = Cache.default().get(keys.of(units))
        if entry is not None:
            at = units.index(unit)
            return UnitPicture(pictures.to_uint8(entry.arrays["pictures"][at]), entry.metadata["notes"][at])
    return None


def _pictures_of(frame: UnitsFrame) -> dict[int, UnitPicture]:
    notes = frame.notes or ("",) * len(frame.units)
    pixels = pictures.to_uint8(frame.pictures)
    return {unit: UnitPicture(*each) for unit, *each in zip(frame.units, pixels, notes, strict=True)}
