"""The units of an explanation: those with the largest shares, what they respond to, and where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from cnnwidgets import pictures
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain import recorded_targets
from cnnwidgets.explain.overlays import unit_tiles
from cnnwidgets.explain.unit_attribution import UnitAttribution, UnitAttributionSettings
from cnnwidgets.pictures import cells
from cnnwidgets.report.explanation import Drawing, StrongUnit
from cnnwidgets.report.subject import Subject, as_sentence
from cnnwidgets.visualize.units import UnitsSettings

SHOWN = 320  # pixels of the longer side of the evidence of a unit

Part = tuple[str, Callable[[], Iterator[float]]]


class ExplainedUnits:
    """Units as they are found.

    Attributes:
        found: the units of each call of the layer, the largest share first.
        evidence: of each call, its units on the photograph.
        notes: what could not be computed, in sentences.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject, self.found, self.notes = subject, list[StrongUnit](), list[str]()
        self.evidence = list[Drawing]()
        self._calls: list[tuple[UnitAttribution, tuple[int, ...]]] = []

    def parts(self) -> list[Part]:
        if not self._subject.settings.units:
            return []
        return [("shares of units", self._share), ("pictures of the strongest units", self._portray)]

    def _share(self) -> Iterator[float]:
        subject = self._subject
        asked = UnitAttributionSettings.given(subject.settings.recorded())
        try:
            every = asked.check(subject.probe).result()
        except CnnWidgetsError as error:
            self.notes.append(f"No shares of units: {error}")
            return
        for found in every:
            units = tuple(int(unit) for unit in found.top(subject.settings.units) if found.shares[unit])
            if found.note:
                where = f" (call {found.call})" if len(every) > 1 else ""
                self.notes.append(as_sentence(f"units of {found.path}{where}: {found.note}"))
            if units:
                self._calls.append((found, units))
                self.evidence.append(self._drawn(found, units, asked))
        yield 1.0

    def _drawn(self, found: UnitAttribution, units: Sequence[int], asked: UnitAttributionSettings) -> Drawing:
        """The units on the photograph, as a UnitAttributionPanel saves them."""
        subject, columns = self._subject, pictures.columns_for(len(units))
        settings = {**asked.recorded(), "call": found.call, "layer": found.path}
        settings |= {"target": recorded_targets.record(asked.target), "size": subject.net.recorded_size(asked.size)}
        facts = {"picture": subject.held.digest, "shown": list(units), "columns": columns}
        drawn = unit_tiles.mosaic(found, unit_tiles.photo_of(subject.net, found, subject.photos), units, columns)
        return Drawing(subject.drawn(drawn), subject.recipe("unit_attribution", {**settings, **facts}))

    def _portray(self) -> Iterator[float]:
        for number, (found, units) in enumerate(self._calls):
            portraits: dict[int, tuple[Drawing, str]] = {}
            for share in self._optimized(found, units, portraits):
                yield (number + share) / len(self._calls)
            self.found += [self._strong(found, unit, portraits) for unit in units]

    def _optimized(
        self, found: UnitAttribution, units: Sequence[int], portraits: dict[int, tuple[Drawing, str]]
    ) -> Iterator[float]:
        """Optimize pictures of the units, and put each with its note into `portraits`."""
        subject = self._subject
        settings = UnitsSettings(
            found.path, units, steps=subject.settings.steps, call=found.call, seed=subject.settings.seed
        )
        try:
            plan = settings.check(subject.net)
            for frame in plan.frames():
                yield frame.step / frame.steps
        except CnnWidgetsError as error:
            self.notes.append(f"No pictures of units: {error}")
            return
        made = frame.result()
        for unit, picture, note in zip(made.units, made.pictures, made.notes, strict=True):
            recorded = {**plan.settings.recorded(), "units": [unit], "columns": 1}
            pixels = pictures.mosaic(pictures.to_uint8(picture[None]), 1)
            portraits[unit] = Drawing(subject.drawn(pixels), subject.recipe("visualize_units", recorded)), note

    def _strong(self, found: UnitAttribution, unit: int, portraits: Mapping[int, tuple[Drawing, str]]) -> StrongUnit:
        maps = unit_tiles.UnitMaps(found)
        photo = cells.fit(unit_tiles.photo_of(self._subject.net, found, self._subject.photos), SHOWN)
        portrait, note = portraits.get(unit, (None, ""))
        return StrongUnit(
            path=found.path,
            call=found.call,
            input=found.input,
            unit=unit,
            share=float(found.shares[unit]),
            portrait=portrait,
            evidence=None if maps.why_none else self._subject.drawn(maps.over(photo, unit)),
            note=note,
        )
