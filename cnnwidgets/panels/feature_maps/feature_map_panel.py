"""The panel for feature maps of a photograph, and the part of it that one cell sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.activations.convolution import Convolution, Pooling
from cnnwidgets.activations.feature_maps import display_maps, silent_share
from cnnwidgets.activations.maps_run import MapsFrame
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.arguments import check_unit, flag, is_whole
from cnnwidgets.model.layers import spatial_layers
from cnnwidgets.model.network import as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.base.binding import AtlasSetting, Setting, checked_atlas, settings_of
from cnnwidgets.panels.base.position_panel import PositionPanel
from cnnwidgets.panels.controls.controls import row
from cnnwidgets.panels.feature_maps.arithmetic import Arithmetic
from cnnwidgets.panels.feature_maps.controls import FeatureMapControls
from cnnwidgets.panels.feature_maps.one_map import OneMap
from cnnwidgets.panels.feature_maps.settings import FeatureMapSettings
from cnnwidgets.panels.feature_maps.unit_view import UnitView
from cnnwidgets.panels.unit.atlas_unit import AtlasUnit, unit_in

PAGE, COLUMNS = 64, 8


@settings_of(FeatureMapSettings)
class FeatureMapPanel(PositionPanel[MapsFrame]):
    """A photograph's feature maps for a layer, sixty-four at a time; click one to see where it is active, and for what.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layer: a path of a layer with rows and columns; the first one if not given.
        call: which call of a shared layer.
        order: "answer" shows the units with the strongest activation first, "index" keeps the network's own order.
        how: "range" from each map's lowest to its highest value, "books" by its mean and standard deviation.
        size: as in `feature_maps`.
        atlas: from `open_atlas`: its picture and its top patches of the chosen unit are shown at once.

    Attributes:
        picture, layer, call, order, how, size, atlas: as given; set one to change it.
        unit: the unit that is shown large, or `None`.
        place: the (row, column) of its map that was clicked.
        position: the (row, column) of the pixel of the photograph in the middle of what a clicked place sees, or
            `None`; set one to choose the place that is nearest.
        arithmetic: whether the arithmetic of one value is shown: that under the pointer on the large map, else that of
            `unit` at `place`. `convolution` is what is shown, as `convolution_at` returns it.

    Raises:
        BadTarget, BadPicture, BadModel: what `feature_maps` would raise.

    Example:
        >>> FeatureMapPanel(net, "cat.jpg", layer="fire5_concat")
    """

    layer: str
    call: int
    order: str
    how: str
    size: Size | None
    unit = Setting(None)
    place = Setting((0, 0))
    arithmetic = Setting(False)
    atlas = AtlasSetting()

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
        atlas: Atlas | None = None,
    ) -> None:
        given = FeatureMapSettings.given(locals())
        network, atlas = as_network(net), checked_atlas(atlas)
        held, settings = HeldPicture(network, picture, size), given.fitted(network)
        super().__init__(network, held)
        self._page = 0
        self.layers = tuple(spatial_layers(network))
        self.controls = FeatureMapControls(network, self.layers, self._set)
        self._previous = self._button("Previous maps", "chevron-left", lambda: self._turn(-1), "Maps before these")
        self._next = self._button("Next maps", "chevron-right", lambda: self._turn(1), "Maps after these")
        self._page_line = markup.markup("")
        self._choice = widgets.BoundedIntText(0, min=0, max=0, description="Unit", tooltip="The unit shown large")
        self._choice.layout.width, self._choice.style.description_width = "132px", "48px"
        self._choice.observe(lambda change: self._guarded(self._choose, change["new"]), "value")
        self._visualize = self._button(
            "Visualize this unit",
            "arrow-up",
            self._visualize_unit,
            "Optimize a picture for it, next to its top patches",
        )
        self._caricature = self._button(
            "Caricature of this layer",
            "paint-brush",
            self._draw_layer,
            "Optimize a picture from noise for what the layer keeps of the photograph",
        )
        self.one_map = OneMap(self._map_clicked, self._pointed, self._pointer_left)
        self._sums = Arithmetic(self._show_sum, lambda place: self._set("place", place))
        self._sums.layout.display = "none"
        self._arithmetic_button = widgets.ToggleButton(
            description="Arithmetic", icon="calculator", tooltip="How the value under the pointer was computed"
        )
        self._arithmetic_button.layout.width = "auto"
        traitlets.link((self._arithmetic_button, "value"), (self, "arithmetic"))
        self.unit_view = UnitView(self._unit_view_changed)
        self._setting_names = ("picture", "atlas", *FeatureMapSettings.names())
        self._assign(picture=picture, atlas=atlas, **settings.recorded())
        self.screen.add_class("cnnw-main")
        self._widen()
        self._assemble()

    def _body(self) -> Sequence[widgets.Widget]:
        chosen = self._choice, self._visualize, self._arithmetic_button
        pages = row(self._previous, self._page_line, self._next, *chosen, self._caricature)
        gap = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        maps = widgets.HBox([self.screen, self.one_map, self.unit_view], layout=gap)
        return [self.controls, pages, maps, self._sums]

    # The run.

    def _frames(self) -> Iterator[MapsFrame]:
        return FeatureMapSettings.set_on(self).run(self.net, self._held).frames()

    def _result(self, frame: MapsFrame) -> dict[str, np.ndarray]:
        return {frame.run.layer: frame.maps}

    def _is_busy_beside(self) -> bool:
        return self.unit_view.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.unit_view.stop()

    # What is shown.

    def _units_shown(self, frame: MapsFrame) -> tuple[int, ...]:
        return frame.units[self._page * PAGE : (self._page + 1) * PAGE]

    def _paint(self, frame: MapsFrame) -> np.ndarray:
        tiles = display_maps(frame.maps[..., list(self._units_shown(frame))], self.how)  # [n, h, w]
        return pictures.tile_maps(tiles, COLUMNS)

    def _describe(self, frame: MapsFrame) -> None:
        first, shown = self._page * PAGE, len(self._units_shown(frame))
        self._page_line.value = markup.title(f"{first + 1} to {first + shown} of {len(frame.units)} maps")
        start = self._buttons["start"]
        focus.set_disabled(self._next, first + PAGE >= len(frame.units), self._previous, start)
        focus.set_disabled(self._previous, first == 0, self._next, start)
        self._choice.max = len(frame.units) - 1
        self._show_unit(frame)

    def _show_unit(self, frame: MapsFrame) -> None:
        if self.unit is not None and self.unit < frame.maps.shape[-1]:
            self.one_map.show(frame, self.unit, self.place, self.how)
            self.one_map.point(frame, None)
        self._show_sum()

    # The arithmetic of one value.

    @property
    def convolution(self) -> Convolution | Pooling | None:
        """The arithmetic that is shown, as `convolution_at` returns it; `None` where nothing is."""
        return self._sums.found

    @traitlets.validate("arithmetic")
    def _yes_or_no(self, proposal: Any) -> bool:
        return flag("arithmetic", proposal["value"])

    @traitlets.observe("arithmetic")
    def _arithmetic_changed(self, _change: object) -> None:
        self._sums.layout.display = "" if self.arithmetic else "none"
        self._show_sum()

    def _show_sum(self, cell: tuple[int, int] | None = None) -> None:
        """Show how a value was computed: at a cell, or else at the chosen place."""
        frame = self._last
        if not self.arithmetic or frame is None:
            return
        self._sums.prepare(frame)
        if self.unit is not None:
            self._sums.show(self.unit, cell or self.place)

    def _pointed(self, x: float, y: float) -> None:
        frame = self._last
        if self.arithmetic and frame is not None and self.unit is not None:
            rows, columns = frame.maps.shape[:2]
            cell = int(y * rows), int(x * columns)
            self.one_map.point(frame, cell)
            self._show_sum(cell)

    def _pointer_left(self) -> None:
        self.one_map.point(self._last, None)
        self._show_sum()

    # What else is shown.

    def _rest(self) -> None:
        super()._rest()
        self.one_map.photograph.show(self._held.photos[0])

    def _invitation(self) -> str:
        return (
            f"Start shows where each unit of {self.layer} is active in the photograph: bright where its "
            "pattern is, dark where it is not. Early maps look like the photograph; deep ones are small and mostly "
            "black, since their patterns are rare."
        )

    def _doing(self, frame: MapsFrame) -> str:
        return "Measuring how much of the photograph a cell of these maps sees."

    def _conclusion(self) -> str:
        frame = self._last
        sees = f"Here {frame.field}. " if frame.field is not None else ""
        looked = frame.run.picture.looked_at(self.net, frame.run.size)
        dead = f"{silent_share(frame.maps):.0%} of the units are zero everywhere."
        return f"{dead} {looked} {sees}Click a map to see it large, then a position."

    # Choosing a unit and a position.

    def _clicked(self, x: float, y: float) -> None:
        if self._last is None:
            return
        shown = self._units_shown(self._last)
        index = pictures.tile_at(x, y, len(shown), COLUMNS)
        if index is not None:
            self._guarded(self._choose, shown[index])

    def _choose(self, unit: int) -> None:
        if self._last is None:
            return
        one = self._last.maps[..., unit]
        self.place = tuple(int(i) for i in np.unravel_index(one.argmax(), one.shape))
        self.unit = unit

    def _map_clicked(self, x: float, y: float) -> None:
        if self._last is not None and self.unit is not None:
            rows, columns = self._last.maps.shape[:2]
            self.place = (int(y * rows), int(x * columns))
            if self._last.photograph is self._held.photos[0]:  # else it is on another photograph
                self._assign(position=self._last.center_of(*self.place))

    def _show_position(self) -> None:
        frame = self._last
        if frame is not None and self.position is not None and frame.photograph is self._held.photos[0]:
            self.place = frame.cell_at(*self.position)

    @traitlets.validate("unit")
    def _known_unit(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else check_unit(self.net.layer(self.layer), unit)

    @traitlets.validate("place")
    def _position(self, proposal: Any) -> tuple[int, int]:
        place = proposal["value"]
        if not isinstance(place, (tuple, list)) or len(place) != 2 or not all(is_whole(i) and i >= 0 for i in place):
            raise BadTarget(f"place must be (row, column), integers of at least 0, got {quoted(place)}.")
        return int(place[0]), int(place[1])

    @traitlets.observe("unit")
    def _unit_changed(self, _change: object) -> None:
        self._show_atlas()

    def _show_atlas(self) -> None:
        if self.unit is not None:
            self.unit_view.present(self.layer, self.unit, self._in_atlas())

    def _in_atlas(self) -> AtlasUnit:
        return AtlasUnit() if self.unit is None else unit_in(self.atlas, self.net, self.layer, self.unit, self.call)

    @traitlets.observe("unit", "place")
    def _choice_changed(self, _change: object) -> None:
        if self._last is None or self.unit is None:
            return
        if self._choice.value != self.unit:
            self._choice.value = self.unit
        self._show_unit(self._last)

    def _visualize_unit(self) -> None:
        if self.unit is None:
            self._choose(self._choice.value)  # the number that is seen in the field, where no map was clicked
        if self.unit is None:
            raise BadTarget("No unit is chosen yet. Click a map, or give a unit's number, first.")
        self.unit_view.begin(self.net, self.layer, self.unit, self.call, self._held, self._in_atlas())

    def _draw_layer(self) -> None:
        self.unit_view.draw_layer(self.net, self.layer, self.call, self._held, self.size)

    def _unit_view_changed(self) -> None:
        self._show_state()
        self.traceback = self.unit_view.traceback or self.traceback

    def _turn(self, pages: int) -> None:
        if self._last is not None:
            last = (len(self._last.units) - 1) // PAGE
            self._page = min(max(0, self._page + pages), last)
            self._keep(self._last)

    # Settings.

    def _check(self, name: str) -> None:
        if name == "atlas":
            return
        settings = FeatureMapSettings.set_on(self).fitted(self.net)
        super()._check(name)
        self._assign(**settings.recorded())

    def _apply(self, name: str) -> None:
        """Show another setting at once where something was shown before."""
        if name == "atlas":
            self.unit_view.forget()
            self._show_atlas()
            return
        if name == "how":
            if self._last is not None:
                self._keep(self._last)
            return
        if name == "layer":
            self.unit = None
            self.one_map.clear()
            self.unit_view.forget()
            self._sums.forget()
        self._page = 0
        if self._last is not None:
            self._begin_again()
        else:
            self._rest()

    def _fill_controls(self) -> None:
        self.controls.show(FeatureMapSettings.set_on(self).recorded())

    def _settings(self) -> tuple[str, dict[str, Any]]:
        frame = self._last
        run = FeatureMapSettings.set_on(self).run(self.net, self._held) if frame is None else frame.run
        settings = {"layers": [run.layer], "call": run.call, "size": self.net.recorded_size(run.size)}
        settings |= {"how": self.how, "picture": run.picture.digest}
        if frame is not None:
            settings |= {"shown": list(self._units_shown(frame)), "columns": COLUMNS}
        return "feature_maps", settings

    def _name(self) -> str:
        return f"{self.net.name}-maps-{self.layer}"

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.unit_view.close()
            self.one_map.close()
            self._sums.close()
        super().close()
