"""What the network predicts with all units, and without those that are switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.runs.request import Request
from cnnwidgets.panels.unit_attribution import captions
from cnnwidgets.panels.unit_attribution.unit_rows_run import UnitRowsFrame, UnitsRequest, predicted

EMPTY = "Start shows the predictions."
HINT = "Uncheck a unit: the prediction without it stands beside the one with it."
Lines = tuple[Prediction, ...]


class WithoutUnits(widgets.VBox):
    """Bars before and without, a sentence, and a button that switches all units on again.

    Attributes:
        before: all predictions, every unit on.
        after: all predictions without the units that are off; `None` while all are on.
        words: what is said about it.
        traceback: of what went wrong.

    Args:
        on_all: called when the reader presses the button.
        on_change: called when predictions are there or forgotten, on whatever thread.
    """

    def __init__(self, on_all: Callable[[], object], on_change: Callable[[], object]) -> None:
        self._on_change = on_change
        self._request: Request[tuple[Lines, Lines]] = Request(self._succeeded, self._failed)
        self._asked: UnitsRequest | None = None
        self._target: int | None = None
        self._off = ""
        self.before: Lines = ()
        self.after: Lines | None = None
        self.words, self.traceback = "", ""
        self.beside: tuple[widgets.DOMWidget, ...] = ()  # where the focus goes when all units are on again
        self._bars = markup.markup(markup.progress_text(EMPTY))
        self._line = markup.markup(markup.status(""))
        self.all_on = widgets.Button(
            description="All on again", icon="undo", tooltip="Switch all units on", disabled=True,
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        focus.watch(self.all_on)
        self.all_on.on_click(lambda _: on_all())
        super().__init__([self._bars, self._line, self.all_on], layout=widgets.Layout(align_items="flex-start"))
        self._bars.layout.width = self._line.layout.width = "100%"

    def __repr__(self) -> str:
        return f"WithoutUnits({self.words!r})"

    @property
    def is_busy(self) -> bool:
        """Whether the network is being asked."""
        return self._request.is_busy

    def show(self, frame: UnitRowsFrame) -> None:
        """Show the predictions of a frame, where no unit is off."""
        self._asked = frame.request
        target = frame.shown.target
        self._target = None if callable(target) else target
        if self.after is not None:
            self._draw()
            self._tell_change()
        elif not self.is_busy:
            self.before = frame.predictions
            self._draw()
            self._show_text(HINT)

    def begin(self, request: UnitsRequest, without: Mapping[str, Sequence[int]]) -> None:
        """Let the worker predict without units, and do not wait; with all of them on, show that at once."""
        self._request.drop()
        self._asked = request
        focus.set_disabled(self.all_on, not without, *self.beside)
        if not without:
            self.after = None
            self._draw()
            self._show_text(HINT)
            return
        self._off = captions.switched_off(without)
        self._show_text(f"Predicting without {self._off}.")
        net, picture, settings = request.net, request.picture, request.settings
        self._request.begin(lambda: (predicted(net, picture, settings, {}), predicted(net, picture, settings, without)))

    def answer(self) -> list[Prediction]:
        """Wait for the predictions without the units that are off."""
        self._request.wait()
        if self.traceback:
            raise JobFailed(self.words)
        return list(self.before if self.after is None else self.after)

    def forget(self) -> None:
        """Show no predictions."""
        self._request.drop()
        self.before, self.after, self._target = (), None, None
        self._bars.value = markup.progress_text(EMPTY)
        self._show_text("")

    def drop(self) -> None:
        """Compute nothing any more."""
        self._request.drop()

    def _succeeded(self, lines: tuple[Lines, Lines]) -> None:
        self.before, self.after = lines
        self._draw()
        self._tell_change()
        self._on_change()

    def _tell_change(self) -> None:
        if self._asked is None or self.after is None:
            return
        target = self.before[0].index if self._target is None else self._target
        self._show_text(f"Without {self._off}: {captions.change(self._asked, self.before, self.after, target)}")

    def _failed(self, failure: Failure) -> None:
        self._show_text(markup.complaint(failure), failure.traceback)
        self._on_change()

    def _draw(self) -> None:
        if not self.before or self._asked is None:
            return
        rows, wanted = captions.lines_of(self.before, self.after or self.before, self._target)
        are_shares = captions.are_class_scores(self._asked)
        if self.after is not None:
            lines = [(name, (first, then)) for name, first, then in rows]
            self._bars.value = markup.numbers(lines, wanted, ("", "all on", "without"), are_shares)
        elif are_shares:
            self._bars.value = markup.bars([line[:2] for line in rows], wanted, "The most probable classes")
        else:
            self._bars.value = markup.numbers([(line[0], line[1:2]) for line in rows], wanted, ("", "now"), are_shares)

    def _show_text(self, text: str, traceback: str = "") -> None:
        self.words, self.traceback = text, traceback
        self._line.value = markup.status(text, is_error=bool(traceback))
