"""The view of a HeatmapPanel, redrawn without running the network."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.class_activation_map import Heatmap
from cnnwidgets.explain.overlays.comparison import Look
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles
from cnnwidgets.jobs import Job, worker
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.panel import BUSY, Panel
from cnnwidgets.panels.heatmaps import captions as captions_
from cnnwidgets.panels.heatmaps.controls import HeatControls
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion
from cnnwidgets.panels.heatmaps.settings import ASKING, PAINTING, HeatSettings
from cnnwidgets.panels.heatmaps.sidebar import HeatSide

PAINT_INTERVAL = 1 / 15  # seconds: whoever drags a slider sends more than can be painted, and than is seen


class HeatView(HeatSettings, Panel):
    """The settings made visible: controls, tiles, legend, and what stands beside them."""

    controls: HeatControls
    place: HiddenRegion
    _tiles: HeatTiles | None = None  # of the frame that was painted last
    _polish: Job[None] | None = None
    _painted_at = float("-inf")  # when a quick picture was painted last

    def _body(self) -> Sequence[widgets.Widget]:
        self._legend = markup.markup("")
        self.side = HeatSide(self.controls.classes, self.place)
        main = widgets.VBox([self.screen, self._legend, self._graph], layout=widgets.Layout(max_width="100%"))
        row = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="12px 16px")
        return [self.controls, widgets.HBox([main, self.side], layout=row)]

    @property
    def _brush(self) -> Brush:
        return Brush(self.opacity, self.threshold, self.colormap)

    def _tiles_of(self, frame: Look) -> HeatTiles:
        tiles = self._tiles
        if tiles is None or tiles.look is not frame:
            tiles = self._tiles = HeatTiles(frame)
        return tiles

    def _paint(self, frame: Look) -> np.ndarray:
        return self._tiles_of(frame).painted(self._brush, self.place.marked)

    def _picture(self, frame: Look) -> np.ndarray:
        return self._tiles_of(frame).whole(self._brush)

    def _result(self, frame: Look) -> list[Heatmap]:
        return list(frame.columns[0])

    def _describe(self, frame: Look) -> None:
        tiles = self._tiles_of(frame)
        captions = captions_.captions(tiles)
        self.screen.layout.width = self._legend.layout.max_width = f"{tiles.size[0]}px"
        self.screen.over.value = markup.tiles(tiles.columns, tiles.rows, tiles.band, captions, None)
        self._legend.value = captions_.legend(tiles, self._brush)
        self.side.show(tiles, captions)
        self._offer_classes(frame)

    def _offer_classes(self, frame: Look | None) -> None:
        chosen = captions_.class_chosen(self.net, self.target, self.output)
        predictions = frame.predictions if frame is not None else captions_.unasked(self.net, self.output)
        self.controls.classes.offer(predictions, chosen, callable(self.target))

    def _draw_curve(self) -> None:
        """A look climbs nothing, so there is no curve."""

    def _pixels(self, frame: Look) -> np.ndarray:
        """As it is shown: the photograph itself may be huge."""
        return self._paint(frame)

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return self._shown_tiles.without_bands(pixels)

    @property
    def _shown_tiles(self) -> HeatTiles:
        if self._last is None:
            raise BadTarget("There is no map yet to choose a position on. Press Start, or call run(), first.")
        return self._tiles_of(self._last)

    def _repaint(self) -> None:
        """Paint what was seen, without the network: a quick picture now, the exact one when the worker has time."""
        with self._run.lock:
            frame = self._last
            if frame is None:
                return
            if time.monotonic() - self._painted_at >= PAINT_INTERVAL:
                self.screen.show(self._paint(frame), 0)
                self._legend.value = captions_.legend(self._tiles_of(frame), self._brush)
                self._painted_at = time.monotonic()
            self._scrubber.rest()
        if self._polish is not None:
            self._polish.release()
        self._polish = Job(self._exactly(frame))
        worker().submit(self._polish)

    def _exactly(self, frame: Look) -> Iterator[None]:
        """Encoded without the lock: whoever moves a slider meanwhile must not wait for it."""
        brush, marked = self._brush, self.place.marked
        data = pictures.to_png(self._tiles_of(frame).painted(brush, marked))
        with self._run.lock:
            is_wanted = (frame, brush, marked) == (self._last, self._brush, self.place.marked)
            if is_wanted and self.comm is not None and self.state not in BUSY:
                self.screen.put(data)
                self._legend.value = captions_.legend(self._tiles_of(frame), brush)
        yield

    def _fill_controls(self) -> None:
        with self._quiet:
            self.controls.show({name: getattr(self, name) for name in (*ASKING, *PAINTING) if name != "picture"})
            self._offer_classes(self._last)
