"""The line under a unit's picture: whether it excites the same units in earlier layers as photographs do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from cnnwidgets.activations.patches_run import smaller
from cnnwidgets.activations.path_similarity import PathSimilarity, path_similarity
from cnnwidgets.jobs import Job
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.protocols import PlainFrame
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener
from cnnwidgets.panels.unit import captions


class PathCheck:
    """A comparison of the finished picture with photographs, and the line with its result."""

    def __init__(self) -> None:
        self.line = markup.markup("")
        self.run: CurrentRun[PathFrame] = CurrentRun()
        self.found: PathSimilarity | None = None

    def begin(self, frames: Iterator[PathFrame]) -> None:
        self.run.begin(frames, Listener(self._compared, self._has_compared))

    def forget(self) -> None:
        """Stop, and say nothing."""
        self.run.drop()
        self.found, self.line.value = None, ""

    def _compared(self, frame: PathFrame, _painted: object, number: int) -> None:
        self.run.acknowledge(number)
        self.found = frame.found

    def _has_compared(self, job: Job[PathFrame]) -> None:
        if job.frame is not None:
            self.found = job.frame.found
            self.line.value = captions.same_path(job.frame.found)
        elif job.failure is not None:
            self.line.value = markup.progress_text(f"Not compared with photographs: {job.failure.line}")
        elif job.state == "done":
            self.line.value = markup.progress_text("Not compared with photographs: too few activate this unit.")


@dataclass(frozen=True, eq=False)
class PathFrame(PlainFrame):
    """What is known after some of the photographs."""

    found: PathSimilarity


def compare_paths(
    net: Network, layer: str, unit: int, call: int, picture: np.ndarray, photographs: Iterable[np.ndarray], count: int
) -> Iterator[PathFrame]:
    """Do a unit's picture and photographs excite the same units on the way to it: runs on the worker's thread."""
    every = path_similarity(net, layer, unit, picture, map(smaller, photographs), call=call)
    for step, found in enumerate(every, 1):
        yield PathFrame(found, step=min(step, count), steps=count)
