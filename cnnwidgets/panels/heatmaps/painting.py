"""Heat painted over a photograph again and again: quickly while a slider moves, exactly when the worker has time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain.overlays.overlay_tiles import Brush, HeatTiles
from cnnwidgets.jobs import Job, worker
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.heatmaps import captions
from cnnwidgets.pictures.cells import Square

INTERVAL = 1 / 15  # seconds: dragging a slider sends more than can be painted, and than is seen


class Painting(NamedTuple):
    """Everything that the picture on the page is painted from."""

    tiles: HeatTiles
    brush: Brush
    marked: tuple[int, Square] | None

    def pixels(self) -> np.ndarray:
        """The picture, uint8 [H, W, 3]."""
        return self.tiles.painted(self.brush, self.marked)


class Painter:
    """Repaints a screen and its legend without the network.

    Args:
        screen: where the picture is shown.
        legend: where the color scale is shown.
        lock: held while the page is changed.
        newest: what is to be shown now; `None` where there is nothing, or a run is about to replace it.
    """

    def __init__(
        self, screen: Screen, legend: widgets.Widget, lock: threading.RLock, newest: Callable[[], Painting | None]
    ) -> None:
        self._screen, self._legend, self._lock, self._newest = screen, legend, lock, newest
        self._exact: Job[None] | None = None  # paints the PNG that replaces a quick picture
        self._painted_at = float("-inf")  # when a quick picture was painted last

    def repaint(self, painting: Painting) -> None:
        """Show a quick picture now, unless there was one just before, and have the exact one made; needs the lock."""
        if time.monotonic() - self._painted_at >= INTERVAL:
            self._screen.show(painting.pixels(), 0)
            self._legend.value = captions.legend(painting.tiles, painting.brush)
            self._painted_at = time.monotonic()
        self.drop()
        self._exact = Job(self._exactly(painting))
        worker().submit(self._exact)

    def _exactly(self, painting: Painting) -> Iterator[None]:
        """Replace a quick picture by a PNG, encoded without the lock: sliders that move meanwhile must not wait."""
        data = pictures.to_png(painting.pixels())
        with self._lock:
            if painting == self._newest():
                self._screen.put(data)
                self._legend.value = captions.legend(painting.tiles, painting.brush)
        yield

    def drop(self) -> None:
        """Make no exact picture any more."""
        if self._exact is not None:
            self._exact.release()
