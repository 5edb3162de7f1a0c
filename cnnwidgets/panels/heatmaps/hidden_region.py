"""A region hidden from the network, chosen by a click or by numbers, and the change that it causes."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from cnnwidgets.errors import JobFailed
from cnnwidgets.explain.hidden_region import Hidden, hide_place
from cnnwidgets.explain.overlays.comparison import Question
from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles, Place
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.request import Request
from cnnwidgets.pictures.cells import Square

HINT = "Click the picture: the evidence at that position, and what the network predicts without it."


class HiddenRegion(widgets.VBox):
    """Numbers that say where, and what came of hiding that place.

    Attributes:
        hidden: what changed, `None` before.
        words: what is said about it.
        traceback: of what went wrong.

    Args:
        on_ask: called with (x, y, tile), in the picture's pixels, when the reader presses the button.
        on_change: called when an answer is there or forgotten, on whatever thread.
        shuffled: gives a copy of a network that knows nothing, for a seed.
    """

    def __init__(
        self,
        on_ask: Callable[[int, int, int], object],
        on_change: Callable[[], object],
        shuffled: Callable[[Network, int], Network],
    ) -> None:
        self._on_change, self._shuffled = on_change, shuffled
        self._request = Request(self._succeeded, self._failed)
        self._tile, self._evidence = 0, ""
        self.hidden: Hidden | None = None
        self.words = HINT
        self.traceback = ""
        narrow, slim = {"width": "78px"}, {"description_width": "16px"}
        self._which = widgets.Dropdown(options=[("map 1", 0)], layout=widgets.Layout(width="200px", display="none"))
        self._x = widgets.BoundedIntText(0, description="x", layout=widgets.Layout(**narrow), style=slim)
        self._y = widgets.BoundedIntText(0, description="y", layout=widgets.Layout(**narrow), style=slim)
        self._button = widgets.Button(
            description="Hide this region",
            tooltip="Cover the region with a gray square, and predict again",
            layout=widgets.Layout(width="auto"),
        )
        self._button.on_click(lambda _: on_ask(self._x.value, self._y.value, self._which.value))
        self._line = markup.markup(markup.status(HINT))
        row = widgets.HBox([self._which, self._x, self._y, self._button], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._line])

    def __repr__(self) -> str:
        return f"HiddenRegion({self.words!r})"

    @property
    def is_busy(self) -> bool:
        """Whether the network is being asked."""
        return self._request.is_busy

    @property
    def marked(self) -> tuple[int, Square] | None:
        """The tile and the place on it that is hidden."""
        return None if self.hidden is None else (self._tile, self.hidden.square)

    def offer(self, names: list[str], sizes: list[tuple[int, int]]) -> None:
        """Let places on these tiles be chosen, on pictures of (height, width)."""
        options = [(name, index) for index, name in enumerate(names)]
        if list(self._which.options) != options:
            self._which.options = options
        self._which.layout.display = "" if len(names) > 1 else "none"
        self._y.max, self._x.max = (max(lengths) - 1 for lengths in zip(*sizes, strict=True))

    def begin(self, tiles: HeatTiles, place: Place) -> None:
        """Let the worker predict without a region, and do not wait; an earlier one is dropped."""
        self.forget()
        evidence, tile = tiles.evidence(place), tiles.tiles[place.tile]
        self._tile, self._evidence = place.tile, evidence
        self._which.value, (self._x.value, self._y.value) = place.tile, tiles.pixel(place)
        self._tell(f"{evidence} Predicting without it.")
        picture, position = tiles.look.picture.given, (place.x, place.y)
        self._request.begin(lambda: self._without(tile.question, picture, tile.which, position))

    def answer(self) -> Hidden:
        """Wait for what changes.

        Raises:
            JobFailed: when the network cannot predict.
        """
        self._request.wait()
        if self.hidden is None:
            raise JobFailed(self.words)
        return self.hidden

    def forget(self) -> None:
        """Show no region."""
        self._request.drop()
        shown, self.hidden = self.hidden, None
        self._tell(HINT)
        if shown is not None:
            self._on_change()

    def _without(self, question: Question, picture: object, which: int, position: tuple[float, float]) -> Hidden:
        """Predict with the region hidden: runs on the worker's thread."""
        net = self._shuffled(question.net, question.seed) if question.is_shuffled else question.net
        index = net.picture_inputs[which]
        return hide_place(
            net, picture, position, question.target, output=question.output, which=index, size=question.size
        )

    def _succeeded(self, hidden: Hidden) -> None:
        self.hidden = hidden
        self._tell(f"{self._evidence} {told(hidden)}")
        self._on_change()

    def _failed(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._tell(markup.complaint(failure), is_error=True)
        self._on_change()

    def _tell(self, text: str, is_error: bool = False) -> None:
        self.words = text
        self._line.value = markup.status(text, is_error)


def told(hidden: Hidden) -> str:
    """What hiding a place changes, in a sentence."""
    if not hidden.name:
        return f"Without it your target goes from {hidden.before:.3g} to {hidden.after:.3g}."
    before, after = markup.percent(hidden.before), markup.percent(hidden.after)
    verb = "falls" if hidden.after < hidden.before else "rises"
    change = f"stays at {after}" if before == after else f"{verb} from {before} to {after}"
    other = "" if hidden.top == hidden.name else f" The network then predicts {hidden.top}."
    return f"Without it {hidden.name} {change}.{other}"
