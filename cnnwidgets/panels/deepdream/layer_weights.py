"""A list of layers with a weight slider each; layers can be added and removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import ipywidgets as widgets

from cnnwidgets.panels.base import markup

ROOM = 14  # letters of a layer's name
LARGEST = 2.0  # of a slider, unless a weight is larger


class LayerWeights(widgets.VBox):
    """One row for each layer; rows are made once and shown or hidden.

    Args:
        paths: the layers that can be added, in the network's order.
        on_change: called with {path: weight} when the list or a weight has changed; it ignores what `show` changes.
    """

    def __init__(self, paths: Sequence[str], on_change: Callable[[dict[str, float]], object]) -> None:
        self._on_change = on_change
        self._weights: dict[str, float] = {}
        self._rows: list[_Row] = []
        self._choice = widgets.Dropdown(
            options=paths, description="Add", style={"description_width": "30px"},
            layout=widgets.Layout(width="auto", flex="1 1 auto", min_width="0"),
            tooltip="Another layer that DeepDream maximizes",
        )  # fmt: skip
        self._choice.value = paths[len(paths) // 2] if paths else None
        self._add = widgets.Button(
            icon="plus",
            description="Add",
            tooltip="Maximize this layer too",
            layout=widgets.Layout(width="auto", flex="0 0 auto"),
        )
        self._add.on_click(lambda _: self._added())
        self._adding = widgets.HBox([self._choice, self._add])
        title = markup.markup(markup.title("Layers and their weights"))
        self._title = title
        super().__init__([title, self._adding], layout=widgets.Layout(width="100%"))

    def __repr__(self) -> str:
        return f"LayerWeights({self._weights})"

    def show(self, weights: Mapping[str, float]) -> None:
        """Show these layers."""
        self._weights = dict(weights)
        missing = len(weights) - len(self._rows)
        if missing > 0:
            self._rows += [_Row(self._weighed, self._removed) for _ in range(missing)]
            self.children = [self._title, *self._rows, self._adding]
        for index, row in enumerate(self._rows):
            row.layout.display = "" if index < len(weights) else "none"
        for row, (path, weight) in zip(self._rows, weights.items(), strict=False):
            row.show(path, weight, removable=len(weights) > 1)

    def suggest(self, path: str) -> None:
        """Let the menu stand at this layer, if it is one that can be added."""
        if path in self._choice.options:
            self._choice.value = path

    def _weighed(self, path: str, weight: float) -> None:
        self._on_change({**self._weights, path: weight})

    def _added(self) -> None:
        path = self._choice.value
        if path is not None and path not in self._weights:
            self._on_change({**self._weights, path: 1.0})

    def _removed(self, path: str) -> None:
        self._on_change({other: weight for other, weight in self._weights.items() if other != path})


class _Row(widgets.HBox):
    """A layer's slider, and the button that takes the layer away."""

    def __init__(self, on_weight: Callable[[str, float], object], on_remove: Callable[[str], object]) -> None:
        self.path = ""
        self._slider = widgets.FloatSlider(
            1.0, min=0.0, max=LARGEST, step=0.05, tooltip="How much this layer counts; takes effect at the next step",
            layout=widgets.Layout(width="auto", flex="1 1 auto"), style={"description_width": "110px"},
            readout_format=".2f",
        )  # fmt: skip
        self._remove = widgets.Button(icon="times", tooltip="Leave this layer out", layout=widgets.Layout(width="32px"))
        self._slider.observe(lambda change: on_weight(self.path, change["new"]), "value")
        self._remove.on_click(lambda _: on_remove(self.path))
        super().__init__([self._slider, self._remove])

    def __repr__(self) -> str:
        return f"_Row({self.path!r})"

    def show(self, path: str, weight: float, removable: bool) -> None:
        self.path, self._slider.description = path, markup.tail(path, ROOM)
        if weight > self._slider.max:
            self._slider.max = weight
        if weight < self._slider.min:
            self._slider.min = weight
        if self._slider.value != weight:
            self._slider.value = weight
        self._remove.disabled = not removable
