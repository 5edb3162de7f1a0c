"""What can be set on a HeatmapPanel, and what each setting may be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.compute import connections, targets
from cnnwidgets.compute.ascent import checked_seed
from cnnwidgets.compute.network import Network
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.panels.heatmap import methods
from cnnwidgets.panels.heatmap.look import Question
from cnnwidgets.panels.held_picture import HeldPicture
from cnnwidgets.panels.spatial import spatial_layers

ASKING = ("picture", "layer", "target", "method", "output", "seed", "second_method", "second_target", "sanity_check")
PAINTING = ("opacity", "threshold", "colormap")  # these need no network


class HeatSettings(traitlets.HasTraits):
    """The settings as traits; one that cannot be is refused in a sentence, and the old one stays."""

    net: Network
    _held: HeldPicture
    _second_net: Network | None
    _quiet: bool  # whether nobody listens, since settings are set together

    picture = traitlets.Any()
    layer = traitlets.Unicode()
    target = traitlets.Any(None, allow_none=True)
    method = traitlets.Unicode(methods.AT_THE_END)
    output = traitlets.Any(None, allow_none=True)
    seed = traitlets.Any(0)
    opacity = traitlets.Any(0.7)
    threshold = traitlets.Any(0.0)
    colormap = traitlets.Unicode("viridis")
    second_method = traitlets.Unicode(None, allow_none=True)
    second_target = traitlets.Any(None, allow_none=True)
    sanity_check = traitlets.Bool(False)

    def questions(self) -> tuple[Question, ...]:
        """The map that the panel is about, and those beside it."""
        layer = self.layer or None
        asked = [Question(self.net, layer, self.target, self.method, self.output, self.seed)]
        target = self.target if self.second_target is None else self.second_target
        method = self.second_method or self.method
        if self._second_net is not None:
            wanted = _translated(self.net, self._second_net, target)
            asked.append(Question(self._second_net, None, wanted, method, None, self.seed))
        elif self.second_method is not None or self.second_target is not None:
            asked.append(Question(self.net, layer, target, method, self.output, self.seed))
        if self.sanity_check:
            asked.append(replace(asked[0], is_shuffled=True))
        return tuple(asked)

    @traitlets.validate("picture")
    def _fitting_picture(self, proposal: Any) -> Any:
        if not self._quiet:
            self._held = HeldPicture(self.net, proposal["value"])
        return proposal["value"]

    @traitlets.validate("layer")
    def _spatial_layer(self, proposal: Any) -> str:
        return spatial(self.net, proposal["value"]) if proposal["value"] else ""

    @traitlets.validate("method", "second_method")
    def _known_method(self, proposal: Any) -> str | None:
        return None if proposal["value"] is None else methods.check(proposal["value"])

    @traitlets.validate("target", "second_target")
    def _known_target(self, proposal: Any) -> Any:
        targets.named(self.net, proposal["value"], self.output)
        return proposal["value"]

    @traitlets.validate("output")
    def _known_output(self, proposal: Any) -> Any:
        targets.named(self.net, None if self._quiet else self.target, proposal["value"])
        return proposal["value"]

    @traitlets.validate("seed")
    def _whole_seed(self, proposal: Any) -> int:
        return checked_seed(proposal["value"])

    @traitlets.validate("opacity", "threshold")
    def _share(self, proposal: Any) -> float:
        value, name = proposal["value"], proposal["trait"].name
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= float(value) <= 1:
            raise BadTarget(f"{name} must be a number from 0 to 1, got {quoted(value)}.")
        return float(value)

    @traitlets.validate("colormap")
    def _known_colormap(self, proposal: Any) -> str:
        pictures.colormap(proposal["value"])
        return str(proposal["value"])


def spatial(net: Network, layer: object) -> str:
    """The path of a layer that has rows and columns.

    Raises:
        BadTarget: for an unknown layer, and for one that has none.
    """
    info = net.layer(layer)
    if not info.is_spatial or not info.calls:
        exist = ", ".join(spatial_layers(net)[-5:]) or "there is none; take a method of attribution"
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so there is no map. Choose one that has: {exist}."
        )
    return info.path


def last_layer(net: Network, wanted: targets.Target, method: str) -> str:
    """The layer that a map explains if none is named; "" for a network without any, of which only pixels can be."""
    if not spatial_layers(net) and not methods.is_map(method):
        return ""
    return connections.default_layer(net, wanted)


def _translated(net: Network, other: Network, target: Any) -> Any:
    """A class of one network as the other calls it: by name where both have names."""
    if target is None or callable(target) or isinstance(target, str) or not (net.class_names and other.class_names):
        return target
    return net.class_name(int(target))
