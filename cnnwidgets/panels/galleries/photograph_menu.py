"""The menu for what an enlarged unit is optimized from: noise, or a photograph in which it is brought out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets import samples
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.binding import Updating

NOISE, OWN = "from noise", "in your photograph"


class PhotographMenu(widgets.Dropdown):
    """From noise, in the photograph that was given, or in a sample.

    Args:
        net: the network; samples are only for those that take one picture.
        on_choose: called with a picture, or `None` for noise.

    Attributes:
        offered: the photograph that may be chosen as one's own, where another panel has offered one.
    """

    offered: Any = None
    options: Any
    value: Any

    def __init__(self, net: Network, on_choose: Callable[[Any], object]) -> None:
        names = samples.sample_names() if len(net.picture_inputs) == 1 else ()
        self._on_choose, self._own, self._updating = on_choose, None, Updating()
        self._samples = {f"in the sample {name}": name for name in names}
        super().__init__(
            options=[NOISE, *self._samples],
            description="Enlarge",
            tooltip="Optimize the chosen unit from noise, or bring it out in a photograph",
            layout=widgets.Layout(width="auto", max_width="320px"),
            style={"description_width": "52px"},
        )
        self.observe(self._picked, "value")

    def __repr__(self) -> str:
        return f"PhotographMenu({self.value!r})"

    def offer(self, photograph: Any) -> None:
        """Let a photograph be chosen, in place of one that was offered before; it is not chosen yet."""
        if self._own is self.offered:
            self._own = photograph
        self.offered = photograph
        if OWN not in self.options:
            with self._updating:
                chosen = self.value
                self.options = [NOISE, OWN, *self._samples]
                self.value = chosen

    def show(self, photograph: Any) -> None:
        """Show what is set; a photograph that is not one of the samples stays in the menu."""
        with self._updating:
            if photograph is None:
                self.value = NOISE
            elif not (self.value in self._samples and self._shown is photograph):
                self._own = photograph
                self.options = [NOISE, OWN, *self._samples]
                self.value = OWN

    _shown: Any = None  # the sample that was chosen

    def _picked(self, change: dict[str, Any]) -> None:
        if self._updating or change["new"] is None:
            return
        name = change["new"]
        self._shown = samples.sample(self._samples[name]) if name in self._samples else None
        self._on_choose(self._shown if name in self._samples else self._own if name == OWN else None)
