"""What the units of a layer look for, painting themselves out of noise side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.compute import units as units_
from cnnwidgets.compute.cost import forward_flops
from cnnwidgets.compute.network import as_network
from cnnwidgets.compute.recipes import UNIT_RECIPES
from cnnwidgets.compute.tiles import UnitPictures, UnitsFrame
from cnnwidgets.compute.units import UnitsPlan
from cnnwidgets.errors import BadTarget, CnnWidgetsError
from cnnwidgets.jobs import Cache
from cnnwidgets.panels import markup
from cnnwidgets.panels.enlarged import Enlarged
from cnnwidgets.panels.panel import Panel

PAGE = 16
NONE = -1  # in the menu of units: none is chosen
BAND = 0.2  # the height of a caption, as a share of its tile's
ASSUMED_SPEED = 6e10  # floating point operations a second, until a run has shown how fast this machine is


class FilterGallery(Panel):
    """A live gallery: one tile for each unit of a layer, climbed together; click one to climb it large.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; the last convolution if not given.
        units: indices; the first 16 if not given.
        size: of a tile in pixels; 64, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        seed: the same seed gives the same pictures.
        recipe: "fourier" or "textbook".

    Attributes:
        layer, units, size, steps, seed, recipe: as given; set one to change it, a run under way begins again.
        unit: the chosen tile's unit, or `None`; choosing one climbs it large.

    Raises:
        BadTarget, BadModel: what `visualize_units` would raise.

    Example:
        >>> FilterGallery(net, "fire5_concat", units=range(16))
    """

    layer = traitlets.Unicode()
    units = traitlets.Tuple()
    size = traitlets.Any(None, allow_none=True)
    steps = traitlets.Int(32)
    seed = traitlets.Int(0)
    recipe = traitlets.Unicode("fourier")
    unit = traitlets.Int(None, allow_none=True)

    _speed = ASSUMED_SPEED  # of this process, shared by all galleries

    def __init__(
        self,
        net: Any,
        layer: str | None = None,
        units: Iterable[int] | None = None,
        size: int | tuple[int, int] | None = None,
        steps: int = 32,
        seed: int = 0,
        recipe: str = "fourier",
    ) -> None:
        network = as_network(net)
        chosen = network.layer(layer).path if layer is not None else _last_convolution(network)
        if units is None:
            units = range(min(PAGE, network.layer(chosen).units))
        self._plan = units_.plan_units(network, chosen, units, size, steps, recipe, seed=seed)
        self._quiet = True  # while traits are set together
        self.enlarged = Enlarged(network)
        self._previous = self._button("Previous units", "chevron-left", lambda: self._turn(-1), "Units before these")
        self._next = self._button("Next units", "chevron-right", lambda: self._turn(1), "Units after these")
        self._page = markup.markup("")
        self._choice = widgets.Dropdown(description="Unit", layout=widgets.Layout(width="190px"))
        self._more = widgets.ToggleButton(description="More", icon="sliders", tooltip="Size, steps, recipe and seed")
        self._more.layout.width = "auto"
        fixed = network.inputs[network.picture_inputs[0]].is_fixed
        self._inputs = {
            "size": widgets.Dropdown(options=[48, 64, 96, 128, 160], value=64, description="Size", disabled=fixed),
            "steps": widgets.BoundedIntText(steps, min=1, max=512, description="Steps"),
            "recipe": widgets.Dropdown(options=list(UNIT_RECIPES), value=recipe, description="Recipe"),
            "seed": widgets.BoundedIntText(seed, min=0, max=2**31 - 1, description="Seed"),
        }
        for widget in self._inputs.values():
            widget.layout.width = "190px"
        super().__init__(network)
        self.layer, self.units, self.size = chosen, self._plan.units, size
        self.steps, self.seed, self.recipe = steps, seed, recipe
        self._quiet = False
        self._fill_controls()
        self._choice.observe(self._unit_picked, "value")
        self._more.observe(self._more_pressed, "value")
        for name, widget in self._inputs.items():
            widget.observe(lambda change, name=name: self._guarded(self._set, name, change["new"]), "value")
        self._rest()

    def _body(self) -> Sequence[widgets.Widget]:
        self._settings_row = widgets.HBox(
            list(self._inputs.values()), layout=widgets.Layout(flex_flow="row wrap", display="none")
        )
        pages = widgets.HBox(
            [self._previous, self._page, self._next, self._choice, self._more],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        side = widgets.VBox([self.enlarged, self._graph], layout=widgets.Layout(width="320px", margin="0 0 0 16px"))
        stage = widgets.HBox([self.screen, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0"))
        return [pages, self._settings_row, stage]

    # What runs, and what it means.

    def _frames(self) -> Iterator[UnitsFrame]:
        self._plan = self._planned()
        return self._plan.frames()

    def _planned(self) -> UnitsPlan:
        return units_.plan_units(self.net, self.layer, self.units, self.size, self.steps, self.recipe, seed=self.seed)

    @property
    def _columns(self) -> int:
        return pictures.columns_for(len(self._plan.units))

    def _paint(self, frame: UnitsFrame) -> np.ndarray:
        """The mosaic with an empty band under each tile, where its caption is laid over it."""
        tiles = pictures.to_uint8(frame.pictures)
        band = round(tiles.shape[1] * BAND)
        return pictures.mosaic(np.pad(tiles, ((0, 0), (0, band), (0, 0), (0, 0))), self._columns, gap=0)

    def _picture(self, frame: UnitsFrame) -> np.ndarray:
        return pictures.mosaic(pictures.to_uint8(frame.pictures), self._columns)

    def _result(self, frame: UnitsFrame) -> UnitPictures:
        return frame.result()

    def _settings(self) -> tuple[str, dict[str, Any]]:
        plan = self._plan
        size = plan.canvas.shape[0] if plan.canvas.shape[0] == plan.canvas.shape[1] else list(plan.canvas.shape[:2])
        settings = {
            "layer": plan.layer.path,
            "units": list(plan.units),
            "size": size,
            "steps": plan.steps,
            "recipe": plan.recipe,
            "call": plan.call,
            "seed": plan.seed,
            "batch": plan.batch,
            "columns": self._columns,
        }
        return "visualize_units", settings

    def _name(self) -> str:
        units = self._plan.units
        return f"{self.net.name}-{self._plan.layer.path}-{units[0]}-{units[-1]}"

    def _invitation(self) -> str:
        count = len(self._plan.units)
        tiles = f"{count} pictures" if count > 1 else "one picture"
        return (
            f"Start paints {tiles} out of noise, one for each unit of {self._plan.layer.path}: "
            f"the pattern that makes it answer most. About {self._estimate()} here. Watch for edges and colors in "
            "early layers, textures in the middle, parts of things in late ones."
        )

    def _cost(self) -> float:
        """Floating point operations of the whole run."""
        plan = self._plan
        batches = -(-len(plan.units) // plan.batch)
        return 2 * forward_flops(plan.net, plan.layer.path, plan.canvas) * plan.batch * batches * plan.steps

    def _estimate(self) -> str:
        seconds = self._cost() / FilterGallery._speed + 1.0  # and a second for the first trace
        return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"

    def _ended(self, frame: UnitsFrame) -> None:
        FilterGallery._speed = self._cost() / max(0.1, self._spent())
        self._remember(frame)

    def _conclusion(self) -> str:
        silent = [note for note in self.result.notes if note]
        words = f"{len(silent)} of {len(self.result.units)} never fire, each with its reason. " if silent else ""
        return f"{words}Click a tile to climb it large; Next units shows more of {self._plan.layer.path}."

    def _describe(self, frame: UnitsFrame) -> None:
        notes = frame.notes or ("",) * len(frame.units)
        captions = [
            (str(unit), f"{value:.3g}" if value == value else "", note)
            for unit, value, note in zip(frame.units, frame.values, notes, strict=True)
        ]
        rows = -(-len(captions) // self._columns)
        chosen = frame.units.index(self.unit) if self.unit in frame.units else None
        self.screen.over.value = markup.tiles(self._columns, rows, BAND / (1 + BAND), captions, chosen)

    # Choosing.

    def _clicked(self, x: float, y: float) -> None:
        rows = -(-len(self._plan.units) // self._columns)
        index = int(y * rows) * self._columns + int(x * self._columns)
        if index < len(self._plan.units):
            self._guarded(self._choose, self._plan.units[index])

    def _choose(self, unit: int) -> None:
        if self.unit == unit:
            self._climb_large()
        self.unit = unit

    def _unit_picked(self, change: dict[str, Any]) -> None:
        if not self._quiet:
            self._guarded(setattr, self, "unit", None if change["new"] == NONE else change["new"])

    @traitlets.observe("unit")
    def _unit_changed(self, change: dict[str, Any]) -> None:
        if self._quiet or self.unit is None:
            return
        self._guarded(self._climb_large)

    def _climb_large(self) -> None:
        assert self.unit is not None
        self.enlarged.climb(self._plan.layer.path, self.unit, self._plan.call, self._plan.seed)
        self._fill_controls()
        if self._last is not None:
            self._describe(self._last)

    def _ask_to_stop(self) -> None:
        super()._ask_to_stop()
        self.enlarged.stop()

    def _turn(self, pages: int) -> None:
        """Turn to the units before or after these, as many as now."""
        count, last = len(self.units), self._plan.layer.units
        first = min(max(0, self.units[0] + pages * count), max(0, last - 1) // count * count)
        self.units = tuple(range(first, min(first + count, last)))

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            setattr(self, name, value)

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> str:
        return self.net.layer(proposal["value"]).path

    @traitlets.validate("units")
    def _as_units(self, proposal: Any) -> tuple[int, ...]:
        return tuple(proposal["value"])

    @traitlets.observe("layer", "units", "size", "steps", "seed", "recipe")
    def _setting_changed(self, change: dict[str, Any]) -> None:
        """Another setting: what runs begins again with it, what rests shows it or invites to Start."""
        if self._quiet:
            return
        try:
            with_units = change["name"] != "layer" or self.net.layer(self.layer).units > max(self.units)
            if not with_units:
                self._take("units", tuple(range(min(PAGE, self.net.layer(self.layer).units))))
            self._plan = self._planned()
        except CnnWidgetsError:
            self._take(change["name"], change["old"])
            raise
        self._take("unit", None)
        self.enlarged.forget()
        self._fill_controls()
        if self.state in ("running", "paused"):
            self.start()
        else:
            self._drop_run()
            self.state = "idle"
            self._rest()
            self._recall()

    def _take(self, name: str, value: Any) -> None:
        self._quiet = True
        try:
            setattr(self, name, value)
        finally:
            self._quiet = False

    def _fill_controls(self) -> None:
        """Let the controls say what the traits say."""
        self._quiet = True
        plan = self._plan
        try:
            self._choice.options = [("choose", NONE), *((str(unit), unit) for unit in plan.units)]
            self._choice.value = self.unit if self.unit in plan.units else NONE
            for name, value in (("steps", self.steps), ("seed", self.seed), ("recipe", self.recipe)):
                self._inputs[name].value = value
            self._inputs["size"].options = sorted({48, 64, 96, 128, 160, plan.canvas.shape[0]})
            self._inputs["size"].value = plan.canvas.shape[0]
        finally:
            self._quiet = False
        first, last = min(plan.units), max(plan.units)
        self._page.value = markup.title(f"{first} to {last} of {plan.layer.units} in {plan.layer.path}")
        self._previous.disabled = first == 0
        self._next.disabled = last >= plan.layer.units - 1

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._settings_row.layout.display = "" if change["new"] else "none"

    # Finished pages are kept, so that turning back shows them at once.

    def _remember(self, frame: UnitsFrame) -> None:
        Cache.default().put(
            self.recipe_of().key(), {"pictures": frame.pictures, "values": frame.values}, {"notes": list(frame.notes)}
        )

    def _recall(self) -> None:
        entry = Cache.default().get(self.recipe_of().key())
        if entry is None:
            return
        plan = self._plan
        arrays, notes = entry.arrays, tuple(entry.metadata["notes"])
        frame = UnitsFrame(arrays["pictures"], plan.steps, plan.steps, arrays["values"], notes, plan.units)
        self._last, self._kept, self._curve = frame, [], []
        self.screen.show(pictures.displayable(self._paint(frame)))
        self.result = frame.result()
        self._describe(frame)
        self._show_state()
        self._say("Made earlier, and kept. Start paints it again.")

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        self.enlarged.close()
        super().close()


def _last_convolution(net: Any) -> str:
    fitting = [info.path for info in net.layers if info.kind == "conv" and info.is_spatial and info.units]
    if not fitting:
        fitting = [info.path for info in net.layers if info.units and info.calls]
    if not fitting:
        raise BadTarget(f"{net!r} has no layer with units. Give a convolutional network.")
    return fitting[-1]
