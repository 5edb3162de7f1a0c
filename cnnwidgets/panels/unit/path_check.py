"""The line under a unit's picture: whether it excites the same units in earlier layers as photographs do."""

from __future__ import annotations

from collections.abc import Iterator

from cnnwidgets.activations.path_similarity import PathSimilarity
from cnnwidgets.jobs import Job
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener
from cnnwidgets.panels.unit import captions
from cnnwidgets.panels.unit.path_run import PathFrame


class PathCheck:
    """A comparison of the finished picture with photographs, and the line with its result.

    Attributes:
        line: the widget.
        run: what compares now.
        found: how much alike the ways are; `None` before.
    """

    def __init__(self) -> None:
        self.line = markup.markup("")
        self.run: CurrentRun[PathFrame] = CurrentRun()
        self.found: PathSimilarity | None = None

    def begin(self, frames: Iterator[PathFrame]) -> None:
        """Compare, on the worker."""
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
