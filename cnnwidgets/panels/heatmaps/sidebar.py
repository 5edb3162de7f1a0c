"""The sidebar of a HeatmapPanel: predictions, class search, the hidden and the explained region."""

from __future__ import annotations

import ipywidgets as widgets

from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.controls.class_menu import ClassMenu
from cnnwidgets.panels.heatmaps import captions as captions_
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion
from cnnwidgets.panels.heatmaps.region_choice import RegionChoice

WIDTH = "264px"
EMPTY = "Start shows the predictions."


class HeatmapSidebar(widgets.HBox):
    """Groups with a title each: a column next to one picture, a row under a wide one.

    Args:
        classes: the menu of classes.
        region: the controls of the hidden region.
        explained: the controls of the region that is explained.
    """

    def __init__(self, classes: ClassMenu, region: HiddenRegion, explained: RegionChoice) -> None:
        self._region, self._explained = region, explained
        self.bars = markup.markup(markup.progress_text(EMPTY))
        groups = [_group("Predictions", self.bars, classes), _group("Hide a region", region)]
        self._explaining = _group("Explain a region", explained)
        groups.append(self._explaining)
        super().__init__(groups, layout=widgets.Layout(flex="1 1 280px", flex_flow="row wrap", grid_gap="12px 16px"))
        self.layout.align_content = "flex-start"

    def __repr__(self) -> str:
        return "HeatmapSidebar()"

    def offer_region(self, is_dense: bool, target: object, size: tuple[int, int]) -> None:
        """Show the region that is explained on a picture of (height, width), for an output that has positions."""
        self._explaining.layout.display = "" if is_dense else "none"
        self._explained.show(target, size)

    def show(self, tiles: HeatTiles, captions: list[tuple[str, str, str]]) -> None:
        """Show the predictions, and offer regions of these tiles, which have these captions."""
        self.bars.value = captions_.bars(tiles.comparison)
        names = [" ".join(captions[tile.cell][:2]) for tile in tiles.tiles]
        height_and_width = [(tile.photo.shape[0], tile.photo.shape[1]) for tile in tiles.tiles]
        self._region.offer(names, height_and_width)


def _group(title: str, *parts: widgets.Widget) -> widgets.VBox:
    heading = markup.markup(markup.title(title))
    heading.layout.margin = "0 0 4px"
    return widgets.VBox([heading, *parts], layout=widgets.Layout(width=WIDTH, max_width="100%"))
