"""A gallery of pictures of what a layer's units respond to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from cnnwidgets import pictures
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.frame import Frame
from cnnwidgets.model.arguments import check_unit
from cnnwidgets.model.layers import last_convolution
from cnnwidgets.model.network import as_network
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.base.binding import AtlasSetting, Setting, checked_atlas, settings_of
from cnnwidgets.panels.galleries.controls import GalleryControls, PhotographMenu
from cnnwidgets.panels.galleries.ready_tiles import PAGE, PartialFrame, ReadyTiles, part_of, ready_in
from cnnwidgets.panels.galleries.tile_gallery import TileGallery
from cnnwidgets.panels.runs.side_run import SIZE, STEPS
from cnnwidgets.panels.unit.unit_page import UnitPage
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.batches import Tiles, UnitsFrame
from cnnwidgets.visualize.photographs.accentuation import accentuate
from cnnwidgets.visualize.presets import UNIT_RECIPES
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings


@settings_of(UnitsSettings)
class FilterGallery(TileGallery):
    """A live gallery: one tile for each unit of a layer, optimized together; click one to enlarge it.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; the last convolution if not given.
        units: indices; the first 16 if not given.
        size, steps, seed, recipe, call: as in `visualize_units`.
        atlas: from `open_atlas`: what it holds of this network and these settings is shown at once, and Start renders
            only what is missing.
        photograph: a picture in which the enlarged unit is brought out, as by `accentuate`; from noise if not given.

    Attributes:
        layer, units, ... call: as given; set one to change it, a run under way begins again.
        unit: the chosen tile's unit, or `None`; choosing one optimizes it at a larger size.
        photograph: as given; set one, or `None`, to change how the chosen unit is enlarged.

    Raises:
        BadTarget, BadModel: what `visualize_units` would raise.
        BadPicture: for a photograph that is not a picture.

    Example:
        >>> FilterGallery(net, "conv1", units=range(16), atlas=open_atlas("atlas.zarr"))
    """

    layer: str
    size: int | tuple[int, int] | None
    steps: int
    seed: int
    recipe: str
    call: int
    units: Any  # a tuple of int; any integers may be set
    atlas = AtlasSetting()
    photograph = Setting(None)

    _verb = "visualize_units"
    _word = "Unit"
    _watch_for = "Watch for edges and colors in early layers, textures in the middle, parts of things in late ones."
    _plan: UnitsPlan
    _ready: ReadyTiles

    def __init__(
        self,
        net: Any,
        layer: str | None = None,
        units: Iterable[int] | None = None,
        size: int | tuple[int, int] | None = None,
        steps: int = 32,
        seed: int = 0,
        recipe: str = "fourier",
        atlas: Atlas | None = None,
        call: int = 0,
        photograph: object = None,
    ) -> None:
        given = locals()
        network, atlas = as_network(net), checked_atlas(atlas)
        chosen = network.layer(layer).path if layer is not None else last_convolution(network)
        if units is None:
            units = range(min(PAGE, network.layer(chosen).units))
        plan = UnitsSettings.given({**given, "layer": chosen, "units": units}).check(network)
        super().__init__(network, plan)
        self._previous = self._button("Previous units", "chevron-left", lambda: self._turn(-1), "Units before these")
        self._next = self._button("Next units", "chevron-right", lambda: self._turn(1), "Units after these")
        self._page = markup.markup("")
        self._page.layout.margin = "0 8px"
        hint = "Everything about the chosen unit; a double click on a tile opens it too"
        self._about = self._button("About this unit", "info-circle", self._open_chosen, hint)
        self.unit_page = UnitPage(self._guarded)
        self.screen.watch_double_clicks(self._double_clicked)
        row = [self._previous, self._page, self._next, self._about]
        self.controls = GalleryControls(plan, tuple(UNIT_RECIPES), "Unit", row, self._set)
        self._setting_names = [*self._setting_names, "atlas"]
        self._held: HeldPicture | None = None
        self.enlarged_from = PhotographMenu(network, lambda picture: self._set("photograph", picture))
        self._assign(atlas=atlas, photograph=photograph)
        self._adopt(plan)
        self._assemble()
        if self._ready.pictures:
            self._recall()

    def _beside(self) -> Sequence[widgets.Widget]:
        return [self.enlarged_from]

    def _body(self) -> Sequence[widgets.Widget]:
        return [*super()._body(), self.unit_page]

    # The page of a unit.

    def open_unit(self, unit: int) -> None:
        """Show everything on a unit below the tiles, in a UnitPanel (`unit_page.panel`).

        Raises:
            BadTarget: for a unit that the layer does not have.
        """
        unit = check_unit(self._plan.layer, unit)
        self.unit_page.show(self.net, self._path, unit, self.photograph, self.atlas, self.shown_in, self.may_save)

    def _double_clicked(self, x: float, y: float) -> None:
        units = self._plan.units
        index = pictures.tile_at(x, y, len(units), pictures.columns_for(len(units)))
        if index is not None:
            self._guarded(self.open_unit, units[index])

    def _open_chosen(self) -> None:
        if self.unit is None:
            raise BadTarget("No unit is chosen yet. Click a tile, or choose a unit in the menu, first.")
        self.open_unit(self.unit)

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.unit_page.stop()

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.unit_page.close()
        super().close()

    # What is planned.

    @property
    def _path(self) -> str:
        return self._plan.layer.path

    def _planned(self) -> UnitsPlan:
        return UnitsSettings.set_on(self).check(self.net)

    # What the atlas holds.

    def _adopt(self, plan: Tiles) -> None:
        super()._adopt(plan)
        self._ready = ready_in(self.atlas, self._plan)

    @property
    def _is_mixed(self) -> bool:
        """Whether a part of the page is in the atlas, and another one must be rendered."""
        return bool(self._ready.pictures) and bool(self._ready.missing(self._plan.units))

    @property
    def _rendered(self) -> UnitsPlan:
        return replace(self._plan, units=self._ready.missing(self._plan.units)) if self._is_mixed else self._plan

    def _frames(self) -> Iterator[UnitsFrame]:
        frames = super()._frames()
        ready, units = self._ready, self._plan.units
        return (ready.combined(frame, units) for frame in frames) if self._is_mixed else frames

    def _key(self, fingerprint: str) -> str:
        recipe, units = self._recipe(fingerprint), self._rendered.units
        own = {"units": list(units), "columns": pictures.columns_for(len(units))}
        return replace(recipe, settings={**recipe.settings, **own}).key()

    def _remember(self, frame: UnitsFrame) -> None:
        super()._remember(part_of(frame, self._rendered.units) if self._is_mixed else frame)

    def _found(self) -> tuple[UnitsFrame | None, str]:
        ready, plan = self._ready, self._plan
        missing = len(ready.missing(plan.units))
        if not missing:
            return ready.blank(plan), "From the atlas. Start renders it again."
        kept, origin = super()._found()
        if not ready.pictures:
            return kept, f"{ready.why_none} {origin}".strip()
        if kept is not None:
            return ready.combined(kept, plan.units), "From the atlas, the rest from the cache."
        words = f"{len(plan.units) - missing} of {len(plan.units)} are from the atlas. Start renders the missing ones."
        return ready.blank(plan), words

    def _rest(self) -> None:
        super()._rest()
        if self._ready.why_none:
            self._say(self._ready.why_none)

    @property
    def _is_complete(self) -> bool:
        """Whether what is shown is what its recipe says: no tile is a placeholder, or finished before the others."""
        last = self._last
        is_partial = isinstance(last, PartialFrame) or (self._is_mixed and last is not None and not last.notes)
        return last is not None and not is_partial

    def save(self, path: str | Path) -> Path:
        """Save the picture as PNG, its recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, when there is nothing to save yet, or a part of the page is missing.
        """
        if self._last is not None and not self._is_complete:
            raise BadTarget("Some of the pictures are not rendered yet. Press Start, or call run(), first.")
        return super().save(path)

    def _show_state(self) -> None:
        super()._show_state()
        for name in ("save", "gif"):
            button = self._buttons[name]
            focus.set_disabled(button, button.disabled or not self._is_complete, self._buttons["start"])

    def _large(self, unit: int) -> tuple[str, Iterator[Frame]]:
        plan = self._plan
        size = None if self.net.inputs[plan.canvas.which].is_fixed else SIZE
        objective = objectives.unit(plan.layer.path, unit, call=plan.call)
        if self._held is not None:
            frames = accentuate(self.net, self._held.given, objective, seed=plan.settings.seed)
            return f"{plan.layer.path} · {unit} in the photograph", frames
        return f"{plan.layer.path} · {unit}", ascend(self.net, objective, size, STEPS, seed=plan.settings.seed)

    def _name(self) -> str:
        units = self._plan.units
        return f"{self.net.name}-{self._plan.layer.path}-{units[0]}-{units[-1]}"

    def _aim(self) -> str:
        return f"one for each unit of {self._path}: the pattern that activates it most"

    def _phase(self, frame: UnitsFrame) -> str | None:
        return frame.phase or None

    def _doing(self, frame: UnitsFrame) -> str:
        if frame.phase:
            return "Some units stayed at zero; retrying with more steps and a different seed."
        return "Optimizing: each step changes the pictures so that their units activate more."

    def _failures(self, count: int, of: int) -> str:
        if count == 1:
            return f"1 of {of} units never fires; see its caption."
        return f"{count} of {of} units never fire; see their captions."

    def _advice(self) -> str:
        more = f"; Next units shows more of {self._path}" if self.units[-1] + 1 < self._plan.layer.units else ""
        return f"Click a tile to optimize it at a larger size{more}."

    def _turn(self, pages: int) -> None:
        """Turn to the units before or after these, as many as now."""
        count, last = len(self.units), self._plan.layer.units
        first = min(max(0, self.units[0] + pages * count), max(0, last - 1) // count * count)
        self.units = tuple(range(first, min(first + count, last)))

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> str:
        return self.net.layer(proposal["value"]).path

    @traitlets.validate("unit")
    def _known_unit(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else check_unit(self._plan.layer, unit)

    @traitlets.validate("photograph")
    def _a_picture(self, proposal: Any) -> Any:
        given = proposal["value"]
        self._held = None if given is None else HeldPicture(self.net, given)
        return given

    @traitlets.observe("photograph")
    def _photograph_changed(self, _change: object) -> None:
        self.enlarged_from.show(self.photograph)
        if not self._updating and self.unit is not None:
            self._guarded(self._enlarge)

    def _check(self, name: str) -> None:
        """Plan other units; a layer that has fewer shows its first ones."""
        units, most = self.units, self.net.layer(self.layer).units
        if name == "layer" and most <= max(units):
            self._assign(units=tuple(range(min(PAGE, most))))
        try:
            super()._check(name)
        except Exception:
            self._assign(units=units)
            raise

    def _fill_controls(self) -> None:
        super()._fill_controls()
        plan = self._plan
        first, last = min(plan.units), max(plan.units)
        shown = f"{first} to {last}" if last > first else f"Unit {first}"
        self._page.value = markup.title(f"{shown} of {plan.layer.units} in {plan.layer.path}")
        start = self._buttons["start"]
        focus.set_disabled(self._next, last >= plan.layer.units - 1, self._previous, start)
        focus.set_disabled(self._previous, first == 0, self._next, start)
