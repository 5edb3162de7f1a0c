"""What is done in an atlas: values, notes and failures of each layer, kept in the attributes of its array.

Pictures are written before what says that they are done, so that a kill at any moment costs work and never truth.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnwidgets.atlas.attributes import Place
from cnnwidgets.atlas.store import array_of, checked_names, damaged

INTERVAL = 1.0  # seconds between two savings of the same layer: more often would cost more than it keeps


@dataclass
class Entries:
    """What is known of the units of a layer.

    Attributes:
        values: of each unit; `None` where its picture is not there.
        notes: {unit: what is wrong with it}, for pictures that are there.
        failed: {unit: why}, for pictures that could not be made.
    """

    values: list[float | None]
    notes: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, array: Any, place: Place, where: str) -> Entries:
        """What the attributes of a layer's array say.

        Raises:
            BadTarget: for attributes that are not ours.
        """
        values = array.attrs.get("values")
        notes = checked_names(array.attrs.get("notes"), place.units)
        failed = checked_names(array.attrs.get("failed"), place.units)
        if not isinstance(values, list) or len(values) != place.units or not all(map(_is_value, values)):
            raise damaged(where, place.path, "its values are not as an atlas has them")
        if notes is None or failed is None:
            raise damaged(where, place.path, "its notes are not as an atlas has them")
        return cls([None if value is None else float(value) for value in values], notes, failed)

    def to_attributes(self, path: str) -> dict[str, Any]:
        """JSON values, as they stand in the attributes."""
        notes, failed = ({str(unit): text for unit, text in d.items()} for d in (self.notes, self.failed))
        return {"path": path, "values": self.values, "notes": notes, "failed": failed}

    @property
    def units(self) -> tuple[int, ...]:
        """Those whose pictures are there."""
        return tuple(unit for unit, value in enumerate(self.values) if value is not None)


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value))


@dataclass(frozen=True)
class Outcome:
    """What became of a batch whose pictures are written.

    Attributes:
        units: all of it.
        values: of those that were made.
        notes: of those that have one.
        failed: why, for each of the others.
    """

    units: tuple[int, ...]
    values: Mapping[int, float]
    notes: Mapping[int, str]
    failed: Mapping[int, str]

    @classmethod
    def failure(cls, units: Sequence[int], why: str) -> Outcome:
        """None of them was made."""
        return cls(tuple(units), {}, {}, dict.fromkeys(units, why))


class Ledger:
    """The one that writes down what is done; nobody else writes attributes.

    Args:
        group: the Zarr group, open for writing.
        places: of its layers.
        where: for messages.
    """

    def __init__(self, group: Any, places: Sequence[Place], where: str) -> None:
        self._arrays = {place.path: array_of(group, place, where) for place in places}
        self.entries = {place.path: Entries.read(self._arrays[place.path], place, where) for place in places}
        self._unsaved: dict[str, float] = {}  # path -> since when

    def note(self, path: str, outcome: Outcome) -> None:
        """Note a batch, and save what has waited long enough."""
        entries = self.entries[path]
        for unit in outcome.units:
            entries.values[unit] = outcome.values.get(unit)
            for kept, new in ((entries.notes, outcome.notes), (entries.failed, outcome.failed)):
                kept.pop(unit, None)
                if unit in new:
                    kept[unit] = new[unit]
        now = time.monotonic()
        self._unsaved.setdefault(path, now)
        for waiting, since in list(self._unsaved.items()):
            if now - since >= INTERVAL or waiting != path:
                self._save(waiting)

    def save(self) -> None:
        """Save all that is not saved yet."""
        for path in list(self._unsaved):
            self._save(path)

    def _save(self, path: str) -> None:
        self._arrays[path].update_attributes(self.entries[path].to_attributes(path))
        self._unsaved.pop(path, None)
