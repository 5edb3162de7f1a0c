"""The panel for two networks side by side, at the same seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.arguments import pictures_in
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import SIDE
from cnnwidgets.panels.base.binding import settings_of
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.training import drawing
from cnnwidgets.pictures import cells
from cnnwidgets.pictures.pixels import displayable
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.quantities import plural
from cnnwidgets.training.comparison import Comparison, ComparisonFrame, ComparisonSettings

LARGE = 280  # CSS pixels of the heatmaps
MOST_LISTED = 6  # layers without a partner that are named


@settings_of(ComparisonSettings)
class ComparePanel(Panel[ComparisonFrame]):
    """Two networks side by side: pictures of the same units at the same seed, the same heatmap, the predictions.

    The upper row is the network before, the lower one the network after. With pictures, units are ranked by how far
    their responses moved, as in `compare_units`, and those that moved most are shown. Layers are matched by path; those
    without a partner are listed.

    Args:
        before: a Network or a bare Keras model.
        after: another one: a later checkpoint, a fine-tuned model, or one with shuffled weights.
        layer: a path; the layer of heatmaps if not given.
        picture: for heatmaps and predictions, anything that `load_picture` takes.
        pictures: a list of those, by which units are ranked; `picture` alone if not given.
        units: the units that are shown; the eight that moved most if not given.
        size, steps, recipe, seed: as in `visualize_units`, the same for both.

    Attributes:
        layer, units, size, steps, recipe, seed: as given; set one to change it.
        result: a Comparison, with all that is shown and how far every unit of the layer moved.

    Raises:
        BadTarget, BadPicture, BadModel: what `visualize_units` and `compare_units` would raise.

    Example:
        >>> ComparePanel(base, fine_tuned, layer="conv2", picture="cat.jpg")
    """

    layer: str
    units: Any
    size: int | tuple[int, int] | None
    steps: int
    recipe: str
    seed: int

    def __init__(
        self,
        before: Network | Any,
        after: Network | Any,
        layer: str | None = None,
        picture: object = None,
        *,
        pictures: object = None,
        units: Iterable[int] | None = None,
        size: int | tuple[int, int] | None = None,
        steps: int = 32,
        recipe: str = "fourier",
        seed: int = 0,
    ) -> None:
        self._networks = as_network(before), as_network(after)
        self._held = None if picture is None else HeldPicture(self._networks[0], picture)
        self._pictures = None if pictures is None else list(pictures_in(pictures))
        given = ComparisonSettings.given(locals())
        self._plan = given.check(*self._networks, self._given, self._pictures)
        super().__init__(self._networks[0], width=520)
        self._setting_names = ComparisonSettings.names()
        self._assign(**{**given.recorded(), "layer": self._plan.settings.layer})
        layers = [path for path in self.net.layers_by_path if path in self._plan.matched]
        self._layers = widgets.Dropdown(
            options=layers, value=self._plan.settings.layer, description="Layer", tooltip="A layer of both networks"
        )
        self._layers.layout.width, self._layers.style.description_width = "260px", "48px"
        self._layers.observe(lambda change: self._set("layer", change["new"]), "value")
        self._seeds = widgets.BoundedIntText(0, min=0, max=2**31 - 1, description="Seed", tooltip="Of the noise")
        self._seeds.layout.width, self._seeds.style.description_width = "140px", "40px"
        self._seeds.observe(lambda change: self._set("seed", change["new"]), "value")
        self.heat = Screen(LARGE, lambda _number: None)
        self._moved, self._predictions = markup.markup(""), markup.markup("")
        self._unmatched = markup.markup("")
        self._widen()
        self._assemble()

    @property
    def _given(self) -> Any:
        return None if self._held is None else self._held.given

    def _body(self) -> Sequence[widgets.Widget]:
        row = widgets.HBox(
            [self._layers, self._seeds], layout=widgets.Layout(flex_flow="row wrap", align_items="center")
        )
        beside = [markup.markup(markup.title("Heatmap, before and after")), self.heat, self._predictions]
        side = widgets.VBox(
            [*([] if self._held is None else beside), self._moved, self._unmatched], layout=widgets.Layout(**SIDE)
        )
        title = markup.markup(markup.title("What units look for: above before, below after"))
        main = widgets.VBox([title, self.screen], layout=widgets.Layout(flex="1 1 520px", max_width="820px"))
        main.add_class("cnnw-main-column")
        stage = widgets.HBox(
            [main, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        )
        return [row, stage]

    # The run.

    def _frames(self) -> Iterator[ComparisonFrame]:
        return self._plan.frames()

    def _settings(self) -> tuple[str, dict[str, Any]]:
        known = self._known
        settings = {**self._plan.settings.recorded(), "layer": known.layer, "units": list(known.units)}
        return "visualize_units", {**settings, "size": self._plan.plans[0].canvas.shape[0]}

    def recipe_of(self) -> Any:
        """What both networks and their settings are, for the PNG."""
        return _Record(self._settings()[1], [net.name for net in self._networks], self._networks)

    @property
    def _known(self) -> Comparison:
        return self._plan.start if self._last is None else self._last.comparison

    def _result(self, frame: ComparisonFrame) -> Comparison | None:
        return frame.comparison

    def _phase(self, frame: ComparisonFrame) -> str | None:
        return None if frame.is_step else "comparing"

    def _paint(self, frame: ComparisonFrame) -> np.ndarray:
        return self._paint_pixels(pictures.to_uint8(frame.pictures))

    def _pixels(self, frame: ComparisonFrame) -> np.ndarray:
        return pictures.to_uint8(frame.pictures)

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        shown = displayable(pixels)
        band = round(shown.shape[1] * drawing.BAND)
        return pictures.mosaic(np.pad(shown, ((0, 0), (0, band), (0, 0), (0, 0))), self._columns(len(pixels)), gap=0)

    def _picture(self, frame: ComparisonFrame) -> np.ndarray:
        return self._picture_of_pixels(pictures.to_uint8(frame.pictures))

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return pictures.mosaic(pixels, self._columns(len(pixels)))

    def _columns(self, tiles: int) -> int:
        return tiles // 2  # one row for each network

    # What is said.

    def _describe(self, frame: ComparisonFrame) -> None:
        known = frame.comparison
        assert known is not None
        count, moved = len(known.units), known.moved
        captions = [
            (str(unit), "" if made is None else f"{made.values[i]:.3g}", "" if made is None else made.notes[i])
            for made in (known.before, known.after)
            for i, unit in enumerate(known.units)
        ]
        self.screen.over.value = markup.tiles(count, 2, drawing.BAND / (1 + drawing.BAND), captions, None)
        if moved is not None:
            order = np.argsort(-moved, kind="stable")[:8]
            rows = [(f"unit {unit}", float(moved[unit])) for unit in order]
            self._moved.value = (
                markup.title("Units that moved most")
                + markup.bars(rows, None, "How far units moved, 0 to 2", most=2.0)
                + markup.progress_text("1 - correlation of the responses before and after: 0 unchanged, 2 reversed")
            )
        if self._held is not None and known.heat_before and known.heat_after:
            tiles = [
                pictures.overlay(np.clip(cells.fit(self._held.photos[0], drawing.PROBE), 0, 1), heat[0].map)
                for heat in (known.heat_before, known.heat_after)
            ]
            self.heat.show(np.concatenate(tiles, 1))
        self._predictions.value = "".join(
            markup.title(f"Predicted {name}")
            + markup.bars([(one.name, one.probability) for one in found[:3]], None, f"Predictions {name}")
            for name, found in (("before", known.predictions_before), ("after", known.predictions_after))
            if found
        )
        self._unmatched.value = self._without_partner(known)

    def _without_partner(self, known: Comparison) -> str:
        lines = [
            markup.progress_text(f"{words}: {_list(paths)}")
            for words, paths in (("only before", known.only_before), ("only after", known.only_after))
            if paths
        ]
        return markup.title("Layers without a partner") + "".join(lines) if lines else ""

    def _invitation(self) -> str:
        known = self._plan.start
        units = len(known.units)
        is_given = self._plan.settings.units is not None
        what = f"{units} {plural('unit', units)}" if is_given else "the units that moved most"
        return (
            f"Start renders {what} of {known.layer}, for both networks from the same noise, so that only the weights "
            "differ. Look for tiles whose lower picture differs."
        )

    def _doing(self, frame: ComparisonFrame) -> str:
        return "Optimizing the same units for both networks, from the same noise."

    def _conclusion(self) -> str:
        known = self._known
        notes = " ".join(f"{note.rstrip('.')}." for note in known.notes)
        if known.moved is None:
            how = "" if "not ranked" in notes else "Give pictures= to rank the units by how far they moved."
            return f"{notes} {how}".strip()
        share = float((known.moved > 0.5).mean())
        return f"{notes} {share:.0%} of the units of {known.layer} moved by more than 0.5, where 2 is the most.".strip()

    def _note(self) -> str:
        return "" if self._held is None else self._held.note

    def _name(self) -> str:
        return f"{self._networks[0].name}-{self._networks[1].name}-{self._known.layer}"

    def snippet(self) -> str:
        """The Python that makes the same pictures without a widget."""
        verb, settings = self._settings()
        return snippets.write_comparison(
            verb, settings, self._known.layer_after, self._pictures is not None or self._held is not None
        )

    # What is changed.

    def _check(self, name: str) -> None:
        self._plan = ComparisonSettings.set_on(self).check(*self._networks, self._given, self._pictures)

    def _fill_controls(self) -> None:
        self._layers.value = self._plan.settings.layer
        self._seeds.value = self._plan.settings.seed

    def _apply(self, name: str) -> None:
        if self._last is not None:
            self._begin_again()
        else:
            self._rest()

    def _rest(self) -> None:
        super()._rest()
        self._unmatched.value = self._without_partner(self._plan.start)

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.heat.close()
        super().close()


class _Record:
    """The settings of a comparison, as they are written into its PNG."""

    def __init__(self, settings: dict[str, Any], names: list[str], networks: tuple[Network, Network]) -> None:
        self._settings, self._names, self._networks = settings, names, networks

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        fingerprints = [net.fingerprint() for net in self._networks]
        return {
            "verb": "ComparePanel",
            "networks": self._names,
            "fingerprints": fingerprints,
            "settings": self._settings,
            "versions": installed_versions(),
        }


def _list(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_LISTED} more" if len(paths) > MOST_LISTED else ""
    return ", ".join(paths[:MOST_LISTED]) + more
