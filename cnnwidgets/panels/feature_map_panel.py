"""What a photograph makes the units of a layer answer, and what one of them sees of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.compute import objectives
from cnnwidgets.compute.activations import display_maps, feature_maps
from cnnwidgets.compute.ascent import ascend
from cnnwidgets.compute.network import as_network
from cnnwidgets.compute.receptive_field import ReceptiveField, receptive_field
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.panels import markup
from cnnwidgets.panels.held_picture import HeldPicture
from cnnwidgets.panels.panel import Panel
from cnnwidgets.panels.screen import Screen
from cnnwidgets.panels.tiles.enlarged import SIZE, STEPS, Enlarged

PAGE, COLUMNS = 64, 8
WAYS = ("range", "books")
ORDERS = ("answer", "index")


@dataclass(frozen=True)
class MapsFrame:
    """The maps of a layer, and then the receptive field of its cells.

    Attributes:
        maps: [h, w, units] float32.
        units: in the order in which they are shown.
        step: 1, and 2 when the receptive field is known.
        steps: 2.
        values: the highest answer of each unit shown.
        field: what a cell sees of the picture; `None` in the first frame.
        notes: none.
    """

    maps: np.ndarray
    units: tuple[int, ...]
    step: int
    steps: int
    values: np.ndarray
    field: ReceptiveField | None = None
    notes: tuple[str, ...] = ()


class FeatureMapPanel(Panel):
    """A photograph's feature maps for a layer, sixty-four at a time; click one to see where it answers, and to what.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layer: a path of a layer with rows and columns; the first convolution if not given.
        call: which call of a shared layer.
        order: "answer" shows the units that answer most first, "index" keeps the network's own order.
        how: "range" from each map's lowest to its highest value, "books" by its mean and standard deviation.

    Attributes:
        layer, call, order, how: as given; set one to change it.
        unit: the unit that is shown large, or `None`.
        place: the (row, column) of its map that was clicked.

    Raises:
        BadTarget, BadPicture, BadModel: what `feature_maps` would raise.

    Example:
        >>> FeatureMapPanel(net, "cat.jpg", layer="fire5_concat")
    """

    layer = traitlets.Unicode()
    call = traitlets.Int(0)
    order = traitlets.Enum(ORDERS, "answer")
    how = traitlets.Enum(WAYS, "range")
    unit = traitlets.Int(None, allow_none=True)
    place = traitlets.Tuple((0, 0))

    def __init__(
        self,
        net: Any,
        picture: Any,
        layer: str | None = None,
        call: int = 0,
        order: str = "answer",
        how: str = "range",
    ) -> None:
        network = as_network(net)
        self._held = HeldPicture(network, picture)
        self._shown = network.arrays(self._held.given)[network.picture_inputs[0]][0]
        spatial = [i.path for i in network.layers if i.is_spatial and i.units and i.calls and i.kind != "input"]
        chosen = network.layer(layer).path if layer is not None else (spatial or [""])[0]
        for name, value, choices in (("order", order, ORDERS), ("how", how, WAYS), ("layer", chosen, spatial)):
            if value not in choices:
                raise BadTarget(f"{name}={quoted(value)} cannot be. Choose one of: {', '.join(choices[:10])}.")
        self._page, self._quiet = 0, True
        self._menus = {
            "layer": widgets.Dropdown(options=spatial, value=chosen, description="Layer"),
            "order": widgets.Dropdown(options=ORDERS, value=order, description="Order"),
            "how": widgets.Dropdown(options=WAYS, value=how, description="Contrast"),
        }
        for menu in self._menus.values():
            menu.layout.width, menu.style.description_width = "210px", "60px"
        self._previous = self._button("Previous maps", "chevron-left", lambda: self._turn(-1), "Maps before these")
        self._next = self._button("Next maps", "chevron-right", lambda: self._turn(1), "Maps after these")
        self._page_line = markup.markup("")
        self._choice = widgets.BoundedIntText(0, min=0, max=0, description="Unit", tooltip="The unit shown large")
        self._choice.layout.width, self._choice.style.description_width = "132px", "48px"
        self._climb = self._button("Climb this unit", "arrow-up", self._climb_unit, "Paint what this unit looks for")
        self.photograph = Screen(300, lambda _number: None)
        self.large = Screen(300, lambda _number: None, self._place_clicked, empty="Click a map to see it large.")
        self._large_line = markup.markup(markup.status(""))
        self.enlarged = Enlarged(lambda: None)
        super().__init__(network)
        self.layer, self.call, self.order, self.how = chosen, call, order, how
        self._quiet = False
        for name, menu in self._menus.items():
            menu.observe(lambda change, name=name: self._guarded(setattr, self, name, change["new"]), "value")
        self._choice.observe(lambda change: self._guarded(self._choose, change["new"]), "value")
        self.photograph.show(pictures.displayable(self._shown))
        self._rest()

    def _body(self) -> Sequence[widgets.Widget]:
        wrap = {"flex_flow": "row wrap", "align_items": "center"}
        menus = widgets.HBox(list(self._menus.values()), layout=widgets.Layout(**wrap))
        pages = [self._previous, self._page_line, self._next, self._choice, self._climb]
        row = widgets.HBox(pages, layout=widgets.Layout(**wrap))
        side = [
            markup.markup(markup.title("The photograph")),
            self.photograph,
            markup.markup(markup.title("One map")),
            self.large,
            self._large_line,
            self.enlarged,
        ]
        stage = [self.screen, widgets.VBox(side, layout=widgets.Layout(width="310px", max_width="100%"))]
        gap = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        return [menus, row, widgets.HBox(stage, layout=gap)]

    # What runs, and what it means.

    def _frames(self) -> Iterator[MapsFrame]:
        layer, call, order = self.layer, self.call, self.order

        def frames() -> Iterator[MapsFrame]:
            maps = feature_maps(self.net, self._held.given, [layer], call=call)[layer]
            highest = maps.max((0, 1))
            units = np.argsort(-highest, kind="stable") if order == "answer" else np.arange(maps.shape[-1])
            first = MapsFrame(maps, tuple(map(int, units)), 1, 2, highest[units])
            yield first
            height, width = self._shown.shape[:2]
            field = receptive_field(self.net, layer, size=(height, width), call=call) if self._is_measurable else None
            yield MapsFrame(maps, first.units, 2, 2, first.values, field)

        return frames()

    @property
    def _is_measurable(self) -> bool:
        """Whether the receptive field can be asked for at this picture's size."""
        return min(self._shown.shape[:2]) >= 8

    def _units_shown(self, frame: MapsFrame) -> tuple[int, ...]:
        return frame.units[self._page * PAGE : (self._page + 1) * PAGE]

    def _paint(self, frame: MapsFrame) -> np.ndarray:
        tiles = display_maps(frame.maps[..., list(self._units_shown(frame))], self.how)  # [n, h, w]
        return pictures.tile_maps(tiles, COLUMNS)

    def _result(self, frame: MapsFrame) -> dict[str, np.ndarray]:
        return {self.layer: frame.maps}

    def _settings(self) -> tuple[str, dict[str, Any]]:
        settings = {"layers": [self.layer], "call": self.call, "how": self.how, "picture": self._held.digest}
        if self._last is not None:
            settings |= {"shown": self._units_shown(self._last), "columns": COLUMNS}
        return "feature_maps", settings

    def _invitation(self) -> str:
        return (
            f"Start shows what the photograph makes each unit of {self.layer or 'a layer'} answer: bright where its "
            "pattern is, black where it is not. Early maps look like the photograph; deep ones are small and mostly "
            "black, since their patterns are rare."
        )

    def _doing(self, frame: MapsFrame) -> str:
        return "Measuring what a cell of these maps sees of the photograph."

    def _conclusion(self) -> str:
        silent = float((self.result[self.layer].max((0, 1)) <= 0).mean())
        sees = f"{self._last.field}. " if self._last.field is not None else ""
        return f"{silent:.0%} of the units answer nowhere. {sees}Click a map to see it large, then a place on it."

    def _describe(self, frame: MapsFrame) -> None:
        shown = self._units_shown(frame)
        first = self._page * PAGE
        self._page_line.value = markup.title(f"{first + 1} to {first + len(shown)} of {len(frame.units)} maps")
        self._previous.disabled, self._next.disabled = first == 0, first + PAGE >= len(frame.units)
        self._choice.max = len(frame.units) - 1
        if self.unit is not None:
            self._show_large(frame)

    # Choosing.

    def _clicked(self, x: float, y: float) -> None:
        frame = self._last
        if frame is None:
            return
        shown = self._units_shown(frame)
        rows = -(-len(shown) // COLUMNS)
        index = int(y * rows) * COLUMNS + int(x * COLUMNS)
        if index < len(shown):
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
        scale = max(1, 300 // max(rows, columns))
        large = np.repeat(np.repeat(plane, scale, 0), scale, 1)
        cell = (row * scale, column * scale, (row + 1) * scale, (column + 1) * scale)
        self.large.show(_boxed(pictures.color_maps(large), cell))
        photograph = pictures.to_uint8(pictures.displayable(self._shown))
        box = frame.field.box(row, column) if frame.field is not None else None
        self.photograph.show(photograph if box is None else _boxed(photograph, box))
        value = frame.maps[row, column, self.unit]
        self._large_line.value = markup.status(f"unit {self.unit} at row {row}, column {column}: {value:.3g}")

    def _climb_unit(self) -> None:
        if self.unit is None:
            raise BadTarget("No unit is chosen yet. Click a map, or give a unit's number, first.")
        fixed = self.net.inputs[self.net.picture_inputs[0]].is_fixed
        objective = objectives.unit(self.layer, self.unit, call=self.call)
        frames = ascend(self.net, objective, None if fixed else SIZE, STEPS)
        self.enlarged.climb(f"{self.layer} · {self.unit}", frames)

    def _turn(self, pages: int) -> None:
        if self._last is not None:
            last = (len(self._last.units) - 1) // PAGE
            self._page = min(max(0, self._page + pages), last)
            self._keep(self._last)

    @traitlets.observe("layer", "call", "order")
    def _setting_changed(self, change: dict[str, Any]) -> None:
        """Another layer or order is shown at once where something was shown before."""
        if self._quiet:
            return
        if change["name"] == "layer":
            self.net.layer(self.layer)
            self._menus["layer"].value = self.layer
            self.unit = None
            self.large.explain("Click a map to see it large.")
        self._page = 0
        if self._last is not None:
            self._begin_again()
        else:
            self._rest()

    @traitlets.observe("how")
    def _way_changed(self, _change: object) -> None:
        if not self._quiet and self._last is not None:
            self._keep(self._last)

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            for part in (self.enlarged, self.photograph, self.large):
                part.close()
        super().close()


def _boxed(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The picture with a box drawn around [top, left, bottom, right], orange within black so that it shows anywhere."""
    top, left, bottom, right = box
    drawn = picture.copy()
    height, width = drawn.shape[:2]
    for grow, color in ((1, (0, 0, 0)), (0, (255, 140, 0))):
        t, l_ = max(0, top - grow), max(0, left - grow)
        b, r = min(height, bottom + grow) - 1, min(width, right + grow) - 1
        drawn[t, l_ : r + 1] = drawn[b, l_ : r + 1] = color
        drawn[t : b + 1, l_] = drawn[t : b + 1, r] = color
    return drawn
