"""The part of the picture that is explained, for networks that predict a class at each position."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles
from cnnwidgets.explain.regions import Box, Region, region
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.controls.controls import named

EDGES = ("top", "left", "bottom", "right")
HINT = "Drag a rectangle on the picture: the class is explained inside it alone."


class RegionChoice(widgets.VBox):
    """Four numbers for the keyboard, which do what dragging a rectangle on the picture does.

    Args:
        on_choose: called with a box (top, left, bottom, right), or with `None` for the whole picture.
    """

    def __init__(self, on_choose: Callable[[Box | None], object]) -> None:
        self.edges = {name: _edge(name) for name in EDGES}
        self.explain, self.whole = (
            widgets.Button(description=label, tooltip=hint, layout=widgets.Layout(width="auto"))
            for label, hint in (
                ("Explain this region", "The evidence for the class inside these rows and columns"),
                ("The whole picture", "The evidence at all pixels whose prediction is the class"),
            )
        )
        self.explain.on_click(lambda _: on_choose(self.box))
        focus.watch(self.whole)
        self.whole.on_click(lambda _: on_choose(None))
        numbers, buttons = (
            widgets.HBox(list(parts), layout=widgets.Layout(flex_flow="row wrap"))
            for parts in (self.edges.values(), (self.explain, self.whole))
        )
        super().__init__([numbers, buttons, markup.markup(markup.progress_text(HINT))])

    def __repr__(self) -> str:
        return f"RegionChoice({self.box})"

    @property
    def box(self) -> Box:
        top, left, bottom, right = (edge.value for edge in self.edges.values())
        return top, left, bottom, right

    def show(self, target: object, size: tuple[int, int]) -> None:
        """Show the region that is explained, on a picture of (height, width)."""
        height, width = size
        chosen = target.box if isinstance(target, Region) else None
        for edge, most, value in zip(
            self.edges.values(), (height, width) * 2, chosen or (0, 0, height, width), strict=True
        ):
            edge.max, edge.value = most, value
        focus.set_disabled(self.whole, not isinstance(target, Region), self.edges["top"])


def is_dense(net: Network, output: int | str | None, target: object) -> bool:
    """Whether the output has a class at each position, so that a part of the picture can be explained."""
    info = net.outputs[find_output(output, net.outputs)]
    return len(info.shape) == 3 and not callable(target)


def target_in(box: Box | None, target: Any) -> Any:
    """The class of a target inside a box, or in the whole picture."""
    chosen = target.target if isinstance(target, Region) else target
    return chosen if box is None else region(chosen, box)


def box_dragged(tiles: HeatTiles, start: tuple[float, float], end: tuple[float, float]) -> Box | None:
    """The box that was dragged on a map; `None` where there is no map."""
    found = tiles.box_between(start, end)
    if found is None:
        return None
    tile, box = found
    if tiles.tiles[tile].which:
        net = tiles.comparison.requests[0].net
        first = net.inputs[net.picture_inputs[0]].name
        raise BadTarget(f"A region is of the first picture, {quoted(first)}. Drag a rectangle on that one.")
    return box


def _edge(name: str) -> widgets.BoundedIntText:
    hints = {"top": "First row", "left": "First column", "bottom": "First row outside", "right": "First column outside"}
    return widgets.BoundedIntText(
        0, description=name, tooltip=hints[name], style=named("48px"), layout=widgets.Layout(width="132px")
    )
