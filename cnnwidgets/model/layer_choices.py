"""The layers that verbs take and panels offer if none is named, from the picture to the scores."""

from __future__ import annotations

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.prepared_model import PreparedModel


def layers_with_units(net: PreparedModel) -> list[LayerInfo]:
    """All layers with units that a run calls; inputs are not called."""
    return [info for info in net.layers if info.units and info.calls]


def spatial_layers(net: PreparedModel) -> list[str]:
    """Paths of the layers with units whose output has rows and columns."""
    return [info.path for info in layers_with_units(net) if info.is_spatial]


def map_layers(net: PreparedModel) -> list[str]:
    """The same, and layers of tokens: the patches of a vision transformer have rows and columns too."""
    return [info.path for info in layers_with_units(net) if info.is_spatial or info.is_of_tokens]


def convolutions(net: PreparedModel, call: int = 0) -> list[str]:
    """Paths of the convolutions with rows and columns that have this call."""
    return [info.path for info in net.layers if info.kind == "conv" and info.is_spatial and info.calls > call]


def convolutions_of_any_axes(net: PreparedModel) -> list[LayerInfo]:
    """All convolutions, also those over one axis or three."""
    return [info for info in layers_with_units(net) if info.kind == "conv"]


def last_convolution(net: PreparedModel) -> str:
    """The path of the last convolution; without one, of the last layer with units.

    Raises:
        BadTarget: for a network without units.
    """
    found = convolutions(net) or [info.path for info in layers_with_units(net)]
    if not found:
        raise BadTarget(f"{net!r} has no layer with units. Give a convolutional network.")
    return found[-1]
