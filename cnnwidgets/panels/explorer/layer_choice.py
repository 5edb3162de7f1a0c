"""The choice of a layer in the sidebar of an Explorer: a map of the network, or a list."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets.errors import BadTarget, CnnWidgetsError
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import lifecycle
from cnnwidgets.panels.layer_picker import LayerPicker
from cnnwidgets.panels.network_map.network_map import NetworkMap

MAP, LIST = "Map", "List"


class LayerChoice(widgets.VBox):
    """A map and a list of the layers, one of them in front; what is chosen in one is chosen in the other.

    Args:
        net: the network.
        layer: the path that is chosen at first.
        picture: for the small pictures in the map.
        on_choice: called with the path that the user chose.
    """

    def __init__(self, net: Network, layer: str, picture: object, on_choice: Callable[[str], object]) -> None:
        self.map, self.list = NetworkMap(net, layer=layer), LayerPicker(net, layer, is_compact=True)
        self.map.is_visible = False  # its small pictures come after what the panel in front computes
        self._on_choice = on_choice
        self._view = widgets.ToggleButtons(options=[MAP, LIST], tooltips=["The network as a drawing", "All its layers"])
        self._view.style.button_width = "64px"
        self._view.observe(lambda _: self._show_view(), "value")
        super().__init__([self._view, self.map, self.list], layout=widgets.Layout(width="100%"))
        for part in (self.map, self.list):
            part.observe(lambda change: self._chosen(change["new"]), "layer")
        self._show_view()
        self.show_picture(picture)

    def __repr__(self) -> str:
        return f"LayerChoice({self.map.layer!r})"

    def show(self, layer: str) -> None:
        """Show another layer as the chosen one."""
        for part in (self.map, self.list):
            if part.layer != layer:
                part.layer = layer

    def show_picture(self, picture: object) -> None:
        """Show the most excited maps for another picture; none where the network cannot take it."""
        with contextlib.suppress(CnnWidgetsError):
            self.map.picture = picture

    def _chosen(self, layer: Any) -> None:
        if layer:
            with contextlib.suppress(BadTarget):  # the part that was used shows it
                self.show(layer)
            self._on_choice(layer)

    def _show_view(self) -> None:
        is_map = self._view.value == MAP
        self.map.layout.display, self.list.layout.display = ("", "none") if is_map else ("none", "")

    def stop(self) -> None:
        """End what is computed for the small pictures."""
        self.map.stop()

    def close(self) -> None:
        """Free every widget of both."""
        if self.comm is None:
            return
        self.map.close()
        self.list.close()
        lifecycle.close_all(self)
        super().close()
