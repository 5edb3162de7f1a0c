"""The panel for everything on one unit."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets.activations.patches_run import PatchesFrame, search_photographs, smaller
from cnnwidgets.activations.path_similarity import PathSimilarity
from cnnwidgets.activations.unit_links import UnitLinks
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.frame import Frame
from cnnwidgets.model.arguments import check_call, check_unit
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.binding import AtlasSetting, Setting, checked_atlas
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.controls.controls import row
from cnnwidgets.panels.runs.side_run import SideRun
from cnnwidgets.panels.unit.atlas_unit import AtlasUnit
from cnnwidgets.panels.unit.connected_units import ConnectedUnits
from cnnwidgets.panels.unit.facts import Facts, measure, photographs, sample_for
from cnnwidgets.panels.unit.on_photograph import OnPhotograph
from cnnwidgets.panels.unit.path_check import PathCheck, compare_paths
from cnnwidgets.panels.unit.unit_pictures import UnitPainter
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.batches import UnitPictures, UnitsFrame
from cnnwidgets.visualize.presets import named
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings

SIDE, STEPS = 128, 48  # pixels and steps of the two pictures, where nothing else is given
WIDTH = 260  # CSS pixels of each picture on the page
WIDEST = "1400px"  # of the page: five pictures side by side


class UnitPanel(Panel[UnitsFrame]):
    """Everything on one unit: what maximizes and minimizes it, where it responds, what it is connected to.

    On the photograph: its map, the receptive field of its strongest position, and the classes whose logits its
    activation raises and lowers (logits with it, minus those without it). In other photographs: its top patches and a
    histogram of its responses. By weights: the units that feed it, and those that it feeds, with the pictures of those
    that an atlas or the cache has. Start optimizes the two pictures and searches the patches; the rest is there at
    once. Up and Down in the field Unit go to its neighbors. Under the finished picture stands whether it excites the
    same units on the way as photographs do (arXiv:2306.04719).

    Args:
        net: a Network or a bare Keras model.
        layer: a path; an unambiguous last part is enough.
        unit: its index.
        picture: anything that `load_picture` takes, for several inputs a list or dict; a sample if not given.
        pictures: photographs to search; the sample photographs if not given.
        size: of the optimized pictures in pixels; 128, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        seed: the same seed gives the same pictures.
        recipe: "fourier", "natural" or "textbook".
        call: which call of a shared layer.
        atlas: from `open_atlas`: its picture of the unit, its top patches and histogram, and its pictures of connected
            units are shown at once.

    Attributes:
        layer, unit, picture, pictures, size, steps, seed, recipe, call, atlas: as given; set one to change it.
        facts: what is known of the unit on the photograph and in others.
        links: the units that it is connected to.
        path_similarity: how much alike the ways of its picture and of photographs to it are; `None` before.
        result: UnitPictures with the picture that maximizes it, as `visualize_units` returns them.

    Raises:
        BadTarget, BadPicture, BadModel: for what does not exist, or does not fit the network.

    Example:
        >>> UnitPanel(net, "fire5_concat", 12, "cat.jpg")
    """

    layer = Setting("")
    unit = Setting(0)
    picture = Setting(None)
    pictures = Setting(None)
    size = Setting(None)
    steps = Setting(STEPS)
    seed = Setting(0)
    recipe = Setting("fourier")
    call = Setting(0)
    atlas = AtlasSetting()

    def __init__(
        self,
        net: Any,
        layer: str,
        unit: int,
        picture: object = None,
        pictures: Iterable[object] | None = None,
        *,
        size: int | tuple[int, int] | None = None,
        steps: int = STEPS,
        seed: int = 0,
        recipe: str = "fourier",
        call: int = 0,
        atlas: Atlas | None = None,
    ) -> None:
        network, atlas = as_network(net), checked_atlas(atlas)
        info = network.layer(layer)
        given: dict[str, Any] = {"layer": info.path, "unit": check_unit(info, unit), "size": size, "steps": steps}
        given |= {"seed": seed, "recipe": recipe, "call": call}
        plan = _plan(network, **given)
        held = HeldPicture(network, sample_for(network) if picture is None else picture)
        searched = photographs(pictures)
        super().__init__(network, WIDTH)
        self._plan, self._held, self._searched = plan, held, searched
        self._is_alone = False  # whether only the main run is wanted, in this thread
        self._place, self._path = OnPhotograph(WIDTH, self._complain), PathCheck()
        tip = "Optimize a small picture of each of them"
        render = self._button("Visualize connected units", "paint-brush", self._render_connected, tip)
        painter = UnitPainter(network, atlas)
        told = self._choose, self._show_atlas, self._show_state, self._complain
        self._connected, self._render_button = ConnectedUnits(painter, render, *told), render
        self.layout.max_width = WIDEST
        self._make_parts(network)
        self._setting_names = [*given, "picture", "pictures", "atlas"]
        self._assign(**given, picture=picture, pictures=pictures, atlas=atlas)
        self._assemble()
        self._measure()

    def _make_parts(self, net: Network) -> None:
        layers = [info.path for info in net.layers if info.units and info.calls]
        self._layers = widgets.Dropdown(options=layers, description="Layer", tooltip="The layer of the unit")
        self._layers.layout.width, self._layers.style.description_width = "260px", "48px"
        self._layers.observe(lambda change: self._set("layer", change["new"]), "value")
        self._units = widgets.BoundedIntText(0, min=0, max=0, description="Unit", tooltip="Up and Down: its neighbors")
        self._units.layout.width, self._units.style.description_width = "132px", "48px"
        self._units.observe(lambda change: self._set("unit", change["new"]), "value")
        self._minimum = SideRun(
            self._show_state, "What minimizes it", "Start shows what it responds to least.", _least, WIDTH
        )
        self._patches = SideRun(
            self._show_state,
            "Top patches",
            "Start searches photographs for its strongest patches.",
            attrgetter("progress"),
            WIDTH,
        )
        self._caption = markup.markup("")

    def _body(self) -> Sequence[widgets.Widget]:
        title = markup.markup(markup.title("What maximizes it"))
        maximum = widgets.VBox([title, self.screen, self._caption, self._path.line])
        columns = [maximum, self._minimum, self._patches, *self._place.columns, *self._connected.columns]
        for column in columns:
            column.layout.width, column.layout.max_width = f"{WIDTH}px", "100%"
        page = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="12px 16px", align_items="flex-start")
        choices = row(self._layers, self._units, self._connected.menu, self._render_button)
        return [choices, widgets.HBox(columns, layout=page)]

    # What is known.

    @property
    def facts(self) -> Facts | None:
        """What is known of the unit on the photograph and in others; `None` before."""
        return self._place.facts

    @property
    def links(self) -> UnitLinks:
        """The units that it is connected to."""
        return self._connected.links

    @property
    def path_similarity(self) -> PathSimilarity | None:
        """How much alike the ways of its picture and of photographs to it are; `None` before."""
        return self._path.found

    # The runs.

    def _frames(self) -> Iterator[UnitsFrame]:
        return self._plan.frames()

    def start(self) -> None:
        """Begin to optimize what maximizes and minimizes the unit, and to search its top patches."""
        super().start()
        if not self._is_alone:
            self._begin_beside()

    def run(self) -> Any:
        """Optimize what maximizes the unit in this thread, with or without a browser, and return UnitPictures."""
        self._is_alone = True
        try:
            return super().run()
        finally:
            self._is_alone = False

    def _begin_again(self) -> None:
        super()._begin_again()
        self._begin_beside()

    def _begin_beside(self) -> None:
        self._minimum.begin("What minimizes it", self._minimizing())
        if self._connected.in_atlas.patches is None:
            self._patches.begin("Top patches", self._searching())

    def _minimizing(self) -> Iterator[Frame]:
        """What minimizes the unit; nothing is traced before the worker asks for the first frame."""
        plan = self._plan
        height, width = plan.canvas.shape[:2]
        size = None if self.net.inputs[plan.canvas.which].is_fixed else (height, width)
        objective, settings, optimizer = -1 * plan.objective(plan.units), plan.settings, named("fourier").optimizer
        yield from ascend(self.net, objective, size, settings.steps, optimizer=optimizer, seed=settings.seed)

    def _searching(self) -> Iterator[PatchesFrame]:
        """The search for top patches, on the worker too."""
        names, every = self._every_photograph()
        yield from search_photographs(self.net, self.layer, self.unit, self.call, names, every)

    def _every_photograph(self) -> tuple[list[str], Iterable[np.ndarray]]:
        """Names and photographs: those of the user, or else the one that is shown and the samples."""
        net, names = self.net, self._searched.names
        if self.pictures is not None:
            return names, self._searched
        own = self._held.photos[net.picture_inputs.index((net.sees(self.layer, self.call) or net.picture_inputs)[0])]
        return ["your picture", *names], itertools.chain([own], self._searched)

    def _measure(self) -> None:
        """Find out at once what takes no optimization, on the worker."""
        self._connected.show(self.layer, self.unit, self.call)
        count = len(self._searched.names) if len(self.net.inputs) == 1 else 0
        searched = map(smaller, self._searched)
        frames = measure(self.net, self._held, self.layer, self.unit, self.call, count, searched)
        self._place.begin(smaller(self._held.photos[0]), frames)

    def _is_busy_beside(self) -> bool:
        return self._connected.is_rendering or any(part.current.is_busy for part in (self._minimum, self._patches))

    def _stop_soon(self) -> None:
        super()._stop_soon()
        for run in (self._minimum.current, self._patches.current, self._connected.run, self._path.run):
            run.stop()

    def _ended(self, frame: UnitsFrame) -> None:
        names, every = self._every_photograph()
        made = frame.pictures[0]
        self._path.begin(compare_paths(self.net, self.layer, self.unit, self.call, made, every, len(names)))

    def _render_connected(self) -> None:
        self._connected.render(self._buttons["start"])

    # What is shown.

    def _paint(self, frame: UnitsFrame) -> np.ndarray:
        return frame.pictures[0]

    def _result(self, frame: UnitsFrame) -> UnitPictures:
        return frame.result()

    def _phase(self, frame: UnitsFrame) -> str | None:
        return frame.phase or None

    def _describe(self, frame: UnitsFrame) -> None:
        note = frame.notes[0] if frame.notes else ""
        self._caption.value = markup.progress_text(note or f"value {frame.values[0]:.3g}")

    def _invitation(self) -> str:
        return "Start optimizes a picture that activates this unit most, and one that activates it least."

    def _doing(self, frame: UnitsFrame) -> str:
        return f"Optimizing pictures for {self.layer} · {self.unit}."

    def _conclusion(self) -> str:
        note = self.result.notes[0]
        said = f"Unit {self.unit} of {self.layer}: {note}. " if note else ""
        if self._patches.screen.is_empty and not self._patches.current.is_busy:  # after `run`
            return f"{said}Start also shows what minimizes it, and its top patches."
        return f"{said}Compare what maximizes it with its top patches. Up and Down in Unit go to its neighbors."

    def _note(self) -> str:
        return self._held.note

    def _show_atlas(self, found: AtlasUnit) -> None:
        is_empty = self._last is None and self.state not in BUSY
        if found.why_none and is_empty:
            self._say(self._noted(found.why_none))
        if found.picture is not None and is_empty:
            self.screen.show(found.picture)
            self._caption.value = markup.progress_text(found.words)
        if found.patches is not None:
            self._patches.present("Top patches", found.patches, found.patch_words)
        self._place.take_histogram(found.histogram)

    # Choosing.

    def _choose(self, layer: str, unit: int) -> None:
        self._guarded(self.go_to, layer, unit)

    def go_to(self, layer: str, unit: int) -> None:
        """Show another unit.

        Raises:
            BadTarget: for a layer or unit that does not exist.
        """
        info = self.net.layer(layer)
        settings = {"layer": info.path, "unit": check_unit(info, unit), "call": 0}
        self._plan = _plan(self.net, **{name: getattr(self, name) for name in _PLANNED} | settings)
        self._assign(**settings)
        self._apply("unit")
        self._show_settings()

    def _check(self, name: str) -> None:
        if name == "atlas":
            return
        if name == "picture":
            self._held = HeldPicture(self.net, sample_for(self.net) if self.picture is None else self.picture)
            return
        if name == "pictures":
            self._searched = photographs(self.pictures)
            return
        info = self.net.layer(self.layer)
        unit = 0 if name == "layer" and self.unit >= info.units else check_unit(info, self.unit)
        given = {one: getattr(self, one) for one in _PLANNED} | {"layer": info.path, "unit": unit}
        if name == "layer":
            given["call"] = 0
        self._plan = _plan(self.net, **given)
        self._assign(**given)

    def _apply(self, name: str) -> None:
        """Measure again where the unit or a photograph is another one; optimize again where that was asked for."""
        if name == "atlas":
            if self._connected.in_atlas.patches is not None:
                self._patches.forget()
            self._connected.painter.atlas = self.atlas
            self._place.take_histogram(None)
            self._connected.look_up(self.layer, self.unit, self.call)
            return
        again = self.state in BUSY or self._last is not None
        self._run.drop()
        self._path.forget()
        self.state = "idle"
        self._rest()
        for part in (self._minimum, self._patches):
            part.forget()
        self._caption.value = ""
        if name not in ("size", "steps", "seed", "recipe"):
            self._measure()
        if again:
            self._begin_again()

    def _fill_controls(self) -> None:
        with self._updating:
            self._layers.value = self.layer
            self._units.max = self.net.layer(self.layer).units - 1
            self._units.value = self.unit

    def _settings(self) -> tuple[str, dict[str, Any]]:
        plan, last = self._plan, self._last
        height, width = plan.canvas.shape[:2]
        made = plan.settings.steps if last is None or last.phase else min(plan.settings.steps, last.step)
        own = {"size": height if height == width else [height, width], "steps": made, "columns": 1}
        own["batch"] = (last and last.smaller_batch) or plan.batch
        return "visualize_units", plan.settings.recorded() | own

    def _name(self) -> str:
        return f"{self.net.name}-{self.layer}-{self.unit}"

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self._path.forget()
            for part in (self._minimum, self._patches, self._place, self._connected):
                part.close()
        super().close()


_PLANNED = ("layer", "unit", "size", "steps", "seed", "recipe", "call")


def _plan(net: Network, *, unit: int, size: Any, call: int, layer: str, **rest: Any) -> UnitsPlan:
    seen = (net.sees(layer, check_call(net.layer(layer), call)) or net.picture_inputs)[0]
    size = SIDE if size is None and not net.inputs[seen].is_fixed else size
    return UnitsSettings(layer=layer, units=[unit], size=size, call=call, **rest).check(net)


def _least(frame: Any) -> str:
    return f"step {frame.step} of {frame.steps} · value {-frame.values[0]:.3g}"
