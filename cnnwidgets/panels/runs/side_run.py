"""An enlarged picture with a separate run, next to the tiles from which it was chosen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets.jobs import Job
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.protocols import PictureFrame
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener

SIZE, STEPS = 192, 64  # of an enlarged unit


class SideRun(widgets.VBox):
    """A screen with a separate run: `begin` replaces the one before.

    Args:
        on_change: called when it begins or ends to compute, on any thread.
        title: the heading of the empty screen.
        empty: the text of the empty screen.
        describe: the text for a frame.
        width: of the picture, in CSS pixels.
        on_frame: called with each frame that is shown, and with the last one and whether the run is done.
    """

    def __init__(
        self,
        on_change: Callable[[], object],
        title: str = "Enlarged",
        empty: str = "Click a tile, or choose it above, to optimize it at a larger size.",
        describe: Callable[[Any], str] | None = None,
        width: int = 320,
        on_frame: Callable[[Any, bool], object] = lambda _frame, _is_done: None,
    ) -> None:
        self._on_change, self._on_frame = on_change, on_frame
        self._heading, self._invitation, self._text = title, empty, describe or _where
        self.current: CurrentRun[Any] = CurrentRun()
        self.traceback = ""
        self._title = markup.markup(markup.title(title))
        self.screen = Screen(width, self.current.acknowledge, empty=empty)
        self._line = markup.markup(markup.progress_text(""))
        super().__init__([self._title, self.screen, self._line], layout=widgets.Layout(width="auto", max_width="100%"))

    def __repr__(self) -> str:
        return f"SideRun({self._heading!r})"

    def begin(self, title: str, frames: Iterator[Any]) -> None:
        """Begin a run whose frames have one picture; an earlier one is dropped."""
        begun = functools.partial(self._begun, title)
        self.current.begin(frames, Listener(self._show, self._finished, _picture, begun))
        self._on_change()

    def present(self, title: str, picture: np.ndarray, words: str) -> None:
        """Show a picture that is there already."""
        self.current.drop()
        self._title.value = markup.title(title)
        self.screen.show(picture)
        self._line.value = markup.progress_text(words)

    def forget(self) -> None:
        self.current.drop()
        self._title.value, self._line.value = markup.title(self._heading), markup.progress_text("")
        self.screen.explain(self._invitation)
        self._on_change()

    def _begun(self, title: str) -> None:
        self._title.value = markup.title(title)
        self._line.value = markup.progress_text("preparing")
        self.traceback = ""

    def _show(self, frame: PictureFrame, jpeg: bytes, number: int) -> None:
        self.screen.put(jpeg, number)
        self._line.value = markup.progress_text(self._text(frame))
        self._on_frame(frame, False)

    def _finished(self, job: Job[PictureFrame]) -> None:
        if job.frame is not None:
            self.screen.show(_picture(job.frame))
        if job.failure is not None:
            self.traceback = job.failure.traceback
            self._line.value = markup.status(markup.complaint(job.failure), is_error=True)
        elif job.state == "stopped" and job.frame is not None:
            self._line.value = markup.progress_text(f"stopped at {self._text(job.frame)}")
        self._on_change()
        if job.frame is not None:
            self._on_frame(job.frame, job.state == "done")

    def close(self) -> None:
        if self.comm is None:
            return
        self.current.drop()
        self.screen.close()
        lifecycle.close_all(self)
        super().close()


def _picture(frame: PictureFrame) -> np.ndarray:
    return frame.pictures[0]


def _where(frame: PictureFrame) -> str:
    return f"step {frame.step} of {frame.steps} · value {frame.values[0]:.3g}"
