"""Settings of a HeatmapPanel and their checks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.class_activation_map import MapSettings
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import Question
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.arguments import number
from cnnwidgets.model.geometry.locations import has_rows
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.quiet import Quiet
from cnnwidgets.panels.base.settings_traits import settings_of
from cnnwidgets.panels.base.spatial import map_layers, spatial_layers

ASKING = ("picture", *MapSettings.names(), "second_method", "second_target", "sanity_check")
PAINTING = ("opacity", "threshold", "colormap")  # these need no network


@settings_of(MapSettings)
class HeatSettings(traitlets.HasTraits):
    """The settings as traits; one that cannot be is refused in a sentence, and the old one stays."""

    net: Network
    _held: HeldPicture
    _second_net: Network | None
    _quiet: Quiet

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A setting of the verb, whose trait is made from its field."""

    picture = traitlets.Any()
    layer = traitlets.Unicode()
    method = traitlets.Unicode(method_guide.AT_THE_END)
    opacity = traitlets.Any(0.7)
    threshold = traitlets.Any(0.0)
    colormap = traitlets.Unicode("viridis")
    second_method = traitlets.Unicode(None, allow_none=True)
    second_target = traitlets.Any(None, allow_none=True)
    sanity_check = traitlets.Bool(False)

    def questions(self) -> tuple[Question, ...]:
        """The map that the panel is about, and those beside it."""
        settings = MapSettings.set_on(self).recorded()
        first = Question(net=self.net, **{**settings, "layer": self.layer or None})
        asked = [first]
        target = self.target if self.second_target is None else self.second_target
        method = self.second_method or self.method
        if self._second_net is not None:
            wanted = _translated(self.net, self._second_net, target)
            asked.append(replace(first, net=self._second_net, layer=None, target=wanted, method=method, output=None,
                                 against=_each_translated(self.net, self._second_net, self.against)))  # fmt: skip
        elif self.second_method is not None or self.second_target is not None:
            asked.append(replace(first, target=target, method=method, against=self._against_for(target)))
        if self.sanity_check:
            asked.append(replace(asked[0], is_shuffled=True))
        return tuple(asked)

    def _against_for(self, target: Any) -> Any:
        """What a second class is compared with: nothing where that would be the class itself."""
        try:
            targets.named(self.net, target, self.output, self.of, self.against)
        except BadTarget:
            return None
        return self.against

    @traitlets.validate("picture")
    def _fitting_picture(self, proposal: Any) -> Any:
        if not self._quiet:
            self._held = HeldPicture(self.net, proposal["value"], self.size)
        return proposal["value"]

    @traitlets.validate("layer")
    def _spatial_layer(self, proposal: Any) -> str:
        return spatial(self.net, proposal["value"]) if proposal["value"] else ""

    @traitlets.validate("method", "second_method")
    def _known_method(self, proposal: Any) -> str | None:
        return None if proposal["value"] is None else method_guide.check(proposal["value"])

    @traitlets.validate("target", "second_target")
    def _known_target(self, proposal: Any) -> Any:
        is_first = proposal["trait"].name == "target" and not self._quiet
        of, against = (self.of, self.against) if is_first else ("logit", None)
        targets.named(self.net, proposal["value"], self.output, of, against)
        return proposal["value"]

    @traitlets.validate("output")
    def _known_output(self, proposal: Any) -> Any:
        target, of, against = (None, "logit", None) if self._quiet else (self.target, self.of, self.against)
        targets.named(self.net, target, proposal["value"], of, against)
        return proposal["value"]

    @traitlets.validate("of")
    def _known_of(self, proposal: Any) -> str:
        targets.named(self.net, self.target, self.output, proposal["value"], None)
        return str(proposal["value"])

    @traitlets.validate("against")
    def _known_rivals(self, proposal: Any) -> Any:
        value = proposal["value"]
        targets.named(self.net, self.target, self.output, self.of, value)
        return value.tolist() if isinstance(value, np.ndarray) else value

    @traitlets.validate("channels", "seed")
    def _allowed(self, proposal: Any) -> int:
        name = proposal["trait"].name
        number: int = MapSettings.allowed(name)(name, proposal["value"])
        return number

    @traitlets.validate("size")
    def _fitting_size(self, proposal: Any) -> Any:
        if not np.array_equal(proposal["value"], self.size):
            Probe(self.net, self._held.given, proposal["value"])
        return proposal["value"]

    @traitlets.validate("opacity", "threshold")
    def _share(self, proposal: Any) -> float:
        return number(proposal["trait"].name, proposal["value"], 0, 1)

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
    is_shown = info.is_spatial or (info.is_of_tokens and has_rows(net, info.path))
    if not is_shown or not info.calls:
        exist = ", ".join(spatial_layers(net)[-5:]) or "there is none; use an attribution method"
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so there is no map. Choose one that has: {exist}."
        )
    return info.path


def last_layer(net: Network, wanted: targets.Target, method: str) -> str:
    """The layer that a map explains if none is named; "" for a network without any, of which only pixels can be."""
    if not map_layers(net) and not method_guide.is_map(method):
        return ""
    return reachability.default_layer(net, wanted)


def _each_translated(net: Network, other: Network, against: Any) -> Any:
    """As `_translated`, of one class or of several."""
    if isinstance(against, (list, tuple)):
        return [_translated(net, other, one) for one in against]
    return _translated(net, other, against)


def _translated(net: Network, other: Network, target: Any) -> Any:
    """A class of one network as the other calls it: by name where both have names."""
    if target is None or callable(target) or isinstance(target, str) or not (net.class_names and other.class_names):
        return target
    return net.class_name(int(target))
