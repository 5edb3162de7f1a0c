"""The runs that check heatmaps: pixels that vanish with their curve, and the grid of methods with its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets.explain.overlays.method_comparison import MethodsFrame
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.heatmaps import check_captions
from cnnwidgets.panels.runs.side_run import SideRun

EMPTY = "Check this map removes the pixels that the map calls most important, and records the prediction."
EMPTY_GRID = "Compare methods maps this class with every method, and sorts them by what the prediction does."


class RemovalRun(SideRun):
    """The picture whose pixels vanish, and the curve next to it."""

    def __init__(self, on_change: Callable[[], object], on_frame: Callable[[Any, bool], object]) -> None:
        super().__init__(on_change, "Pixels removed", EMPTY, check_captions.progress, 300, on_frame)
        self.curve = markup.markup("")
        self.said = markup.markup("")
        stage = widgets.HBox(layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 16px"))
        beside = widgets.VBox([self.curve, self.said], layout=widgets.Layout(flex="1 1 280px", min_width="0"))
        stage.children = [self.screen, beside]
        self.children = [self._title, stage, self._line]

    def rest(self, picture: np.ndarray | None, words: str) -> None:
        """Show a picture of the run that has ended."""
        if picture is not None:
            self.screen.show(picture)
            self._line.value = markup.progress_text(words)

    def forget(self) -> None:
        self.curve.value = self.said.value = ""
        super().forget()


class MethodsRun(SideRun):
    """The grid of methods, and the table under it."""

    def __init__(self, on_change: Callable[[], object], on_frame: Callable[[Any, bool], object]) -> None:
        super().__init__(on_change, "All methods", EMPTY_GRID, _method_step, 816, on_frame)
        self.table, self.said = markup.markup("", width="100%"), markup.markup("")
        self.children = [self._title, self.screen, self._line, self.said, self.table]

    def forget(self) -> None:
        self.table.value = self.said.value = ""
        super().forget()


def _method_step(frame: MethodsFrame) -> str:
    is_mapping = 2 * frame.step < frame.steps
    what = f"{len(frame.results)} maps" if is_mapping else "removing pixels in the order of each map"
    return f"step {frame.step} of {frame.steps} · {what}"
