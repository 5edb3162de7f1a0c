"""Predictions for a picture and its heatmaps, one or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.explain import recorded_targets
from cnnwidgets.explain.attribution import AttributionSettings
from cnnwidgets.explain.class_activation_map import Heatmap, HeatmapFrame, MapSettings
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.settings import setting


@dataclass(frozen=True, eq=False, kw_only=True)
class Question(MapSettings):
    """One map that is asked for: the settings of a class activation map, or of an attribution by `method`.

    Attributes:
        net: the network.
        is_shuffled: whether it is asked of a copy of the network that knows nothing.
    """

    net: Network = setting(recorded=False)
    is_shuffled: bool = setting(False, recorded=False)

    def settings(self) -> tuple[str, dict[str, Any]]:
        """The verb that answers it, and its settings."""
        verb = "class_activation_map" if method_guide.is_map(self.method) else "attribution"
        target = recorded_targets.record(self.target)
        return verb, {**self._asked().recorded(), "target": target, "size": self.net.recorded_size(self.size)}

    def frames(self, picture: object) -> Iterator[HeatmapFrame]:
        """The run of that verb."""
        return self._asked().check(Probe(self.net, picture, self.size)).frames()

    def _asked(self) -> MapSettings | AttributionSettings:
        return MapSettings.set_on(self) if method_guide.is_map(self.method) else AttributionSettings.set_on(self)


@dataclass(frozen=True, eq=False, repr=False)
class Look:
    """What has been seen so far: a frame of a HeatmapPanel.

    Attributes:
        questions: that were asked, the first one first.
        picture: what they were asked about.
        columns: the heatmaps of each question that is begun.
        predictions: all classes, the most probable first.
        step: 1, 2, ... `steps`.
        steps: how many there will be, as far as is known.
        values: [n], the numbers that are explained.
    """

    questions: tuple[Question, ...]
    picture: HeldPicture
    columns: tuple[tuple[Heatmap, ...], ...]
    predictions: tuple[Prediction, ...]
    step: int
    steps: int
    values: np.ndarray
    notes: tuple[str, ...] = ()
    is_step = True  # a point of the curve

    def __repr__(self) -> str:
        return f"Look(step {self.step} of {self.steps}, {[len(column) for column in self.columns]} heatmaps)"


def look(
    questions: tuple[Question, ...], picture: HeldPicture, shuffled: Callable[[Network, int], Network]
) -> Iterator[Look]:
    """Ask one question after the other, and yield what is seen at each step.

    Args:
        questions: the first is the one that the panel is about; where others name no class, theirs is its top class.
        picture: what they are asked about.
        shuffled: gives a copy of a network that knows nothing, for a seed.
    """
    first = questions[0]
    predictions = _predicted(first, picture)
    finished: list[tuple[Heatmap, ...]] = []
    done = 0
    for number, question in enumerate(questions):
        if number and question.target is None:
            question = replace(question, target=predictions[0].index)
        if question.is_shuffled:
            question = replace(question, net=shuffled(question.net, question.seed))
        left = len(questions) - number - 1
        for frame in question.frames(picture.given):
            steps = done + frame.steps + left
            columns, values = (*finished, frame.heatmaps), np.nan_to_num(frame.values)
            yield Look(questions, picture, columns, predictions, done + frame.step, steps, values)
        finished.append(frame.heatmaps)
        done += frame.steps


def _predicted(question: Question, picture: HeldPicture) -> tuple[Prediction, ...]:
    """Every class, best first; where there are none, every number by its name, the largest first, without a percent."""
    found = question.net.predict(picture.given, 10**9, question.output, size=question.size)
    if question.net.outputs[find_output(question.output, question.net.outputs)].is_class_scores:
        return tuple(found)
    largest_first = sorted(found, key=lambda line: -line.probability)
    return tuple(Prediction(i, f"{name}: {value:.4g}", float("nan")) for i, name, value in largest_first)
