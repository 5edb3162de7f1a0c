"""The layers that panels offer, and the one that is chosen first."""

from __future__ import annotations

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.network import Network


def spatial_layers(net: Network) -> list[str]:
    """Paths of the layers that have rows and columns, from the picture to the scores."""
    return [info.path for info in net.layers if info.is_spatial and info.units and info.calls and info.kind != "input"]


def map_layers(net: Network) -> list[str]:
    """The same, and those of tokens, of which a vision transformer's patches have rows and columns too."""
    shown = (info for info in net.layers if (info.is_spatial or info.is_of_tokens) and info.kind != "input")
    return [info.path for info in shown if info.units and info.calls]


def last_convolution(net: Network) -> str:
    """The path of the last convolution; without one, of the last layer with units.

    Raises:
        BadTarget: for a network without units.
    """
    having = [info for info in net.layers if info.units and info.calls]
    if not having:
        raise BadTarget(f"{net!r} has no layer with units. Give a convolutional network.")
    convolutions = [info for info in having if info.kind == "conv" and info.is_spatial]
    return (convolutions or having)[-1].path
