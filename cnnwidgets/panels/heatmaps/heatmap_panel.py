"""The panel for heatmaps over a photograph, for any class, layer and method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets.errors import BadTarget, JobFailed
from cnnwidgets.explain.faithfulness import Curve, FaithfulnessSettings
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.hidden_region import Hidden
from cnnwidgets.explain.methods.class_activation_maps import MASKS
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.comparison import ComparisonFrame, MapRequest, compare
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.overlays.method_comparison import MethodResult
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles, Position
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.regions import Box, Region
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.layers import map_layers
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.binding import settings_of
from cnnwidgets.panels.base.position_panel import PositionPanel
from cnnwidgets.panels.heatmaps import captions
from cnnwidgets.panels.heatmaps.controls import HeatmapControls, HeatmapSidebar
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion
from cnnwidgets.panels.heatmaps.map_check import MapCheck
from cnnwidgets.panels.heatmaps.painting import Painter, Painting
from cnnwidgets.panels.heatmaps.region_choice import RegionChoice, box_dragged, is_dense, target_in
from cnnwidgets.panels.heatmaps.settings import PAINTING, HeatmapSettings
from cnnwidgets.provenance.positions import with_positions


@settings_of(HeatmapSettings)
class HeatmapPanel(PositionPanel[ComparisonFrame]):
    """Where a network looks: one heatmap for each input and call, next to the most probable classes.

    After the first Start every change is shown at once: another class, layer or method runs the network again; opacity,
    threshold and colors only repaint. A click on the picture shows the evidence there and hides that region from the
    network.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        method: of `class_activation_map` or of `attribution`.
        layer, target, of, against, output, channels, seed, size: as in `class_activation_map`.
        opacity: 0 (only the picture) to 1, of the largest evidence.
        threshold: 0..1, the share of the largest value from which heat is shown.
        colormap: "viridis" "cividis" "magma" "inferno" "gray", or "RdBu_r", which also shows evidence against it.
        second_method: another method, side by side.
        second_target: another class, side by side.
        second_net: another network, side by side, with its own last layer.
        sanity_check: whether to compare the same map of a copy with shuffled weights.

    Attributes:
        layer, target, ... sanity_check: as given; set one to change it. A layer that is set chooses a method that is
            right at its depth, unless a method has been set.
        result: list of Heatmap.
        position: (row, column) of the pixel of the photograph that was chosen last, or `None`; set one to see the
            evidence there.
        hidden: the change that hiding a region causes, or `None`.
        trust: what *Check this map* and *Compare methods* have shown.

    Raises:
        BadTarget, BadModel, BadPicture: what the verbs would raise.

    Example:
        >>> HeatmapPanel(net, picture, target="Egyptian cat")
    """

    layer: str | None
    target: int | str | Callable[[Any], Any] | None
    method: str
    of: str
    against: Any
    output: int | str | None
    channels: int
    seed: int
    size: Size | None
    opacity: float
    threshold: float
    colormap: str
    second_method: str | None
    second_target: int | str | None
    sanity_check: bool

    _curve_name = None

    def __init__(
        self,
        net: Any,
        picture: object,
        layer: str | None = None,
        target: int | str | Callable[[Any], Any] | None = None,
        method: str = method_guide.AT_THE_END,
        *,
        of: str = "logit",
        against: Any = None,
        output: int | str | None = None,
        channels: int = MASKS,
        seed: int = 0,
        size: Size | None = None,
        opacity: float = 0.7,
        threshold: float = 0.0,
        colormap: str = "viridis",
        second_method: str | None = None,
        second_target: int | str | None = None,
        second_net: Any = None,
        sanity_check: bool = False,
    ) -> None:
        given = HeatmapSettings.given(locals())
        network = as_network(net)
        settings, last_layer = given.fitted(network), given.default_layer(network)
        held = HeldPicture(network, picture, size)
        _check_region(settings, network, held)
        second_net = None if second_net is None else as_network(second_net)
        super().__init__(network, held)
        self._second_net = second_net
        self._layers, self._last_layer = map_layers(network), last_layer
        self._is_method_chosen = method != method_guide.AT_THE_END
        self._remark = ""  # why the method has changed
        self._copies: dict[tuple[Network, int], Network] = {}
        self._tiles: HeatTiles | None = None  # of the frame that was painted last
        self.controls = HeatmapControls(network, self._layers, self._set)
        self.region = HiddenRegion(self._region_typed, self._region_predicted, self._shuffled)
        self.trust = MapCheck(
            lambda: self._guarded(lambda: self.trust.begin(self._shown_tiles.comparison)),
            lambda: self._guarded(lambda: self.trust.compare(self._shown_tiles.comparison)),
            self._trust_changed,
        )
        self.explained = RegionChoice(lambda box: self._guarded(self._explain_region, box))
        self.side = HeatmapSidebar(self.controls.classes, self.region, self.explained)
        self.screen.watch_drags(lambda start, end: self._guarded(self._region_dragged, start, end))
        self._legend = markup.markup("")
        self._painter = Painter(self.screen, self._legend, self._run.lock, self._settled)
        self._setting_names = ("picture", *HeatmapSettings.names())
        self._widen()
        self._assign(picture=picture, **settings.recorded())
        self._assemble()

    def _body(self) -> Sequence[widgets.Widget]:
        main = widgets.VBox([self.screen, self._legend, self._graph], layout=widgets.Layout(max_width="100%"))
        row = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="12px 16px")
        return [self.controls, widgets.HBox([main, self.side], layout=row), self.trust]

    # The run.

    @property
    def _requests(self) -> tuple[MapRequest, ...]:
        return HeatmapSettings.set_on(self).requests(self.net, self._second_net)

    def _frames(self) -> Iterator[ComparisonFrame]:
        return compare(self._requests, self._held, self._shuffled)

    def _shuffled(self, net: Network, seed: int) -> Network:
        """A copy with shuffled weights, made once: runs on the worker's thread."""
        key = net, seed
        if key not in self._copies:
            self._copies = {key: randomized(net, seed)}
        return self._copies[key]

    def _begin(self) -> None:
        self.region.forget()
        self.trust.forget()
        super()._begin()

    def _is_busy_beside(self) -> bool:
        return self.region.is_busy or self.trust.is_busy

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.trust.stop()
        if self.region.is_busy:
            self.region.forget()

    def _result(self, frame: ComparisonFrame) -> list[Heatmap]:
        return list(frame.columns[0])

    # Painting.

    def _painting(self, frame: ComparisonFrame) -> Painting:
        tiles = self._tiles
        if tiles is None or tiles.comparison is not frame:
            tiles = self._tiles = HeatTiles(frame)
        return Painting(tiles, Brush(self.opacity, self.threshold, self.colormap), self.region.marked)

    def _paint(self, frame: ComparisonFrame) -> np.ndarray:
        return self._painting(frame).pixels()

    def _picture(self, frame: ComparisonFrame) -> np.ndarray:
        painting = self._painting(frame)
        return painting.tiles.whole(painting.brush)

    def _pixels(self, frame: ComparisonFrame) -> np.ndarray:
        """As it is shown: the photograph itself may be huge."""
        return self._paint(frame)

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._shown_tiles.without_bands(pixels)

    @property
    def _shown_tiles(self) -> HeatTiles:
        if self._last is None:
            raise BadTarget("There is no map yet to choose a position on. Press Start, or call run(), first.")
        return self._painting(self._last).tiles

    def _repaint(self) -> None:
        """Paint again without the network."""
        with self._run.lock:
            if self._last is not None:
                self._painter.repaint(self._painting(self._last))
                self._scrubber.rest()

    def _settled(self) -> Painting | None:
        """What is shown for good; `None` before the first map, during a run, and after the end."""
        is_settled = self._last is not None and self.comm is not None and self.state not in BUSY
        return self._painting(self._last) if is_settled else None

    # Texts.

    def _describe(self, frame: ComparisonFrame) -> None:
        tiles, brush, _ = self._painting(frame)
        texts = captions.captions(tiles)
        self.screen.resize(tiles.size[0])
        self._legend.layout.max_width = f"{tiles.size[0]}px"
        self.screen.over.value = markup.tiles(tiles.columns, tiles.rows, tiles.band, texts, None)
        self._legend.value = captions.legend(tiles, brush)
        self.side.show(tiles, texts)
        self.trust.offer([texts[tile.cell][0] for tile in tiles.tiles if tile.number == 0])
        self._offer_classes(frame)

    def _offer_region(self) -> None:
        self.side.offer_region(
            is_dense(self.net, self.output, self.target), self.target, self._held.photos[0].shape[:2]
        )

    def _offer_classes(self, frame: ComparisonFrame | None) -> None:
        chosen = captions.class_chosen(self.net, self.target, self.output)
        predictions = frame.predictions if frame is not None else captions.all_classes(self.net, self.output)
        self.controls.classes.offer(predictions, chosen, callable(self.target))

    def _doing(self, frame: ComparisonFrame) -> str:
        return "Computing: the map gets better with each step."

    def _invitation(self) -> str:
        where = f"at {self.layer}" if self.layer and method_guide.is_map(self.method) else "pixel by pixel"
        return (
            f"Start shows what {self.net.name} predicts, and where it looks, {where}: warm regions are evidence "
            "for the class. Most methods take a moment. Then choose another class and see the warm regions move."
        )

    def _conclusion(self) -> str:
        first = self._last.requests[0]
        looked = self._last.picture.looked_at(first.net, first.size)
        return f"{captions.conclusion(self._last, self._remark)} {looked}"

    # Settings.

    def _check(self, name: str) -> None:
        settings = HeatmapSettings.set_on(self).fitted(self.net)
        super()._check(name)
        _check_region(settings, self.net, self._held)
        self._assign(**settings.recorded())

    def _apply(self, name: str) -> None:
        """Run again at once after the first Start; painting needs no run."""
        if name in PAINTING:
            self._repaint()
            return
        self._remark = ""
        if name == "method":
            self._is_method_chosen = True
        elif name == "layer":
            self._fit_method()
        if self._run.job is not None:
            self._begin_again()
        else:
            self._rest()
            self._say(self._noted(self._remark))

    def _fit_method(self) -> None:
        """Take the method that is right at the layer's depth, unless one was chosen, and say so."""
        if self.layer is None or self._last_layer is None:
            return
        is_last = self._layers.index(self.layer) >= self._layers.index(self._last_layer)
        right = method_guide.AT_THE_END if is_last else method_guide.BEFORE
        if self._is_method_chosen or right == self.method:
            return
        self._assign(method=right)
        depth = "the last layer" if is_last else "a layer this early"
        self._remark = f"The method is now {method_guide.label(right)}, which is right at {depth}."

    def _fill_controls(self) -> None:
        self.controls.show(HeatmapSettings.set_on(self).recorded())
        self._offer_classes(self._last)
        self._offer_region()

    # The hidden region.

    @property
    def hidden(self) -> Hidden | None:
        """The change that hiding a region causes."""
        return self.region.hidden

    def hide(self, x: int, y: int, tile: int = 0) -> Hidden:
        """Hide a region from the network, like a click does, and wait for the change.

        Args:
            x: pixels from the picture's left.
            y: pixels from its top.
            tile: which of the maps.

        Raises:
            BadTarget: for a position outside, or before anything is shown.
            JobFailed: when the network cannot predict.
        """
        self._begin_hiding(x, y, tile)
        return self.region.result()

    def _begin_hiding(self, x: int, y: int, tile: int) -> None:
        self._hide(self._shown_tiles.position(x, y, tile))

    def _hide(self, position: Position) -> None:
        tiles = self._shown_tiles
        self.region.begin(tiles, position)
        if tiles.tiles[position.tile].which == 0:  # else it is on another photograph
            column, row = tiles.pixel(position)
            self._assign(position=(row, column))

    def _region_typed(self, x: int, y: int, tile: int) -> None:
        self._guarded(self._begin_hiding, x, y, tile)
        self._show_state()

    def _clicked(self, x: float, y: float) -> None:
        self._guarded(self._hide_at, x, y)

    def _hide_at(self, x: float, y: float) -> None:
        position = self._shown_tiles.position_at(x, y)
        if position is not None:
            self._hide(position)
            self._show_state()

    def _show_position(self) -> None:
        """Show the evidence at the chosen position, on the first map of the first photograph."""
        if self._last is None or self.position is None:
            return
        tiles, (row, column) = self._shown_tiles, self.position
        first = next((index for index, tile in enumerate(tiles.tiles) if tile.which == 0), None)
        if first is not None:
            self.region.point(tiles, tiles.position(column, row, first))

    def _region_predicted(self) -> None:
        if self.region.traceback:
            self.traceback = self.region.traceback
        self._show_state()
        if self.state not in BUSY:
            self._repaint()

    # Whether the map can be trusted.

    def check(self, metric: str = "deletion", fill: str = "blur", steps: int = 32, index: int = 0) -> Curve:
        """Remove pixels in the order of the map, like *Check this map*, and wait for the curve.

        Args:
            metric: "deletion", "insertion" or "road".
            fill: what replaces removed pixels, "blur" or "gray".
            steps: 1 to 256.
            index: which of the maps, if there are several.

        Raises:
            BadTarget: for other values, or before there is a map.
            JobFailed: when the network cannot predict.
        """
        settings = FaithfulnessSettings(metric=metric, fill=fill, steps=steps)
        self.trust.begin(self._shown_tiles.comparison, settings, index)
        self.trust.wait(self.trust.removal)
        if self.trust.curve is None:
            raise JobFailed("The check was stopped. Start it again.")
        return self.trust.curve

    def compare_methods(
        self, metric: str = "deletion", fill: str = "blur", steps: int = 32, index: int = 0
    ) -> list[MethodResult]:
        """The maps of all methods for this picture and class, the best one first; waits for them.

        Args:
            metric: as in `check`.
            fill: as in `check`.
            steps: as in `check`.
            index: as in `check`.

        Raises:
            BadTarget, JobFailed: as `check` does.
        """
        settings = FaithfulnessSettings(metric=metric, fill=fill, steps=steps)
        self.trust.compare(self._shown_tiles.comparison, settings, index)
        self.trust.wait(self.trust.methods)
        return list(self.trust.results)

    def _trust_changed(self) -> None:
        if self.trust.traceback:
            self.traceback = self.trust.traceback
        self._show_state()

    # The region that is explained.

    def _explain_region(self, box: Box | None) -> None:
        setattr(self, "target", target_in(box, self.target))  # noqa: B010 - a trait made from the settings

    def _region_dragged(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        box = box_dragged(self._shown_tiles, start, end) if is_dense(self.net, self.output, self.target) else None
        if box is not None:
            self._explain_region(box)

    def _set(self, name: str, value: Any) -> None:
        """Take a control's value; another class is explained in the same region."""
        if name == "target" and isinstance(self.target, Region):
            value = replace(self.target, target=value)
        super()._set(name, value)

    # Saving and code.

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """Those of what is shown, or of what is computed now."""
        is_new = self._last is None or self.state in BUSY
        requests, picture = (self._requests, self._held) if is_new else (self._last.requests, self._last.picture)
        verb, settings = requests[0].settings()
        beside = [_of_comparison(request) for request in requests[1:]]
        facts = {name: getattr(self, name) for name in PAINTING}
        if not is_new and self._last.step < self._last.steps:
            facts["until"] = self._last.step
        if self.trust.curve is not None:
            facts["check"] = self.trust.recorded()
        return verb, {**settings, **facts, "picture": picture.digest, "beside": beside}

    def _name(self) -> str:
        first = self._last.requests[0]
        parts = [self.net.name, first.layer if method_guide.is_map(first.method) else "", first.method]
        return "-".join(filter(None, [*parts, captions.target_name(first, self._last)]))

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is not None:
            self.region.forget()
            self._painter.drop()
        super().close()


def _check_region(settings: HeatmapSettings, net: Network, held: HeldPicture) -> None:
    """Refuse a region that does not fit the picture.

    Raises:
        BadTarget: with the picture's size.
    """
    if isinstance(settings.target, Region):
        Probe(net, held.given, settings.size).named(settings.target, settings.output, settings.of, settings.against)


def _of_comparison(request: MapRequest) -> dict[str, Any]:
    """A map next to the first one, as it is recorded."""
    net = request.net
    settings = with_positions(request.settings()[1], net)
    return {**settings, "network": net.name, "fingerprint": net.fingerprint(), "shuffled": request.is_shuffled}
