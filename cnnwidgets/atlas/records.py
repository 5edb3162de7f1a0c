"""Records of an atlas: values, notes and failures of each layer, stored in the attributes of its array.

Pictures are written before their records, so being killed at any point loses work but never leaves a false record.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.store import array_of, checked_names, damaged

INTERVAL = 1.0  # seconds between two writes of a layer's records; more often would cost more than it saves


@dataclass
class LayerRecord:
    """Values, notes and failures of the units of a layer.

    Attributes:
        values: of each unit; `None` if it has no picture.
        notes: {unit: note}, for pictures with one.
        failed: {unit: reason}, for pictures that could not be rendered.
    """

    values: list[float | None]
    notes: dict[int, str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)

    @classmethod
    def read(cls, array: Any, stored: StoredLayer, where: str) -> LayerRecord:
        """The record in the attributes of a layer's array.

        Raises:
            BadTarget: for malformed attributes.
        """
        values = array.attrs.get("values")
        notes = checked_names(array.attrs.get("notes"), stored.units)
        failed = checked_names(array.attrs.get("failed"), stored.units)
        if not isinstance(values, list) or len(values) != stored.units or not all(map(_is_value, values)):
            raise damaged(where, stored.path, "its values are malformed")
        if notes is None or failed is None:
            raise damaged(where, stored.path, "its notes are malformed")
        return cls([None if value is None else float(value) for value in values], notes, failed)

    def to_attributes(self, path: str) -> dict[str, Any]:
        notes, failed = ({str(unit): text for unit, text in d.items()} for d in (self.notes, self.failed))
        return {"path": path, "values": self.values, "notes": notes, "failed": failed}

    @property
    def units(self) -> tuple[int, ...]:
        """The units that have a picture."""
        return tuple(unit for unit, value in enumerate(self.values) if value is not None)


def _is_value(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value))


@dataclass(frozen=True)
class BatchResult:
    """The result of a batch.

    Attributes:
        units: all units of the batch.
        values: of those that were rendered.
        notes: of those that have one.
        failed: the reason for each of the others.
    """

    units: tuple[int, ...]
    values: Mapping[int, float]
    notes: Mapping[int, str]
    failed: Mapping[int, str]

    @classmethod
    def failure(cls, units: Sequence[int], why: str) -> BatchResult:
        """The result of a batch that failed as a whole."""
        return cls(tuple(units), {}, {}, dict.fromkeys(units, why))


class Records:
    """The records of all layers; the only writer of their attributes.

    Args:
        group: the Zarr group, open for writing.
        stored_layers: of its layers.
        where: for messages.
    """

    def __init__(self, group: Any, stored_layers: Sequence[StoredLayer], where: str) -> None:
        self._arrays = {stored.path: array_of(group, stored, where) for stored in stored_layers}
        self.entries = {
            stored.path: LayerRecord.read(self._arrays[stored.path], stored, where) for stored in stored_layers
        }
        self._unsaved: dict[str, float] = {}  # path -> time of the first unsaved batch

    def add(self, path: str, result: BatchResult) -> None:
        """Add the result of a batch, and save the records that are due."""
        entries = self.entries[path]
        for unit in result.units:
            entries.values[unit] = result.values.get(unit)
            for kept, new in ((entries.notes, result.notes), (entries.failed, result.failed)):
                kept.pop(unit, None)
                if unit in new:
                    kept[unit] = new[unit]
        now = time.monotonic()
        self._unsaved.setdefault(path, now)
        for waiting, since in list(self._unsaved.items()):
            if now - since >= INTERVAL or waiting != path:
                self._save(waiting)

    def save(self) -> None:
        for path in list(self._unsaved):
            self._save(path)

    def _save(self, path: str) -> None:
        self._arrays[path].update_attributes(self.entries[path].to_attributes(path))
        self._unsaved.pop(path, None)
