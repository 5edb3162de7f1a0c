"""The layers with rows and columns, which can be shown as maps."""

from __future__ import annotations

from cnnwidgets.model.network import Network


def spatial_layers(net: Network) -> list[str]:
    """Paths of the layers that have rows and columns, from the picture to the scores."""
    return [info.path for info in net.layers if info.is_spatial and info.units and info.calls and info.kind != "input"]


def map_layers(net: Network) -> list[str]:
    """The same, and those of tokens, of which a vision transformer's patches have rows and columns too."""
    shown = (info for info in net.layers if (info.is_spatial or info.is_of_tokens) and info.kind != "input")
    return [info.path for info in shown if info.units and info.calls]
