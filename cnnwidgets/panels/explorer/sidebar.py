"""The sidebar of an Explorer: the menu of networks, loaded in the background, and the predictions for its picture."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.controls.controls import in_sidebar
from cnnwidgets.panels.runs.request import Request
from cnnwidgets.zoo import NETWORKS, load_network

HINT = "a .keras or .h5 file, then Enter"
TOP = 5


class NetworkMenu(widgets.VBox):
    """A menu of networks, and a line for the path of a model file.

    Args:
        net: that is chosen at first.
        on_choose: called with a network that has been loaded, on any thread.
        files: whether files of this machine may be opened.
    """

    def __init__(self, net: Network, on_choose: Callable[[Network], object], files: bool) -> None:
        self._on_choose = on_choose
        self._loaded = {net.name: net}
        self._chosen = net.name
        self._request = Request(self._loaded_one, self.refuse)
        self._updating = Updating()
        self.traceback = ""
        self._menu = widgets.Dropdown(description="Network", tooltip="Network to inspect", **in_sidebar())
        self._path = widgets.Text(
            placeholder=HINT, description="Model file", continuous_update=False,
            tooltip="A Keras model on this machine, read in Keras' safe mode", **in_sidebar(),
        )  # fmt: skip
        self._path.layout.display = "" if files else "none"
        self._may_open = files
        self._line = markup.markup(markup.status(""))
        super().__init__([self._menu, self._path, self._line])
        self._fill()
        self._menu.observe(self._picked, "value")
        self._path.observe(self._typed, "value")

    def __repr__(self) -> str:
        return f"NetworkMenu({self._chosen!r})"

    def show(self, net: Network) -> None:
        """Show this network in the menu."""
        self._loaded[net.name], self._chosen = net, net.name
        self._fill()

    def refuse(self, failure: Failure) -> None:
        """Show why a network was refused."""
        self.traceback = failure.traceback
        self._line.value = markup.status(markup.complaint(failure), is_error=True)
        self._fill()

    def _fill(self) -> None:
        with self._updating:
            self._menu.options = list(dict.fromkeys([*self._loaded, *NETWORKS]))
            self._menu.value = self._chosen

    def _picked(self, change: dict[str, str]) -> None:
        name = change["new"]
        if not self._updating:
            self._begin(name, lambda: self._loaded.get(name) or load_network(name))

    def _typed(self, change: dict[str, str]) -> None:
        path = change["new"].strip()
        if path and self._may_open:
            self._begin(path, lambda: Network.from_file(path))

    def _begin(self, name: str, load: Callable[[], Network]) -> None:
        """Load on the worker's thread; an earlier request is dropped."""
        self._line.value = markup.status(f"Loading {name}.")
        self._request.begin(load)

    def _loaded_one(self, net: Network) -> None:
        self._line.value = markup.status(net.file_note)
        self._on_choose(net)

    def forget(self) -> None:
        """Load nothing."""
        self._request.drop()


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
