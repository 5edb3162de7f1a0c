"""The settings of a FeatureMapPanel: those of `feature_maps`, for one layer, and how the maps are shown."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from cnnwidgets.activations.feature_maps import MapsSettings
from cnnwidgets.activations.maps_run import MapsRun, Photographs
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import check_call
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import OneOf, setting

CONTRASTS = ("range", "books")
ORDERS = ("answer", "index")


@dataclass(frozen=True, eq=False)
class FeatureMapSettings(MapsSettings):
    """The settings of `feature_maps` for one layer, and the panel's own.

    Attributes:
        layer: a path.
        order: "answer" for the strongest activation first, or "index".
        how: "range" or "books": the contrast.
    """

    layers: str | Iterable[str] | None = setting(None, recorded=False)
    layer: Any = None
    order: str = setting("answer", OneOf(ORDERS))
    how: str = setting("range", OneOf(CONTRASTS))

    def fitted(self, net: Network) -> FeatureMapSettings:
        """The same, checked for a network, with the path of the layer."""
        layers = spatial_layers(net)
        if not layers:
            raise BadTarget(
                f"{quoted(net.name)} has no layer with rows and columns, so it has no feature maps. "
                "Give another network."
            )
        path = layers[0] if self.layer is None else net.layer(self.layer).path
        if path not in layers:
            raise BadTarget(f"layer must be one of {', '.join(layers[-10:])}, got {quoted(path)}.")
        return replace(self.checked(), layer=path, call=check_call(net.layer(path), self.call))

    def run(self, net: Network, picture: Photographs) -> MapsRun:
        """The run of these settings."""
        return MapsRun(net, picture, self.layer, self.call, self.order == "answer", self.size)
