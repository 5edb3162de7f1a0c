"""The settings of a HeatmapPanel: those of the verbs for heatmaps, the maps to compare, and how the heat is painted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import MapRequest
from cnnwidgets.explain.regions import Region
from cnnwidgets.model.arguments import flag
from cnnwidgets.model.geometry.locations import has_rows
from cnnwidgets.model.layers import map_layers, spatial_layers
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import Number, setting

PAINTING = ("opacity", "threshold", "colormap")  # a change of these needs no network


def _checked_method(_name: str, method: object) -> str:
    return method_guide.check(method)


def _checked_second_method(_name: str, method: object) -> str | None:
    return None if method is None else method_guide.check(method)


def _checked_colormap(_name: str, colormap: Any) -> Any:
    pictures.colormap(colormap)
    return colormap


@dataclass(frozen=True, eq=False)
class HeatmapSettings(MapSettings):
    """The settings of `class_activation_map`, which include those of `attribution`, and the panel's own.

    Attributes:
        opacity: 0 (only the picture) to 1.
        threshold: 0..1, the share of the largest value from which heat is shown.
        colormap: a name.
        second_method: of a second map, or `None`.
        second_target: of a second map, or `None`.
        sanity_check: whether a map of a copy with shuffled weights is compared.
    """

    method: str = setting(method_guide.AT_THE_END, _checked_method)
    opacity: float = setting(0.7, Number(0, 1))
    threshold: float = setting(0.0, Number(0, 1))
    colormap: str = setting("viridis", _checked_colormap)
    second_method: str | None = setting(None, _checked_second_method)
    second_target: Any = None
    sanity_check: bool = setting(False, flag)

    def fitted(self, net: Network) -> HeatmapSettings:
        """The same, checked for a network, with the path of the layer.

        Raises:
            BadTarget: for a value that is not allowed, or does not exist in this network.
        """
        targets.named(net, self.target, self.output, self.of, self.against)
        targets.named(net, self.second_target, self.output)
        against = self.against.tolist() if isinstance(self.against, np.ndarray) else self.against
        layer = self.default_layer(net) if self.layer is None else checked_layer(net, self.layer)
        return replace(self.checked(), layer=layer, against=against)

    def default_layer(self, net: Network) -> str | None:
        """The layer that is mapped if none is named; `None` without spatial layers, where only pixels are mapped."""
        if not map_layers(net) and not method_guide.is_map(method_guide.check(self.method)):
            return None
        return reachability.default_layer(net, targets.named(net, self.target, self.output, self.of, self.against))

    def requests(self, net: Network, second_net: Network | None = None) -> tuple[MapRequest, ...]:
        """The map that the panel shows, and those next to it.

        Args:
            net: the network.
            second_net: a network to compare it with, at its own last layer.
        """
        first = MapRequest(net=net, **MapSettings.set_on(self).recorded())
        found = [first]
        target = self.target if self.second_target is None else self.second_target
        method = self.second_method or self.method
        if second_net is not None:
            target, against = (_translated(net, second_net, one) for one in (target, self.against))
            changes = {"layer": None, "output": None, "target": target, "against": against, "method": method}
            found.append(replace(first, net=second_net, **changes))
        elif self.second_method is not None or self.second_target is not None:
            found.append(replace(first, target=target, method=method, against=self._against_for(net, target)))
        if self.sanity_check:
            found.append(replace(first, is_shuffled=True))
        return tuple(found)

    def _against_for(self, net: Network, target: Any) -> Any:
        """The classes that a second class is compared with: none if it is one of them."""
        try:
            targets.named(net, target, self.output, self.of, self.against)
        except BadTarget:
            return None
        return self.against


def checked_layer(net: Network, layer: object) -> str:
    """The path of a layer that has rows and columns."""
    info = net.layer(layer)
    is_spatial = info.is_spatial or (info.is_of_tokens and has_rows(net, info.path))
    if not is_spatial or not info.calls:
        exist = ", ".join(spatial_layers(net)[-5:]) or "there is none; use an attribution method"
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so there is no map. Choose one that has: {exist}."
        )
    return info.path


def _translated(net: Network, other: Network, target: Any) -> Any:
    """A class of one network, or several, for another network: by name if both have names."""
    if isinstance(target, (list, tuple, range)):
        return [_translated(net, other, one) for one in target]
    if isinstance(target, Region):
        return replace(target, target=_translated(net, other, target.target))
    if target is None or callable(target) or isinstance(target, str) or not (net.class_names and other.class_names):
        return target
    return net.class_name(int(target))
