"""The lines of a panel about its run: progress, the curve of the objective, and the status."""

from __future__ import annotations

import time

from cnnwidgets.panels.base import charts, markup
from cnnwidgets.panels.protocols import Frame
from cnnwidgets.panels.runs.history import Record
from cnnwidgets.quantities import spoken

INTERVAL = 0.2  # seconds between two updates during a run


class Report:
    """Three widgets, to be placed by the panel, and the sentences in them.

    Args:
        curve_name: the label of the curve; `None` where nothing is optimized, so that there is none.

    Attributes:
        due_at: when the lines are to be written again during a run, by `time.monotonic()`.
        progress_line: the bar, and the step or the time under it.
        curve: the objective at each step.
        status_line: one sentence, which screen readers speak.
    """

    def __init__(self, curve_name: str | None) -> None:
        self._curve_name = curve_name
        self.due_at = float("-inf")
        self.progress_line = markup.markup("", width="100%")
        self.curve = markup.markup("")
        self.status_line = markup.markup(markup.status(""), width="100%")

    def clear(self) -> None:
        """Show no progress and no curve."""
        self.curve.value = ""
        self.begin()

    def begin(self) -> None:
        """Show the progress of a new run; the curve stays until there is another one."""
        self.due_at = float("-inf")
        self.progress_line.value = markup.progress(0.0, "")

    def step(self, frame: Frame, record: Record, share: float, phase: str | None, doing: str) -> str:
        """Show how far a run is and what it does; returns the status line.

        Args:
            frame: the newest.
            record: of the run.
            share: of the run that is done, 0 to 1.
            phase: the name of a phase whose steps are not those of the curve; `None` for others.
            doing: the sentence for the status line.
        """
        self.due_at = time.monotonic() + INTERVAL
        if phase:
            left, words = record.phase_left(phase, frame.step, frame.steps), "at most "
            text = f"{phase} · {spoken(record.watch.seconds, tenths=True)} so far"
        else:
            left, words = record.seconds_left, ""
            text = f"step {frame.step} of {frame.steps}"
        text += "" if left is None else f" · {words}{spoken(left, tenths=True)} left"
        self.progress_line.value = markup.progress(share, text)
        if self._curve_name is not None:
            self.curve.value = charts.curve(record.objective, record.steps, self._curve_name)
        line = markup.one_line(doing)
        self.status_line.value = markup.status(line)
        return line

    def end(self, record: Record, share: float, text: str) -> None:
        """Show how the run has ended, after how long, and the whole curve: an earlier one where it has no step."""
        text = f"{text} {spoken(record.watch.seconds, tenths=True)}"
        self.progress_line.value = markup.progress(share, text)
        if self._curve_name is not None and record.objective:
            self.curve.value = charts.curve(record.objective, record.steps, self._curve_name)

    def say(self, line: str, is_error: bool = False) -> None:
        """Show a sentence in the status line."""
        self.status_line.value = markup.status(line, is_error)
