"""The sidebar of a HeatmapPanel: predictions, class search, and the hidden region."""

from __future__ import annotations

import ipywidgets as widgets

from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.class_menu import ClassMenu
from cnnwidgets.panels.heatmaps import captions as captions_
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion

EMPTY = "Start shows the predictions."


class HeatSide(widgets.HBox):
    """A column beside one picture, a row under a wide one.

    Args:
        classes: the menu of classes.
        place: the place to hide.
    """

    def __init__(self, classes: ClassMenu, place: HiddenRegion) -> None:
        self._place = place
        self.bars = markup.markup(markup.progress_text(EMPTY))
        says, hides = (markup.markup(markup.title(text)) for text in ("Predictions", "Hide a region"))
        says.layout.margin = hides.layout.margin = "0 0 4px"
        width = "280px"
        groups = [
            widgets.VBox([says, self.bars, classes], layout=widgets.Layout(width=width, max_width="100%")),
            widgets.VBox([hides, place], layout=widgets.Layout(width=width, max_width="100%")),
        ]
        super().__init__(groups, layout=widgets.Layout(flex="1 1 280px", flex_flow="row wrap", grid_gap="12px 16px"))
        self.layout.align_content = "flex-start"

    def __repr__(self) -> str:
        return "HeatSide()"

    def show(self, tiles: HeatTiles, captions: list[tuple[str, str, str]]) -> None:
        """Tell what was seen on these tiles, which have these captions."""
        self.bars.value = captions_.bars(tiles.look)
        names = [" ".join(captions[tile.cell][:2]) for tile in tiles.tiles]
        height_and_width = [(tile.photo.shape[0], tile.photo.shape[1]) for tile in tiles.tiles]
        self._place.offer(names, height_and_width)
