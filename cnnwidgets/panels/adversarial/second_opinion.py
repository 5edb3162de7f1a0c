"""Tests of a perturbed picture: the same network on its JPEG file, and another network."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import ipywidgets as widgets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, JobFailed, quoted
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.adversarial import captions
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.runs.request import Request
from cnnwidgets.provenance.snippets import BUNDLED
from cnnwidgets.visualize.adversarial import AdversarialFrame
from cnnwidgets.zoo import load_network

QUALITY = 75  # of a JPEG, as web pages have it
ALL = 10**9  # classes


class Opinion(NamedTuple):
    """Predictions for a perturbed picture.

    Attributes:
        predictions: all classes, the most probable first.
        text: the same in a sentence or two.
    """

    predictions: tuple[Prediction, ...]
    words: str


def of_jpeg(frame: AdversarialFrame, quality: int) -> Opinion:
    """The predictions for a perturbed picture after a JPEG file."""
    data = pictures.to_jpeg(frame.pictures[0], quality)
    predictions = tuple(frame.predict(pictures.load_picture(data)[None]))
    return Opinion(predictions, captions.after_jpeg(predictions, frame, quality))


class OtherNetwork:
    """The other bundled network, loaded when it is first used.

    Attributes:
        name: of the other network; "" for a network that is not bundled, whose pictures no other one takes.
    """

    def __init__(self, name: str) -> None:
        self.name = next((other for other in BUNDLED if other != name), "") if name in BUNDLED else ""
        self._fooled = name
        self._net: Network | None = None

    def check(self) -> None:
        if not self.name:
            raise BadTarget(
                f"There is no other network to compare with {quoted(self._fooled)}. Load one and call its predict()."
            )

    def of(self, frame: AdversarialFrame) -> Opinion:
        """Its predictions for a perturbed picture: runs on the worker's thread."""
        self._net = self._net or load_network(self.name)
        before = self._net.predict(frame.original[0], 1)
        predictions = tuple(self._net.predict(frame.pictures[0], ALL))
        return Opinion(predictions, captions.of_another(self.name, before, predictions))


class SecondOpinion(widgets.VBox):
    """Two buttons, and a line for their results.

    Args:
        on_jpeg: called when "Save as JPEG" is pressed.
        on_other: called when "Ask the other network" is pressed.
        other: the name of that network; "" where there is none.
        on_change: called when predictions are there, on any thread.
    """

    def __init__(
        self,
        on_jpeg: Callable[[], object],
        on_other: Callable[[], object],
        other: str,
        on_change: Callable[[], object],
    ) -> None:
        self._on_change = on_change
        self._request = Request(self._succeeded, self._failed)
        self.opinion: Opinion | None = None
        self.traceback = self.words = ""
        self._buttons = (
            _button("Save as JPEG", "Save as JPEG, which loses detail, and let the network predict again", on_jpeg),
            _button("Ask the other network", f"Predictions of {other or 'another network'}", on_other),
        )
        self._buttons[1].layout.display = "" if other else "none"
        self._line = markup.markup(width="100%")
        row = widgets.HBox(list(self._buttons), layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._line], layout=widgets.Layout(width="100%"))
        self.forget()

    def __repr__(self) -> str:
        return f"SecondOpinion({self.words!r})"

    @property
    def is_busy(self) -> bool:
        return self._request.is_busy

    def allow(self, is_allowed: bool) -> None:
        """Enable the buttons, or disable them."""
        for button in self._buttons:
            button.disabled = not is_allowed

    def begin(self, doing: str, predict: Callable[[], Opinion]) -> None:
        """Let the worker predict, and do not wait; an earlier request is dropped."""
        self.forget()
        self._show(doing)
        self._request.begin(predict)

    def result(self) -> list[Prediction]:
        """Wait for the predictions."""
        self._request.wait()
        if self.opinion is None:
            raise JobFailed(self.words)
        return list(self.opinion.predictions)

    def forget(self) -> None:
        """Show nothing, and drop what is being predicted."""
        self._request.drop()
        self.opinion = None
        self._show("")

    def _succeeded(self, opinion: Opinion) -> None:
        self.opinion = opinion
        self._show(opinion.words)
        self._on_change()

    def _failed(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._show(markup.complaint(failure), is_error=True)
        self._on_change()

    def _show(self, text: str, is_error: bool = False) -> None:
        self.words = text
        self._line.value = markup.status(text, is_error)


def _button(label: str, hint: str, action: Callable[[], object]) -> widgets.Button:
    button = widgets.Button(description=label, tooltip=hint, disabled=True, layout=widgets.Layout(width="auto"))
    button.on_click(lambda _: action())
    return button
