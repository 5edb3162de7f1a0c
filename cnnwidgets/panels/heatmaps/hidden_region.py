"""A region hidden from the network, chosen by a click or by numbers, and the change that it causes."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from cnnwidgets.errors import JobFailed
from cnnwidgets.explain.hidden_region import Hidden, hide_region
from cnnwidgets.explain.overlays.comparison import MapRequest
from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles, Position
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.runs.request import Request
from cnnwidgets.pictures.cells import Square

HINT = "Click the picture: the evidence at that position, and what the network predicts without it."


class HiddenRegion(widgets.VBox):
    """Fields for the position of a region, and a line with the predictions without it.

    Attributes:
        hidden: the change, `None` before.
        line: the text about it.
        traceback: of the last error.

    Args:
        on_press: called with (x, y, tile), in the picture's pixels, when the button is pressed.
        on_change: called when the change is known or forgotten, on any thread.
        shuffled: returns a copy of a network with shuffled weights, for a seed.
    """

    def __init__(
        self,
        on_press: Callable[[int, int, int], object],
        on_change: Callable[[], object],
        shuffled: Callable[[Network, int], Network],
    ) -> None:
        self._on_change, self._shuffled = on_change, shuffled
        self._request = Request(self._succeeded, self._failed)
        self._tile, self._evidence = 0, ""
        self.hidden: Hidden | None = None
        self.line = HINT
        self.traceback = ""
        self._which = widgets.Dropdown(options=[("map 1", 0)], layout=widgets.Layout(width="200px", display="none"))
        self._x, self._y = _coordinate("x"), _coordinate("y")
        self._button = widgets.Button(
            description="Hide this region",
            tooltip="Cover the region with a gray square, and predict again",
            layout=widgets.Layout(width="auto"),
        )
        self._button.on_click(lambda _: on_press(self._x.value, self._y.value, self._which.value))
        self._output = markup.markup(markup.status(HINT))
        row = widgets.HBox([self._which, self._x, self._y, self._button], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._output])

    def __repr__(self) -> str:
        return f"HiddenRegion({self.line!r})"

    @property
    def is_busy(self) -> bool:
        """Whether the network predicts without it."""
        return self._request.is_busy

    @property
    def marked(self) -> tuple[int, Square] | None:
        return None if self.hidden is None else (self._tile, self.hidden.square)

    def offer(self, names: list[str], sizes: list[tuple[int, int]]) -> None:
        """Let positions on these tiles be chosen, on pictures of (height, width)."""
        options = [(name, index) for index, name in enumerate(names)]
        if list(self._which.options) != options:
            self._which.options = options
        self._which.layout.display = "" if len(names) > 1 else "none"
        self._y.max, self._x.max = (max(lengths) - 1 for lengths in zip(*sizes, strict=True))

    def begin(self, tiles: HeatTiles, position: Position) -> None:
        """Let the worker predict without a region, and do not wait; an earlier request is dropped."""
        self.forget()
        evidence, tile = tiles.evidence(position), tiles.tiles[position.tile]
        self._tile, self._evidence = position.tile, evidence
        self._which.value, (self._x.value, self._y.value) = position.tile, tiles.pixel(position)
        self._show(f"{evidence} Predicting without it.")
        picture, center = tiles.comparison.picture.given, (position.x, position.y)
        self._request.begin(lambda: self._without(tile.request, picture, tile.which, center))

    def point(self, tiles: HeatTiles, position: Position) -> None:
        """Show the evidence at a position, ready to be hidden; nothing is predicted yet."""
        self.forget()
        self._which.value, (self._x.value, self._y.value) = position.tile, tiles.pixel(position)
        self._show(f"{tiles.evidence(position)} Hide this region shows what the network predicts without it.")

    def result(self) -> Hidden:
        """Wait for the change."""
        self._request.wait()
        if self.hidden is None:
            raise JobFailed(self.line)
        return self.hidden

    def forget(self) -> None:
        """Show no region."""
        self._request.drop()
        shown, self.hidden = self.hidden, None
        self._show(HINT)
        if shown is not None:
            self._on_change()

    def _without(self, request: MapRequest, picture: object, which: int, center: tuple[float, float]) -> Hidden:
        """Predict with the region hidden: runs on the worker's thread."""
        net = self._shuffled(request.net, request.seed) if request.is_shuffled else request.net
        index = net.picture_inputs[which]
        return hide_region(net, picture, center, request.target, output=request.output, which=index, size=request.size)

    def _succeeded(self, hidden: Hidden) -> None:
        self.hidden = hidden
        self._show(f"{self._evidence} {sentence(hidden)}")
        self._on_change()

    def _failed(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._show(markup.complaint(failure), is_error=True)
        self._on_change()

    def _show(self, text: str, is_error: bool = False) -> None:
        self.line = text
        self._output.value = markup.status(text, is_error)


def _coordinate(name: str) -> widgets.BoundedIntText:
    return widgets.BoundedIntText(
        0, description=name, layout=widgets.Layout(width="78px"), style={"description_width": "16px"}
    )


def sentence(hidden: Hidden) -> str:
    """The change that hiding a region causes."""
    if not hidden.name:
        return f"Without it your target goes from {hidden.before:.3g} to {hidden.after:.3g}."
    before, after = markup.percent(hidden.before), markup.percent(hidden.after)
    verb = "falls" if hidden.after < hidden.before else "rises"
    change = f"stays at {after}" if before == after else f"{verb} from {before} to {after}"
    other = "" if hidden.top == hidden.name else f" The network then predicts {hidden.top}."
    return f"Without it {hidden.name} {change}.{other}"
