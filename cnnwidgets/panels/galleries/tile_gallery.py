"""The base class of galleries: tiles that are optimized together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import durations, pictures
from cnnwidgets.frame import Frame
from cnnwidgets.jobs import Cache
from cnnwidgets.model.arguments import MOST_STEPS
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.cost import forward_flops
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.history import Snapshot
from cnnwidgets.panels.base.panel import BUSY, SIDE, Panel
from cnnwidgets.panels.base.side_run import SideRun
from cnnwidgets.visualize.batches import Tiles, UnitPictures, UnitsFrame

SIZES = (48, 64, 96, 128, 160)
HINTS = {
    "size": "Size of a tile in pixels",
    "steps": "Gradient steps for each picture; more make it clearer",
    "recipe": "How a picture is made: its parametrization, transforms and optimizer",
    "seed": "Seed of the starting noise; the same seed gives the same pictures",
}
NONE = -1  # in the menu of units: none is chosen
ASSUMED_SPEED = 3e10  # floating point operations a second, until a run has shown how fast this machine is
TELLING_STEP = 3e8  # floating point operations; a smaller step says more about its overhead than about the machine
STEP_OVERHEAD, TRACE = 0.015, 2.0  # seconds for each step whatever it computes, and for the first one


class TileGallery(Panel[UnitsFrame]):
    """A mosaic of tiles with captions, climbed together; choose one to climb it large.

    Attributes:
        size, steps, seed, recipe: of the run; set one to change it, a run under way begins again.
        unit: the chosen tile's unit or class, or `None`; choosing one climbs it large.

    Args:
        network: the network.
        plan: the checked request for the tiles.
        recipes: the names of the presets.
    """

    unit = traitlets.Int(None, allow_none=True)

    _curve_name = "objective, mean of all tiles"
    _speed = ASSUMED_SPEED  # of this process, shared by all galleries

    def __init__(self, network: Network, plan: Tiles, recipes: Sequence[str]) -> None:
        super().__init__(network)
        self._plan = plan
        self.enlarged = SideRun(self._enlarged_changed)
        self._choice = widgets.Dropdown(description=self._word, tooltip="The one optimized at a larger size")
        self._more = widgets.ToggleButton(description="More", icon="sliders", tooltip="Size, steps, recipe and seed")
        self._more.layout.width = "auto"
        fixed = network.inputs[plan.canvas.which].is_fixed
        self._inputs = {
            "size": widgets.Dropdown(options=SIZES, value=64, description="Size", disabled=fixed),
            "steps": widgets.BoundedIntText(plan.settings.steps, min=1, max=MOST_STEPS, description="Steps"),
            "recipe": widgets.Dropdown(options=list(recipes), value=plan.settings.recipe, description="Recipe"),
            "seed": widgets.IntText(plan.settings.seed, description="Seed"),
        }
        for widget in (self._choice, *self._inputs.values()):
            widget.layout.width, widget.style.description_width = "132px", "48px"
        for name, hint in HINTS.items():
            self._inputs[name].tooltip = hint
        traits = plan.settings.recorded()
        self._setting_names = list(traits)
        self._assign(**traits)
        self._choice.observe(self._unit_picked, "value")
        self._more.observe(self._more_pressed, "value")
        for name, widget in self._inputs.items():
            widget.observe(lambda change, name=name: self._set(name, change["new"]), "value")

    # What a gallery says.

    _word = "Unit"  # what a tile stands for

    @property
    def _path(self) -> str:
        """The layer whose units are climbed, "" for the output."""
        return ""

    def _planned(self) -> Tiles:
        """The checked request for the settings as they are."""
        raise NotImplementedError

    def _adopt(self, plan: Tiles) -> None:
        """Take a checked request for what the page shows."""
        self._plan = plan

    @property
    def _climbs(self) -> Tiles:
        """What Start climbs: all of the page, unless some of it is there already."""
        return self._plan

    def _large(self, unit: int) -> tuple[str, Iterator[Frame]]:
        """The title and the unstarted run of one tile, large."""
        raise NotImplementedError

    def _label(self, unit: int) -> str:
        """What a tile is called."""
        return str(unit)

    def _row(self) -> Sequence[widgets.Widget]:
        """The controls that choose what the tiles show."""
        return []

    def _body(self) -> Sequence[widgets.Widget]:
        self._settings_row = widgets.HBox(
            list(self._inputs.values()), layout=widgets.Layout(flex_flow="row wrap", display="none")
        )
        row = widgets.HBox(
            [*self._row(), self._choice, self._more],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center"),
        )
        side = widgets.VBox([self.enlarged, self._graph], layout=widgets.Layout(**SIDE))
        stage = widgets.HBox(
            [self.screen, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        )
        return [row, self._settings_row, stage]

    # What runs, and what it means.

    def _frames(self) -> Iterator[UnitsFrame]:
        self._adopt(self._planned())
        return self._climbs.frames()

    def _paint(self, frame: UnitsFrame) -> np.ndarray:
        return self._paint_pixels(pictures.to_uint8(frame.pictures))

    def _picture(self, frame: UnitsFrame) -> np.ndarray:
        return self._picture_of_pixels(pictures.to_uint8(frame.pictures))

    def _pixels(self, frame: UnitsFrame) -> np.ndarray:
        """The tiles themselves, [n, h, w, C]."""
        return pictures.to_uint8(frame.pictures)

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The mosaic with an empty band under each tile, where its caption is laid over it."""
        band = round(pixels.shape[1] * _band(len(pixels)))
        return pictures.mosaic(
            np.pad(pixels, ((0, 0), (0, band), (0, 0), (0, 0))), pictures.columns_for(len(pixels)), gap=0
        )

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return pictures.mosaic(pixels, pictures.columns_for(len(pixels)))

    def _result(self, frame: UnitsFrame) -> UnitPictures:
        return frame.result()

    def _shared_settings(self) -> dict[str, Any]:
        """The settings that every gallery has, for the recipe."""
        plan = self._plan
        height, width = plan.canvas.shape[:2]
        return {
            **plan.settings.recorded(),
            "size": height if height == width else [height, width],
            "steps": self._steps_made(),
            "batch": (self._last and self._last.smaller_batch) or plan.batch,
            "columns": pictures.columns_for(len(plan.units)),
        }

    def _steps_made(self) -> int:
        """The steps of what is shown: fewer than were asked for while it runs, and after Stop."""
        plan = self._plan
        if self._last is None or self._last.phase:
            return plan.settings.steps
        return min(plan.settings.steps, -(-self._last.step // len(self._climbs.groups)))

    def _step_cost(self) -> float:
        """Floating point operations of a step, where several runs take turns on the mean."""
        plan, groups = self._plan, self._climbs.groups
        pictures = sum(map(len, groups)) / max(1, len(groups))
        return 2 * forward_flops(plan.net, self._path, plan.canvas) * pictures

    def _estimate(self) -> str:
        step = self._step_cost() / TileGallery._speed + STEP_OVERHEAD
        seconds = step * self._plan.settings.steps * len(self._climbs.groups) + TRACE
        return durations.spoken(seconds)

    def _ended(self, frame: UnitsFrame) -> None:
        if self._record.pace and self._step_cost() > TELLING_STEP:
            TileGallery._speed = self._step_cost() / self._record.pace
        if not frame.smaller_batch:  # else these are not the bytes that the settings stand for
            self._remember(frame)

    def _describe(self, frame: UnitsFrame) -> None:
        self._caption(frame, frame.values, frame.notes or ("",) * len(frame.units))

    def _describe_moment(self, moment: Snapshot) -> None:
        self._caption(self._last, moment.values, ("",) * len(self._last.units))

    def _caption(self, frame: UnitsFrame, values: np.ndarray, notes: Sequence[str]) -> None:
        captions = [
            (self._label(unit), f"{value:.3g}" if value == value else "", note)
            for unit, value, note in zip(frame.units, values, notes, strict=True)
        ]
        columns = pictures.columns_for(len(captions))
        rows = -(-len(captions) // columns)
        chosen = frame.units.index(self.unit) if self.unit in frame.units else None
        band = _band(len(captions))
        self.screen.over.value = markup.tiles(columns, rows, band / (1 + band), captions, chosen)

    def _conclusion(self) -> str:
        smaller = self._last.smaller_batch
        return f"Low memory: rendered {smaller} at a time; these pictures were not cached. " if smaller else ""

    # Choosing.

    def _clicked(self, x: float, y: float) -> None:
        units = self._plan.units
        index = pictures.tile_at(x, y, len(units), pictures.columns_for(len(units)))
        if index is not None:
            self._guarded(self._choose, units[index])

    def _choose(self, unit: int) -> None:
        if self.unit == unit:
            self._climb_large()
        self.unit = unit

    def _unit_picked(self, change: dict[str, Any]) -> None:
        self._set("unit", None if change["new"] == NONE else change["new"])

    @traitlets.observe("unit")
    def _unit_changed(self, change: dict[str, Any]) -> None:
        if self._updating or self.unit is None:
            return
        self._guarded(self._climb_large)

    def _climb_large(self) -> None:
        assert self.unit is not None
        self.enlarged.begin(*self._large(self.unit))
        self._show_settings()
        if self._last is None:
            return
        self._describe(self._last)
        notes = dict(zip(self._last.units, self._last.notes, strict=False))
        if notes.get(self.unit):
            self._say(f"{self._word} {self._label(self.unit)}: {notes[self.unit]}.")

    def _enlarged_changed(self) -> None:
        self._show_state()
        if self.enlarged.traceback:
            self.traceback = self.enlarged.traceback

    def _is_busy_beside(self) -> bool:
        return self.enlarged.current.is_busy

    def _begin(self) -> None:
        """Begin a run; a unit that is climbed large goes on beside it."""
        self._weights_then = self.net.fingerprint()
        super()._begin()
        self.enlarged.current.resume()

    def pause(self) -> None:
        """Hold everything after the step under way."""
        super().pause()
        self.enlarged.current.pause()

    def resume(self) -> None:
        """Go on with the very next step."""
        super().resume()
        self.enlarged.current.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the run, and that of the chosen unit too, and keep the last pictures."""
        super().stop(timeout)
        self.enlarged.current.wait(timeout)

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.enlarged.current.stop()

    def _check(self, name: str) -> None:
        self._adopt(self._planned())

    def _apply(self, name: str) -> None:
        """Begin again what runs; otherwise show what is there already, or invite to Start."""
        self._assign(unit=None)
        self.enlarged.forget()
        again = self.state in BUSY
        self._run.drop()
        self._rest()
        if again:
            self._begin_again()
        else:
            self.state = "idle"
            self._recall()

    def _fill_controls(self) -> None:
        """Let the controls say what the traits say; a menu that offers it already is left to who may hold it."""
        plan = self._plan
        with self._updating:
            _offer(self._choice, [("choose", NONE), *((self._label(unit), unit) for unit in plan.units)])
            self._choice.value = self.unit if self.unit in plan.units else NONE
            for name, value in (("steps", self.steps), ("seed", self.seed), ("recipe", self.recipe)):
                self._inputs[name].value = value
            _offer(self._inputs["size"], sorted({*SIZES, plan.canvas.shape[0]}))
            self._inputs["size"].value = plan.canvas.shape[0]

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._settings_row.layout.display = "" if change["new"] else "none"

    # Finished pages are kept, so that turning back shows them at once.

    def _key(self) -> str:
        """What the pictures that Start makes are kept under."""
        return self.recipe_of().key()

    def _remember(self, frame: UnitsFrame) -> None:
        if not self.net.identity().is_complete or self.net.fingerprint() != self._weights_then:
            return  # tomorrow the same key may be of another network, or the weights were changed during the run
        Cache.default().put(
            self._key(), {"pictures": frame.pictures, "values": frame.values}, {"notes": list(frame.notes)}
        )

    def _found(self) -> tuple[UnitsFrame | None, str]:
        """What need not be made again, and where it comes from."""
        entry = Cache.default().get(self._key())
        if entry is None:
            return None, ""
        plan = self._climbs
        arrays, notes = entry.arrays, tuple(entry.metadata["notes"])
        steps = plan.settings.steps * len(plan.groups)
        frame = UnitsFrame(arrays["pictures"], steps, steps, arrays["values"], notes, plan.units)
        return frame, "From the cache. Start renders it again."

    def _recall(self) -> None:
        frame, origin = self._found()
        if frame is None:
            return
        self._keep(frame)
        self._show_state()
        self._say(origin)

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.enlarged.close()
        super().close()


def _offer(menu: widgets.Dropdown, options: list[Any]) -> None:
    if list(menu.options) != options:
        menu.options = options


def _band(count: int) -> float:
    """The height of a caption, as a share of its tile's: much the same on the page however many tiles there are."""
    return min(0.25, 0.05 * max(2, pictures.columns_for(count)))
