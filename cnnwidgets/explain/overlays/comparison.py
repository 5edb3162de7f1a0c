"""Predictions for a picture and its heatmaps, one or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.explain import recorded_targets
from cnnwidgets.explain.attribution import AttributionSettings
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.heatmap import Heatmap, HeatmapFrame
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.settings import setting


@dataclass(frozen=True, eq=False, kw_only=True)
class MapRequest(MapSettings):
    """One requested map: the settings of a class activation map, or of an attribution by `method`.

    Attributes:
        net: the network.
        is_shuffled: whether it is of a copy of the network with shuffled weights.
    """

    net: Network = setting(recorded=False)
    is_shuffled: bool = setting(False, recorded=False)

    def settings(self) -> tuple[str, dict[str, Any]]:
        """The verb that computes it, and its settings."""
        verb = "class_activation_map" if method_guide.is_map(self.method) else "attribution"
        target = recorded_targets.record(self.target)
        return verb, {**self._verb_settings().recorded(), "target": target, "size": self.net.recorded_size(self.size)}

    def frames(self, picture: object) -> Iterator[HeatmapFrame]:
        return self._verb_settings().check(Probe(self.net, picture, self.size)).frames()

    def _verb_settings(self) -> MapSettings | AttributionSettings:
        return MapSettings.set_on(self) if method_guide.is_map(self.method) else AttributionSettings.set_on(self)


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonFrame:
    """Predictions and heatmaps so far: a frame of a HeatmapPanel.

    Attributes:
        requests: of the maps, in order.
        picture: that they are about.
        columns: the heatmaps of each request that has begun.
        predictions: all classes, the most probable first.
        step: 1, 2, ... `steps`.
        steps: how many there will be, as far as is known.
        values: [n], the numbers that are explained.
    """

    requests: tuple[MapRequest, ...]
    picture: HeldPicture
    columns: tuple[tuple[Heatmap, ...], ...]
    predictions: tuple[Prediction, ...]
    step: int
    steps: int
    values: np.ndarray
    notes: tuple[str, ...] = ()
    is_step = True  # a point of the curve


def compare(
    requests: tuple[MapRequest, ...], picture: HeldPicture, shuffled: Callable[[Network, int], Network]
) -> Iterator[ComparisonFrame]:
    """Compute one request after the other, and yield what there is at each step.

    Args:
        requests: the first is the one that the panel is about; where others name no class, theirs is its top class.
        picture: that they are about.
        shuffled: returns a copy of a network with shuffled weights, for a seed.
    """
    first = requests[0]
    predictions = _predicted(first, picture)
    finished: list[tuple[Heatmap, ...]] = []
    done = 0
    for number, request in enumerate(requests):
        if number and request.target is None:
            request = replace(request, target=predictions[0].index)
        if request.is_shuffled:
            request = replace(request, net=shuffled(request.net, request.seed))
        left = len(requests) - number - 1
        for frame in request.frames(picture.given):
            steps = done + frame.steps + left
            columns, values = (*finished, frame.heatmaps), np.nan_to_num(frame.values)
            yield ComparisonFrame(requests, picture, columns, predictions, done + frame.step, steps, values)
        finished.append(frame.heatmaps)
        done += frame.steps


def _predicted(request: MapRequest, picture: HeldPicture) -> tuple[Prediction, ...]:
    """Every class, best first; where there are none, every number by its name, the largest first, without a percent."""
    found = request.net.predict(picture.given, 10**9, request.output, size=request.size)
    if request.net.outputs[find_output(request.output, request.net.outputs)].is_class_scores:
        return tuple(found)
    largest_first = sorted(found, key=lambda line: -line.probability)
    return tuple(Prediction(i, f"{name}: {value:.4g}", float("nan")) for i, name, value in largest_first)
