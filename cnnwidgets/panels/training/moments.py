"""The slider through training time, with a film and a button that follows the newest moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating

FILM = 350  # milliseconds of one moment


class Moments(widgets.HBox):
    """A slider over the moments of a training, with the words for the one that is shown; hidden while there are none.

    Args:
        on_move: called with the index of the moment that somebody chose, or that the film has come to.
    """

    def __init__(self, on_move: Callable[[int], object]) -> None:
        self._on_move = on_move
        self._updating = Updating()
        self._words: Sequence[str] = ()
        self.slider = widgets.IntSlider(
            0, min=0, max=1, description="Training time", readout=False, tooltip="Moments of the training",
            layout=widgets.Layout(width="300px", max_width="100%"), style={"description_width": "90px"},
        )  # fmt: skip
        self.film = widgets.Play(
            value=0, min=0, max=1, interval=FILM, show_repeat=False, tooltip="Play the training as a film",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self._link = widgets.jslink((self.film, "value"), (self.slider, "value"))
        self.follow = widgets.ToggleButton(
            True, description="Follow newest", icon="forward", tooltip="Show each snapshot as it comes",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self._line = markup.markup("")
        super().__init__(
            [self.follow, self.film, self.slider, self._line],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px", display="none"),
        )
        self.slider.observe(self._moved, "value")

    def __repr__(self) -> str:
        return f"Moments({len(self._words)} moments)"

    def offer(self, words: Sequence[str], index: int) -> None:
        """Offer moments, by what is said of each, and stand at one of them."""
        self._words = words
        self.layout.display = ""
        with self._updating:
            self.slider.max = self.film.max = max(1, len(words) - 1)
            self.slider.value = index
            self.film.value = index
        self.slider.disabled = self.film.disabled = len(words) < 2
        self._line.value = markup.progress_text(words[index])

    def _moved(self, change: dict[str, Any]) -> None:
        index = change["new"]
        if not self._updating and 0 <= index < len(self._words):
            self._on_move(index)

    def unlink(self) -> None:
        """End what the page links."""
        self._link.close()
