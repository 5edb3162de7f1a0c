"""Predictions for a picture and its heatmaps, one or several side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.explain.attribution import attribution_frames
from cnnwidgets.explain.class_activation_map import Heatmap, HeatmapFrame, map_frames
from cnnwidgets.explain.class_activation_maps import MASKS
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.network import Network, Prediction
from cnnwidgets.model.outputs import find as find_output
from cnnwidgets.model.picture_size import Size

FUNCTION = "a function of the output"  # all that a recipe can say of one


@dataclass(frozen=True, eq=False)
class Question:
    """One map that is asked for.

    Attributes:
        net: the network.
        layer: a path, or `None` for the network's own last one; no matter for an attribution.
        target: as the verbs take it.
        method: of a map or an attribution.
        output: of a model with several.
        seed: of noise and masks.
        of: what of the class, "logit" or "log_odds".
        against: a class, or classes, that the target is compared with; `None` for none.
        channels: how many are tried by "score_cam".
        size: at which the network looks, as the verbs take it.
        is_shuffled: whether it is asked of a copy of the network that knows nothing.
    """

    net: Network
    layer: str | None
    target: Any
    method: str
    output: int | str | None = None
    seed: int = 0
    of: str = "logit"
    against: Any = None
    channels: int = MASKS
    size: Size | None = None
    is_shuffled: bool = False

    def settings(self) -> tuple[str, dict[str, Any]]:
        """The verb that answers it, and its settings."""
        target = FUNCTION if callable(self.target) else self.target
        named = {"target": target, "method": self.method, **self._shared}
        named["size"] = self.net.recorded_size(self.size)
        if method_guide.is_map(self.method):
            return "class_activation_map", {"layer": self.layer, **named, "channels": self.channels}
        return "attribution", named

    def frames(self, picture: object) -> Iterator[HeatmapFrame]:
        """The run of that verb."""
        probe = Probe(self.net, picture, self.size)
        if method_guide.is_map(self.method):
            keywords = {**self._shared, "channels": self.channels}
            return map_frames(probe, self.layer, self.target, self.method, **keywords)
        return attribution_frames(probe, self.target, self.method, **self._shared)

    @property
    def _shared(self) -> dict[str, Any]:
        """The settings that both verbs take by name."""
        return {name: getattr(self, name) for name in ("of", "against", "output", "seed")}


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
