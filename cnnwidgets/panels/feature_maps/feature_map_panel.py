"""The panel for feature maps of a photograph, and the part of it that one cell sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps, silent_share
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.arguments import check_unit, whole_number
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.panel import SIDE, Panel
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.controls.size_menu import SizeMenu
from cnnwidgets.panels.feature_maps.drawing import with_box
from cnnwidgets.panels.feature_maps.maps_frame import MapsFrame, look_at_maps
from cnnwidgets.panels.feature_maps.unit_view import Excitement
from cnnwidgets.panels.layer_choices import spatial_layers

PAGE, COLUMNS = 64, 8
LARGE = 280  # CSS pixels of one map, and of the photograph
WAYS = ("range", "books")
ORDERS = ("answer", "index")
EMPTY = "Click a map to see it large."


class FeatureMapPanel(Panel[MapsFrame]):
    """A photograph's feature maps for a layer, sixty-four at a time; click one to see where it answers, and to what.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layer: a path of a layer with rows and columns; the first convolution if not given.
        call: which call of a shared layer.
        order: "answer" shows the units with the strongest activation first, "index" keeps the network's own order.
        how: "range" from each map's lowest to its highest value, "books" by its mean and standard deviation.
        size: at which the network looks, as in `feature_maps`; the network's own if not given.

    Attributes:
        picture, layer, call, order, how, size: as given; set one to change it.
        unit: the unit that is shown large, or `None`.
        place: the (row, column) of its map that was clicked.

    Raises:
        BadTarget, BadPicture, BadModel: what `feature_maps` would raise.

    Example:
        >>> FeatureMapPanel(net, "cat.jpg", layer="fire5_concat")
    """

    picture = traitlets.Any()
    layer = traitlets.Unicode()
    call = traitlets.Int(0)
    order = traitlets.Enum(ORDERS, "answer")
    how = traitlets.Enum(WAYS, "range")
    size = traitlets.Any(None, allow_none=True)
    unit = traitlets.Int(None, allow_none=True)
    place = traitlets.Tuple((0, 0))

    _curve_name = None

    def __init__(
        self,
        net: Any,
        picture: Any,
        layer: str | None = None,
        call: int = 0,
        order: str = "answer",
        how: str = "range",
        size: Size | None = None,
    ) -> None:
        network = as_network(net)
        held = HeldPicture(network, picture, size)
        layers = tuple(spatial_layers(network))
        chosen = network.layer(layer).path if layer is not None else (*layers, "")[0]
        for name, value, choices in (("order", order, ORDERS), ("how", how, WAYS), ("layer", chosen, layers)):
            if not isinstance(value, str) or value not in choices:
                raise BadTarget(_refusal(network, name, value, choices))
        call = whole_number("call", call)
        super().__init__(network)
        self._held, self.layers, self._page = held, layers, 0
        self._make_controls(network, chosen, order, how)
        self.photograph = Screen(LARGE, lambda _number: None)
        self.large = Screen(LARGE, lambda _number: None, self._place_clicked, empty=EMPTY)
        self._large_line = markup.markup(markup.status(""))
        self.excitement = Excitement(self._excitement_changed)
        self._setting_names = ("picture", "layer", "call", "order", "size", "how")
        self._assign(picture=picture, layer=chosen, call=call, order=order, how=how, size=size)
        self._assemble()

    def _make_controls(self, net: Network, layer: str, order: str, how: str) -> None:
        self._menus = {
            "layer": widgets.Dropdown(
                options=self.layers, value=layer, description="Layer", tooltip="The layer whose feature maps are shown"
            ),
            "order": widgets.Dropdown(
                options=[("activation", "answer"), ("index", "index")], value=order, description="Order",
                tooltip="By the strongest activation, or by index",
            ),
            "how": widgets.Dropdown(
                options=WAYS, value=how, description="Contrast",
                tooltip="Each map by its lowest and highest value, or by mean and deviation (textbook)",
            ),
        }  # fmt: skip
        for name, menu in self._menus.items():
            menu.layout.width, menu.style.description_width = "210px", "60px"
            menu.observe(lambda change, name=name: self._set(name, change["new"]), "value")
        self._sizes = SizeMenu(net)
        self._sizes.observe(lambda change: self._set("size", change["new"]), "choice")
        self._more = widgets.ToggleButton(description="More", icon="sliders", tooltip="Size", value=False)
        self._more.layout.width = "auto"
        self._more.layout.display = self._sizes.layout.display
        self._rest_of_controls = widgets.HBox([self._sizes], layout=widgets.Layout(display="none"))
        self._more.observe(self._more_pressed, "value")
        self._previous = self._button("Previous maps", "chevron-left", lambda: self._turn(-1), "Maps before these")
        self._next = self._button("Next maps", "chevron-right", lambda: self._turn(1), "Maps after these")
        self._page_line = markup.markup("")
        self._choice = widgets.BoundedIntText(0, min=0, max=0, description="Unit", tooltip="The unit shown large")
        self._choice.layout.width, self._choice.style.description_width = "132px", "48px"
        self._choice.observe(lambda change: self._guarded(self._choose, change["new"]), "value")
        self._climb = self._button(
            "Visualize this unit", "arrow-up", self._climb_unit, "Optimize a picture for it, next to its top patches"
        )

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._rest_of_controls.layout.display = "" if change["new"] else "none"

    def _body(self) -> Sequence[widgets.Widget]:
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        menus = widgets.HBox([*self._menus.values(), self._more], layout=widgets.Layout(**wrap))
        pages = [self._previous, self._page_line, self._next, self._choice, self._climb]
        row = widgets.HBox(pages, layout=widgets.Layout(**wrap))
        seen, one = (markup.markup(markup.title(words)) for words in ("The photograph", "One map"))
        side = widgets.VBox(
            [seen, self.photograph, one, self.large, self._large_line],
            layout=widgets.Layout(**SIDE),
        )
        gap = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        return [menus, self._rest_of_controls, row, widgets.HBox([self.screen, side], layout=gap), self.excitement]

    # What runs, and what it means.

    def _frames(self) -> Iterator[MapsFrame]:
        return look_at_maps(self.net, self._held, self.layer, self.call, self.order, self.size)

    def _units_shown(self, frame: MapsFrame) -> tuple[int, ...]:
        return frame.units[self._page * PAGE : (self._page + 1) * PAGE]

    def _paint(self, frame: MapsFrame) -> np.ndarray:
        tiles = display_maps(frame.maps[..., list(self._units_shown(frame))], self.how)  # [n, h, w]
        return pictures.tile_maps(tiles, COLUMNS)

    def _result(self, frame: MapsFrame) -> dict[str, np.ndarray]:
        return {frame.layer: frame.maps}

    def _settings(self) -> tuple[str, dict[str, Any]]:
        frame = self._last
        made = self if frame is None else frame
        held = self._held if frame is None else frame.picture
        settings: dict[str, Any] = {
            "layers": [made.layer],
            "call": made.call,
            "size": self.net.recorded_size(made.size),
        }
        settings |= {"how": self.how, "picture": held.digest}
        if frame is not None:
            settings |= {"shown": list(self._units_shown(frame)), "columns": COLUMNS}
        return "feature_maps", settings

    def _name(self) -> str:
        return f"{self.net.name}-maps-{self.layer}"

    def _invitation(self) -> str:
        return (
            f"Start shows where each unit of {self.layer or 'a layer'} is active in the photograph: bright where its "
            "pattern is, black where it is not. Early maps look like the photograph; deep ones are small and mostly "
            "black, since their patterns are rare."
        )

    def _note(self) -> str:
        return self._held.note

    def _doing(self, frame: MapsFrame) -> str:
        return "Measuring how much of the photograph a cell of these maps sees."

    def _conclusion(self) -> str:
        frame = self._last
        sees = f"Here {frame.field}. " if frame.field is not None else ""
        looked = frame.picture.looked_at(self.net, frame.size)
        dead = f"{silent_share(frame.maps):.0%} of the units are zero everywhere."
        return f"{dead} {looked} {sees}Click a map to see it large, then a position."

    def _describe(self, frame: MapsFrame) -> None:
        shown = self._units_shown(frame)
        first = self._page * PAGE
        self._page_line.value = markup.title(f"{first + 1} to {first + len(shown)} of {len(frame.units)} maps")
        self._previous.disabled, self._next.disabled = first == 0, first + PAGE >= len(frame.units)
        self._choice.max = len(frame.units) - 1
        self._show_large(frame)

    def _rest(self) -> None:
        super()._rest()
        self.photograph.show(self._held.photos[0])

    def _is_busy_beside(self) -> bool:
        return self.excitement.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.excitement.stop()

    def _excitement_changed(self) -> None:
        self._show_state()
        self.traceback = self.excitement.traceback or self.traceback

    # Choosing.

    def _clicked(self, x: float, y: float) -> None:
        frame = self._last
        if frame is None:
            return
        shown = self._units_shown(frame)
        index = pictures.tile_at(x, y, len(shown), COLUMNS)
        if index is not None:
            self._guarded(self._choose, shown[index])

    def _choose(self, unit: int) -> None:
        if self._last is None:
            return
        highest = self._last.maps[..., unit]
        self.place = tuple(int(i) for i in np.unravel_index(highest.argmax(), highest.shape))
        self.unit = unit

    def _place_clicked(self, x: float, y: float) -> None:
        if self._last is not None and self.unit is not None:
            rows, columns = self._last.maps.shape[:2]
            self.place = (int(y * rows), int(x * columns))

    @traitlets.validate("unit")
    def _known_unit(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else check_unit(self.net.layer(self.layer), unit)

    @traitlets.observe("unit", "place")
    def _choice_changed(self, _change: object) -> None:
        if self._last is None or self.unit is None:
            return
        if self._choice.value != self.unit:
            self._choice.value = self.unit
        self._show_large(self._last)

    def _show_large(self, frame: MapsFrame) -> None:
        """The chosen map with its chosen cell, and what that cell sees drawn on the photograph."""
        if self.unit is None or self.unit >= frame.maps.shape[-1]:
            return
        rows, columns = frame.maps.shape[:2]
        row, column = min(self.place[0], rows - 1), min(self.place[1], columns - 1)
        plane = display_maps(frame.maps[..., self.unit : self.unit + 1], self.how)[0]
        scale = max(1, LARGE // max(rows, columns))
        large = np.repeat(np.repeat(plane, scale, 0), scale, 1)
        cell = (row * scale, column * scale, (row + 1) * scale, (column + 1) * scale)
        self.large.show(with_box(pictures.color_maps(large), cell))
        photograph, box = pictures.to_uint8(frame.photograph), frame.seen_by(row, column)
        self.photograph.show(photograph if box is None else with_box(photograph, box))
        value = frame.maps[row, column, self.unit]
        self._large_line.value = markup.status(f"unit {self.unit} at row {row}, column {column}: {value:.3g}")

    def _climb_unit(self) -> None:
        if self.unit is None:
            raise BadTarget("No unit is chosen yet. Click a map, or give a unit's number, first.")
        self.excitement.begin(self.net, self.layer, self.unit, self.call, self._held)

    def _turn(self, pages: int) -> None:
        if self._last is not None:
            last = (len(self._last.units) - 1) // PAGE
            self._page = min(max(0, self._page + pages), last)
            self._keep(self._last)

    # What is changed.

    @traitlets.validate("picture")
    def _fitting_picture(self, proposal: Any) -> Any:
        if not self._updating:
            self._held = HeldPicture(self.net, proposal["value"], self.size)
        return proposal["value"]

    @traitlets.validate("layer")
    def _spatial_layer(self, proposal: Any) -> str:
        path: str = self.net.layer(proposal["value"]).path if proposal["value"] else ""
        if path and path not in self.layers:
            raise BadTarget(_refusal(self.net, "layer", path, self.layers))
        return path

    @traitlets.validate("size")
    def _fitting_size(self, proposal: Any) -> Any:
        if proposal["value"] != self.size:
            Probe(self.net, self._held.given, proposal["value"])
        return proposal["value"]

    def _fill_controls(self) -> None:
        for name, menu in self._menus.items():
            menu.value = getattr(self, name)
        self._sizes.choice = self.size

    def _apply(self, name: str) -> None:
        """Show another setting at once where something was shown before."""
        if name == "how":
            if self._last is not None:
                self._keep(self._last)
            return
        if name == "layer":
            self.unit = None
            self.large.explain(EMPTY)
            self.excitement.forget()
        self._page = 0
        if self._last is not None:
            self._begin_again()
        else:
            self._rest()

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            for part in (self.excitement, self.photograph, self.large):
                part.close()
        super().close()


def _refusal(net: Any, name: str, value: object, choices: Sequence[str]) -> str:
    """Why a setting is refused, with the choices there are."""
    if choices:
        return f"{name} must be one of {', '.join(choices[-10:])}, got {quoted(value)}."
    return f"{quoted(net.name)} has no layer with rows and columns, so it has no feature maps. Give another network."
