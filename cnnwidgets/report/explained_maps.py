"""The heatmaps of an explanation, method by method, and their faithfulness curves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.attribution import AttributionSettings
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.faithfulness import Curve, FaithfulnessSettings
from cnnwidgets.explain.heatmap import Heatmap, with_picture_notes
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import ComparisonFrame, MapRequest
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles
from cnnwidgets.report.explanation import Drawing, MethodMaps
from cnnwidgets.report.subject import Subject

METRICS = ("deletion", "insertion")

Part = tuple[str, Callable[[], Iterator[float]]]  # what it is called, and a run that yields shares 0..1 of itself


class ExplainedMaps:
    """Heatmaps as they are found.

    Attributes:
        found: for each method its maps.
        notes: what could not be computed, in sentences.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject, self.found, self.notes = subject, list[MethodMaps](), list[str]()

    def parts(self) -> list[Part]:
        each = [(f"heatmaps by {method_guide.label(m)}", self._finding(m)) for m in self._subject.settings.methods]
        return [*each, ("removing pixels in the order of each heatmap", self._measure)]

    def _finding(self, method: str) -> Callable[[], Iterator[float]]:
        return lambda: self._find(method)

    def _find(self, method: str) -> Iterator[float]:
        subject = self._subject
        request = MapRequest.given({**subject.settings.recorded(), "net": subject.net, "method": method})
        try:
            kind = MapSettings if method_guide.is_map(method) else AttributionSettings
            for frame in kind.set_on(request).check(subject.probe).frames():
                yield frame.step / frame.steps
        except CnnWidgetsError as error:
            self.found.append(MethodMaps(method, (), (), None, str(error)))
            return
        heatmaps = tuple(with_picture_notes(frame.result(), subject.probe))
        self.found.append(MethodMaps(method, heatmaps, ({},) * len(heatmaps), self._drawn(request, heatmaps)))

    def _drawn(self, request: MapRequest, heatmaps: tuple[Heatmap, ...]) -> Drawing:
        """The maps over the photographs, as a HeatmapPanel saves them."""
        held, brush = self._subject.held, Brush()
        comparison = ComparisonFrame((request,), held, (heatmaps,), (), 1, 1, np.zeros(1, np.float32))
        verb, settings = request.settings()
        painting = {"opacity": brush.opacity, "threshold": brush.threshold, "colormap": brush.colormap}
        recipe = self._subject.recipe(verb, {**settings, **painting, "picture": held.digest, "beside": []})
        return Drawing(self._subject.drawn(HeatTiles(comparison).whole(brush)), recipe)

    def _measure(self) -> Iterator[float]:
        """The curves of the maps of each photograph, by each metric."""
        groups: dict[str | None, dict[tuple[int, int], Heatmap]] = {}
        for number, method in enumerate(self.found):
            for index, heat in enumerate(method.maps):
                if heat.map.any():  # an empty map orders no pixels
                    groups.setdefault(heat.input, {})[number, index] = heat
        runs = [(metric, maps) for maps in groups.values() for metric in METRICS]
        for number, (metric, maps) in enumerate(runs):
            for share in self._removed(metric, maps):
                yield (number + share) / len(runs)

    def _removed(self, metric: str, maps: dict[tuple[int, int], Heatmap]) -> Iterator[float]:
        settings = self._subject.settings
        asked = FaithfulnessSettings(
            target=settings.target, metric=metric, output=settings.output, size=settings.size, seed=settings.seed
        )
        try:
            for frame in asked.check(self._subject.probe, maps).frames():
                yield frame.step / frame.steps
        except CnnWidgetsError as error:
            self.notes.append(f"No {metric} curve: {error}")
            return
        for (number, index), curve in frame.curves.items():
            self._keep(number, index, metric, curve)

    def _keep(self, number: int, index: int, metric: str, curve: Curve) -> None:
        one = self.found[number]
        curves = tuple({**c, metric: curve} if i == index else c for i, c in enumerate(one.curves))
        self.found[number] = replace(one, curves=curves)
