"""A place for the page of one unit, below the panel from which it is opened."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import run_buttons
from cnnwidgets.panels.unit.unit_panel import UnitPanel


class UnitPage(widgets.VBox):
    """Empty, until a unit is opened in it.

    Args:
        guarded: runs what its button asks for, and shows what goes wrong.

    Attributes:
        panel: the UnitPanel that is shown; `None` where there is none.
        picture: the one on which a unit is shown where none is given.
        on_choice: called with (layer, unit) when another unit is chosen on the page.
    """

    def __init__(self, guarded: Callable[..., None]) -> None:
        self.panel: UnitPanel | None = None
        self.picture: Any = None
        self.on_choice: Callable[[str, int], object] = lambda layer, unit: None
        close = functools.partial(guarded, self.clear)
        self._close = run_buttons.button("Close this unit", "times", "Close the page of the unit", close)
        self._close.layout.display, self._close.layout.align_self = "none", "flex-start"
        super().__init__([self._close], layout=widgets.Layout(width="100%"))

    def __repr__(self) -> str:
        return f"UnitPage({self.panel!r})"

    def show(
        self, net: Network, layer: str, unit: int, picture: Any, atlas: Atlas | None, shown_in: Any, may_save: bool
    ) -> None:
        """Show everything on a unit, in the panel that is there already where there is one.

        Args:
            net: the network.
            layer: a path.
            unit: its index.
            picture: as UnitPanel takes it; the page's own where it is `None`, or else a sample photograph.
            atlas: as UnitPanel takes it.
            shown_in: the cell output that keeps its last picture.
            may_save: whether its buttons may write files.
        """
        picture = self.picture if picture is None else picture
        if self.panel is not None and self.panel.net is net and self.panel.picture is picture:
            self.panel.atlas = atlas
            self.panel.go_to(layer, unit)
            return
        self.clear()
        self.panel = UnitPanel(net, layer, unit, picture, atlas=atlas)
        self.panel.shown_in, self.panel.may_save = shown_in, may_save
        self._close.layout.display = ""
        self.children = [self._close, self.panel]
        self.panel.observe(self._chosen, ["layer", "unit"])

    def follow(self, layer: str, unit: int | None, picture: Any) -> None:
        """Show another unit where the page is open, and take the picture for the next one that is opened."""
        self.picture = picture
        panel = self.panel
        if panel is not None and unit is not None and (panel.layer, panel.unit) != (layer, unit):
            panel.go_to(layer, unit)

    def _chosen(self, _change: object) -> None:
        panel = self.panel
        if panel is not None and panel.unit < panel.net.layer(panel.layer).units:  # else the unit changes next
            self.on_choice(panel.layer, panel.unit)

    def stop(self) -> None:
        """End what runs in it after the step under way."""
        if self.panel is not None:
            self.panel.stop(0)

    def clear(self) -> None:
        if self.panel is not None:
            old, self.panel = self.panel, None
            self.children = [self._close]
            self._close.layout.display = "none"
            old.close()

    def close(self) -> None:
        if self.panel is not None:
            self.panel.close()
        super().close()
