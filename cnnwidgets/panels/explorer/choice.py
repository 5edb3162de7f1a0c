"""The selection in an Explorer, shared by all its panels, and followed by the recorder of a training."""

from __future__ import annotations

from typing import Any

import traitlets

from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.arguments import check_unit
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base.binding import Setting, Updating
from cnnwidgets.panels.base.position_panel import Pixel, checked_pixel
from cnnwidgets.training.recorder import TrainingRecorder
from cnnwidgets.training.request import UNITS


class Choice(traitlets.HasTraits):
    """One network, picture, layer, unit, class and position; what cannot be is refused, and the old one stays.

    Attributes:
        net: the Network; a bare Keras model becomes one.
        picture: as the verbs take it.
        layer: a path.
        unit: of that layer, or `None`.
        target: the index of a class, or `None` for the top class; may be set by name.
        position: (row, column) of a pixel of the photograph, or `None`; of the first one, if there are several.
        held: the picture as it was when it was chosen.
        atlas: pictures of units that need not be rendered, or `None`.
    """

    net = Setting()
    picture = Setting()
    layer = Setting("")
    unit = Setting(None)
    target = Setting(None)
    position = Setting(None)

    held: HeldPicture
    atlas: Atlas | None = None
    _updating: Updating  # while several are chosen together: observers ignore it

    @traitlets.validate("net")
    def _a_network(self, proposal: Any) -> Network:
        return as_network(proposal["value"])

    @traitlets.validate("picture")
    def _a_fitting_picture(self, proposal: Any) -> Any:
        self.held = HeldPicture(self.net, proposal["value"])
        return proposal["value"]

    @traitlets.validate("layer")
    def _a_known_layer(self, proposal: Any) -> str:
        return self.net.layer(proposal["value"]).path

    @traitlets.validate("unit")
    def _a_known_unit(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else check_unit(self.net.layer(self.layer), unit)

    @traitlets.validate("target")
    def _a_known_class(self, proposal: Any) -> int | None:
        target = proposal["value"]
        return None if target is None else self.net.class_index(target)

    @traitlets.validate("position")
    def _a_pixel(self, proposal: Any) -> Pixel | None:
        return checked_pixel("position", proposal["value"], self.held.photos[0].shape[:2])

    @traitlets.observe("picture")
    def _another_picture(self, _change: object) -> None:
        """Another thing is at that position."""
        if not self._updating:
            self.position = None

    @traitlets.observe("layer")
    def _another_layer(self, _change: object) -> None:
        """Its units are other ones."""
        if not self._updating:
            self.unit = None

    def choose_network(self, net: Any) -> None:
        """Choose another network: with the same picture, its own layer, and the same class where it knows it.

        Raises:
            BadModel, BadPicture: for what is no network, or cannot take the picture.
        """
        network = as_network(net)
        picture = fitting(network, self.held)
        keeps_class = self.net.class_names is not None and self.net.class_names == network.class_names
        with self._updating:
            self.unit, self.target = None, self.target if keeps_class else None
            self.net = network
            self.picture, self.layer = picture, reachability.layer_of_interest(network)


def fitting(net: Network, held: HeldPicture) -> Any:
    """The picture that another network had, as this one takes it: the first photograph, for each of its pictures."""
    count = len(net.picture_inputs)
    if count == len(held.photos) == len(net.inputs):
        return held.photos if count > 1 else held.photos[0]
    photograph = held.photos[0]
    return photograph if len(net.inputs) == 1 else {net.inputs[i].name: photograph for i in net.picture_inputs}


def checked_recorder(recorder: object) -> TrainingRecorder | None:
    """A recorder, or none."""
    if recorder is None:
        return None
    if isinstance(recorder, TrainingRecorder) and recorder.trained is not None:
        return recorder
    raise BadTarget(f"recorder must be a cw.TrainingRecorder with a model, got {quoted(recorder)}.")


def record_chosen(recorder: TrainingRecorder, chosen: Choice, name: str) -> None:
    """Record what is chosen from the next snapshot on; the choices in another network change nothing.

    Args:
        recorder: records the network that is being trained.
        chosen: the selection.
        name: what has changed: "picture", "layer", "unit" or "target".
    """
    if recorder.net is None or chosen.net.model is not recorder.net.model:
        return
    changes: dict[str, Any] = {"picture": chosen.held.given} if name == "picture" else {}
    if name == "target":
        changes["target"] = chosen.target
    if name == "layer" or (name == "unit" and chosen.unit is not None):
        changes |= {"layer": chosen.layer, "units": _units(chosen)}
    if changes:
        recorder.record_next(**changes)


def _units(chosen: Choice) -> tuple[int, ...]:
    """The chosen unit with its neighbors, eight in all; the first eight where none is chosen."""
    first = 0 if chosen.unit is None else chosen.unit // len(UNITS) * len(UNITS)
    return tuple(range(first, min(first + len(UNITS), chosen.net.layer(chosen.layer).units)))
