"""What the network predicts for the photograph, under it in the sidebar of an Explorer."""

from __future__ import annotations

import ipywidgets as widgets

from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.runs.request import Request

TOP = 5


class Predictions(widgets.VBox):
    """The most probable classes as bars; the chosen one stands out. The worker computes them.

    Attributes:
        lines: the predictions for all classes, best first; empty while they are computed.
    """

    def __init__(self) -> None:
        self._request: Request[list[Prediction]] = Request(self._predicted, self._failed)
        self._net: Network | None = None
        self._target: int | None = None
        self.lines: list[Prediction] = []
        self._bars = markup.markup("")
        super().__init__([self._bars], layout=widgets.Layout(margin="4px 0 0"))

    def __repr__(self) -> str:
        return f"Predictions({self.lines!r})"

    def begin(self, net: Network, picture: object) -> None:
        """Let the worker predict a picture, and do not wait; an earlier request is dropped."""
        self._net, self.lines = net, []
        self._bars.value = markup.progress_text(f"Preparing what {net.name} predicts.")
        self._request.begin(lambda: net.predict(picture, top=max(TOP, net.outputs[0].classes)))

    def mark(self, target: int | None) -> None:
        """Let a class stand out; `None` for the top class."""
        self._target = target
        if self.lines:
            self._draw()

    def _predicted(self, lines: list[Prediction]) -> None:
        self.lines = lines
        self._draw()

    def _failed(self, failure: Failure) -> None:
        self._bars.value = markup.status(markup.complaint(failure), is_error=True)

    def _draw(self) -> None:
        net = self._net
        if net is None or not self.lines:
            return
        is_classes = net.outputs[0].is_class_scores
        target = self.lines[0].index if self._target is None and is_classes else self._target
        shown = [line for rank, line in enumerate(self.lines) if rank < TOP or line.index == target]
        wanted = next((n for n, line in enumerate(shown) if line.index == target), None)
        if is_classes:
            rows = [(line.name, line.probability) for line in shown]
            self._bars.value = markup.bars(rows, wanted, "The most probable classes")
        else:
            numbers = [(line.name, [line.probability]) for line in shown]
            self._bars.value = markup.numbers(numbers, wanted, ("", "now"), are_shares=False)

    def close(self) -> None:
        """Compute nothing any more, and take the bars off the page."""
        self._request.drop()
        super().close()
