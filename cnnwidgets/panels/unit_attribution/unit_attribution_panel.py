"""The panel for the units that carried a decision, which can be switched off one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.overlays import unit_tiles
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.recorded_targets import record
from cnnwidgets.explain.regions import Region
from cnnwidgets.explain.unit_attribution import UnitAttribution, UnitAttributionSettings, default_layer
from cnnwidgets.model.arguments import check_unit
from cnnwidgets.model.layers import layers_with_units
from cnnwidgets.model.network import as_network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.outputs.without_units import Without, kept_units
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.binding import AtlasSetting, Setting, checked_atlas, settings_of
from cnnwidgets.panels.base.photograph_panel import PhotographPanel
from cnnwidgets.panels.base.position_panel import checked_pixel
from cnnwidgets.panels.controls.class_menu import ClassMenu
from cnnwidgets.panels.controls.controls import row as controls_row
from cnnwidgets.panels.controls.menu import Menu
from cnnwidgets.panels.heatmaps.captions import all_classes, class_chosen
from cnnwidgets.panels.unit.unit_page import UnitPage
from cnnwidgets.panels.unit.unit_pictures import UnitPainter
from cnnwidgets.panels.unit_attribution import captions
from cnnwidgets.panels.unit_attribution.controls import PlaceChoice, UnitControls
from cnnwidgets.panels.unit_attribution.rows import UnitRows
from cnnwidgets.panels.unit_attribution.unit_rows_run import Place, UnitRowsFrame, UnitsRequest, unit_rows_frames
from cnnwidgets.panels.unit_attribution.without_units import WithoutUnits
from cnnwidgets.pictures import cells

WIDTH = 512  # pixels of the photograph on the page
ROWS_ONLY = ("place", "unit")  # settings that leave the shares as they are


@settings_of(UnitAttributionSettings)
class UnitAttributionPanel(PhotographPanel):
    """The units that carried a decision: what each responds to, its share, and where it is on the photograph.

    A click on the photograph shows the units with the largest shares at that position. A check box switches a unit
    off, and the prediction without it is shown next to the one with it. After the first Start another class, layer or
    picture begins again at once.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        layer: a path of any layer with units; the last one with rows and columns before the class scores if not given.
        target: a class index or name, a region, or a function of the output; the top class if not given.
        against: why the target rather than this class, or these.
        output: of a model with several, its index or name.
        call: only this call of the layer; of several the first one that has a part in the target is shown.
        of: what of a class is explained: "logit" or "log_odds".
        size: at which the network looks, as in `unit_attribution`; the network's own if not given.
        seed: taken by every function that computes; nothing here is random.
        without: {path: units}: units that are switched off at first.
        atlas: from `open_atlas`: pictures of units that it holds are shown at once.

    Attributes:
        picture, layer, target, ... atlas: as given; set one to change it.
        place: (row, column) of a pixel of the photograph whose units are shown; `None` for all positions.
        unit: the chosen unit, whose evidence lies on the photograph; `None` for all units together.
        units: the units in the rows.
        predictions: with all units on, the most probable class first.
        result: a list of UnitAttribution.

    Raises:
        BadTarget, BadModel, BadPicture: what `unit_attribution` would raise.

    Example:
        >>> UnitAttributionPanel(net, "cat.jpg", target="tabby", against="Egyptian cat")
    """

    target: Any
    against: Any
    output: int | str | None
    call: int | None
    of: str
    size: Size | None
    seed: int
    layer = Setting("")
    without = Setting({})
    place = Setting(None)
    unit = Setting(None)
    atlas = AtlasSetting()

    def __init__(
        self,
        net: Any,
        picture: object,
        layer: str | None = None,
        target: Any = None,
        against: Any = None,
        *,
        output: int | str | None = None,
        call: int | None = None,
        of: str = "logit",
        size: Size | None = None,
        seed: int = 0,
        without: Without | None = None,
        atlas: Atlas | None = None,
    ) -> None:
        given = locals()
        network, atlas = as_network(net), checked_atlas(atlas)
        wanted = targets.named(network, target, output, of, against)
        path = default_layer(network, wanted) if layer is None else network.layer(layer).path
        settings = UnitAttributionSettings.given({**given, "layer": path}).checked()
        super().__init__(network, picture, settings)
        self._setting_names = [*self._setting_names, "without", "place", "unit", "atlas"]
        self._assign(without={} if without is None else without, atlas=atlas)
        self._plan_again()
        self._painter = UnitPainter(network, atlas)
        self._painted: tuple[tuple[Any, ...], np.ndarray] = (
            (),
            np.zeros(0),
        )  # what it was painted from, and the picture
        every = [info.path for info in layers_with_units(network)]
        self.layers = every
        self.controls = UnitControls(self._set, network, every)
        self.classes = ClassMenu(lambda index: self._set("target", index))
        self.numbers = Menu(
            [("the largest", None)], description="Number", tooltip="Which number of the output is explained"
        )
        self.numbers.observe(lambda change: self._set("target", change["new"]), "choice")
        self.position = PlaceChoice(lambda place: self._set("place", place))
        self.rows = UnitRows(lambda unit: self._set("unit", None if unit == self.unit else unit), self._switch)
        self.bars = WithoutUnits(lambda: self._set("without", {}), self._predicted)
        self.bars.beside = (self.rows.rows[0].is_on,)
        self._assemble()

    def _body(self) -> Sequence[widgets.Widget]:
        as_picture = {"width": "0", "min_width": "100%"}  # no wider than the picture, however long a layer's name is
        self._caption, self._legend = (markup.markup("", **as_picture) for _ in range(2))
        self._notes = markup.markup("")
        self._whole = self._button("All units together", "", lambda: self._set("unit", None), "Choose no unit")
        hint = "Everything on the chosen unit: what maximizes it, its patches, and what it is connected to"
        self._about = self._button("About this unit", "info-circle", self._open_unit, hint)
        self.unit_page = UnitPage(self._guarded)
        chosen = controls_row(self._whole, self._about)
        seen = [self.screen, self._legend, self._caption, chosen, _group("A position", self.position)]
        main = widgets.VBox(seen, layout=widgets.Layout(max_width="100%", align_items="flex-start"))
        row = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="12px 16px")
        groups = [_group("Predictions", self.bars), _group("What is explained", self.classes, self.numbers)]
        for group in groups:
            group.layout.flex = "1 1 270px"
        wrapped = {"flex_flow": "row wrap", "grid_gap": "12px 16px", "align_content": "flex-start"}
        beside = widgets.HBox(groups, layout=widgets.Layout(flex="1 1 280px", **wrapped))
        return [self.controls, widgets.HBox([main, beside], layout=row), self._notes, self.rows, self.unit_page]

    # What runs.

    def _frames(self) -> Iterator[UnitRowsFrame]:
        self._painter.atlas = self.atlas
        return unit_rows_frames(self._request(), self._painter, self._last)

    def _request(self) -> UnitsRequest:
        return UnitsRequest(self.net, UnitAttributionSettings.set_on(self), self._held, self.place, self.unit)

    def _phase(self, frame: UnitRowsFrame) -> str:
        return "shares" if frame.step == 1 else "pictures of units"

    def _is_busy_beside(self) -> bool:
        return self.bars.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.bars.drop()
        self.unit_page.stop()

    def _open_unit(self) -> None:
        """Show everything on the chosen unit below the rows."""
        if self.unit is not None:
            given, atlas = self._held.given, self.atlas
            self.unit_page.show(self.net, self.layer, self.unit, given, atlas, self.shown_in, self.may_save)

    # What is shown.

    @property
    def units(self) -> tuple[int, ...]:
        """The units in the rows, in their order."""
        return () if self._last is None else self._last.rows

    @property
    def predictions(self) -> list[Prediction]:
        """With all units on, the most probable class first."""
        return list(self.bars.before)

    def predict_without(self) -> list[Prediction]:
        """What the network predicts without the units that are off; waits for it.

        Raises:
            JobFailed: when the network cannot be asked.
        """
        if self.bars.after is None and not self.bars.is_busy:
            self.bars.begin(self._request(), self.without)
        return self.bars.answer() or self.net.predict(self._held.given, 10**9, self.output, size=self.size)

    def _photo(self, found: UnitAttribution) -> np.ndarray:
        return unit_tiles.photo_of(self.net, found, self._held.photos)

    def _paint(self, frame: UnitRowsFrame) -> np.ndarray:
        """The photograph with the evidence; while units are rendered, it stays what it is."""
        key = frame.maps, self.unit, frame.request.place
        if self._painted[0] != key:
            self._painted = key, self._over_photograph(frame)
        return self._painted[1]

    def _over_photograph(self, frame: UnitRowsFrame) -> np.ndarray:
        photo = cells.fit(unit_tiles.photo_of(self.net, frame.shown, frame.request.picture.photos), WIDTH)
        painted = photo if frame.maps.why_none else frame.maps.over(photo, self.unit)
        if frame.request.place is None:
            return painted
        row, column = frame.request.place
        height, width = self._photo(frame.shown).shape[:2]
        return unit_tiles.marked(painted, ((row + 0.5) / height, (column + 0.5) / width))

    def _picture(self, frame: UnitRowsFrame) -> np.ndarray:
        photo = unit_tiles.photo_of(self.net, frame.shown, frame.request.picture.photos)
        return unit_tiles.mosaic(frame.shown, photo, frame.rows, pictures.columns_for(len(frame.rows)))

    def _photograph(self) -> np.ndarray:
        return cells.fit(self._held.photos[0], WIDTH)

    def _result(self, frame: UnitRowsFrame) -> list[UnitAttribution]:
        return list(frame.found)

    def _offer_to_look_back(self, frame: Any) -> None:
        """There are no steps to look back at."""

    def _rest(self) -> None:
        self.bars.forget()
        self.rows.hide()
        super()._rest()

    def _describe(self, frame: UnitRowsFrame | None) -> None:
        self._caption.value = markup.progress_text(captions.caption(frame, self.unit))
        for button in (self._whole, self._about):
            button.layout.display = "none" if self.unit is None or frame is None else ""
        if frame is None:
            self._notes.value = self._legend.value = ""
            self.position.show(None, self._held.photos[0].shape[:2], "")
            return
        photo = unit_tiles.photo_of(self.net, frame.shown, frame.request.picture.photos)
        self.screen.resize(cells.fit(photo, WIDTH).shape[1])
        self._notes.value = markup.notes([one.note for one in frame.found if one.note])
        self._legend.value = "" if frame.maps.why_none else captions.legend(frame, self.unit)
        self.position.show(frame.request.place, photo.shape[:2], frame.maps.why_none)
        self.rows.show(frame, self.unit, self.without.get(frame.shown.path, ()), photo)
        self.bars.show(frame)

    def _doing(self, frame: UnitRowsFrame) -> str:
        return "The shares are there; rendering what the units respond to."

    def _invitation(self) -> str:
        return (
            f"Start shows which units of {self.layer} carried the decision of {self.net.name}: what each responds to, "
            "its share, and where it is on the photograph. Then switch units off and see the prediction change."
        )

    def _conclusion(self) -> str:
        asked = self._last.request
        return f"{captions.conclusion(self._last)} {asked.picture.looked_at(self.net, asked.settings.size)}"

    def _ended(self, frame: UnitRowsFrame) -> None:
        self._fill_controls()  # the classes with their probabilities

    # What is changed.

    def _check(self, name: str) -> None:
        if name in ("layer", "picture"):
            self._assign(place=None, unit=self.unit if name == "picture" else None)
        if name == "layer" and self.call is not None and self.call >= self.net.layer(self.layer).calls:
            self._assign(call=None)
        super()._check(name)

    def _plan_again(self) -> None:
        settings = UnitAttributionSettings.set_on(self).checked()
        asked = settings.target, settings.output, settings.of, settings.against
        targets.named(self.net, *asked)
        info = self.net.layer(settings.layer)
        reachability.calls_of(self.net, info.path, settings.call)
        if not info.units:
            raise BadTarget(f"The layer {quoted(info.path)} has no units. Choose another layer.")
        if self.size is not None or isinstance(settings.target, Region):
            Probe(self.net, self._held.given, self.size).named(*asked)

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> str:
        return self.net.layer(proposal["value"]).path

    @traitlets.validate("unit")
    def _known_unit(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else check_unit(self.net.layer(self.layer), unit)

    @traitlets.validate("without")
    def _known_units(self, proposal: Any) -> dict[str, tuple[int, ...]]:
        kept = kept_units(self.net, proposal["value"])
        return {path: tuple(np.flatnonzero(~mask).tolist()) for path, mask in kept.items() if not mask.all()}

    @traitlets.validate("place")
    def _inside(self, proposal: Any) -> Place | None:
        photo = self._held.photos[0] if self._last is None else self._photo(self._last.shown)
        return checked_pixel("place", proposal["value"], photo.shape[:2])

    def _apply(self, name: str) -> None:
        if name == "without":
            self._predict()
        elif name in ROWS_ONLY and self._last is None:
            return
        elif name == "unit" and (self.unit is None or self.unit in self.units):
            self._repaint()
        elif self.state in BUSY or self._last is not None:
            self._begin_again()
        else:
            self._show_photograph()

    def _begin(self) -> None:
        super()._begin()
        is_new = self._last is None or not self._request().has_same_shares_as(self._last.request)
        if is_new and self.without:
            self._predict()

    def _predict(self) -> None:
        self.bars.begin(self._request(), self.without)
        if self._last is not None:
            self._describe(self._last)
        self._show_state()

    def _predicted(self) -> None:
        if self.bars.traceback:
            self.traceback = self.bars.traceback
        self._show_state()

    def _switch(self, unit: int, is_on: bool) -> None:
        """Take a unit's check box."""
        off = set(self.without.get(self.layer, ())) ^ {unit}
        off = off - {unit} if is_on else off | {unit}
        self._set("without", {**self.without, self.layer: sorted(off)})

    def _set(self, name: str, value: Any) -> None:
        """Take a control's value; another class is explained in the same region."""
        if name == "target" and isinstance(self.target, Region):
            value = replace(self.target, target=value)
        super()._set(name, value)

    def _clicked(self, x: float, y: float) -> None:
        self._guarded(self._place_clicked, x, y)

    def _place_clicked(self, x: float, y: float) -> None:
        frame = self._last
        if frame is None:
            raise BadTarget("There are no shares yet to choose a position of. Press Start, or call run(), first.")
        if frame.maps.why_none:
            raise BadTarget(frame.maps.why_none)
        height, width = self._photo(frame.shown).shape[:2]
        self.place = (int(y * height), int(x * width))

    def _fill_controls(self) -> None:
        with self._updating:
            self.controls.show(UnitAttributionSettings.set_on(self).recorded())
            self._offer_targets(self.bars.before or all_classes(self.net, self.output))

    def _offer_targets(self, lines: Sequence[Prediction]) -> None:
        info = self.net.outputs[find_output(self.output, self.net.outputs)]
        self.classes.layout.display = "" if info.is_class_scores else "none"
        self.numbers.layout.display = "none" if info.is_class_scores or info.classes < 2 else ""
        chosen = class_chosen(self.net, self.target, self.output)
        if info.is_class_scores:
            self.classes.offer(lines, chosen, callable(self.target))
        else:
            self.numbers.offer([("the largest", None), *((line.name, line.index) for line in lines)], chosen)

    # What is taken away.

    def _settings(self) -> tuple[str, dict[str, Any]]:
        frame = self._last
        asked = self._request() if frame is None else frame.request
        settings = {**asked.settings.recorded(), "size": self.net.recorded_size(asked.settings.size)}
        settings["target"] = record(settings["target"])
        facts: dict[str, Any] = {"picture": asked.picture.digest}
        if self.without:
            facts["without"] = self.without
        if frame is not None:
            facts |= {"shown": list(frame.rows), "columns": pictures.columns_for(len(frame.rows))}
        return "unit_attribution", {**settings, **facts}

    def _name(self) -> str:
        return f"{self.net.name}-units-{self.layer}-{captions.explained(self._last)}"

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.bars.drop()
            self.unit_page.close()
            lifecycle.stop_counting(self)
        super().close()


def _group(title: str, *parts: widgets.Widget) -> widgets.VBox:
    layout = widgets.Layout(min_width="0", max_width="340px")
    return widgets.VBox([markup.markup(markup.title(title)), *parts], layout=layout)
