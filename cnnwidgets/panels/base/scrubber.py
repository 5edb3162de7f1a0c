"""A slider through the frames of the last run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating


class Scrubber(widgets.HBox):
    """A slider over moments of a run, with the words for the one that is shown; hidden while there are none.

    Args:
        on_move: called with the index of a moment, from 0; the last one is the end of the run.
    """

    def __init__(self, on_move: Callable[[int], object]) -> None:
        self._on_move = on_move
        self._updating = Updating()
        self._words: Sequence[str] = ()
        self._slider = widgets.IntSlider(
            0, min=0, max=1, description="Look back", readout=False, tooltip="Frames of the last run",
            layout=widgets.Layout(width="320px", max_width="100%"), style={"description_width": "70px"},
        )  # fmt: skip
        self._line = markup.markup("")
        super().__init__(
            [self._slider, self._line],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 12px", display="none"),
        )
        self._slider.observe(self._moved, "value")

    def __repr__(self) -> str:
        return f"Scrubber({len(self._words)} moments)"

    def offer(self, words: Sequence[str]) -> None:
        """Offer moments by their labels, and select the last; fewer than two hide the slider."""
        self._words = words
        self.layout.display = "" if len(words) > 1 else "none"
        if len(words) > 1:
            self._set(len(words) - 1)

    def rest(self) -> None:
        """Select the end of the run, without calling `on_move`."""
        if self._words:
            self._set(len(self._words) - 1)

    def _set(self, index: int) -> None:
        with self._updating:
            self._slider.max = max(1, len(self._words) - 1)
            self._slider.value = index
        self._show_words(index)

    def _moved(self, change: dict[str, Any]) -> None:
        index = change["new"]
        if not self._updating and 0 <= index < len(self._words):
            self._show_words(index)
            self._on_move(index)

    def _show_words(self, index: int) -> None:
        self._line.value = markup.progress_text(self._words[index])
