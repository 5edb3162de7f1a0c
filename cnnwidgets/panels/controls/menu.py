"""Menus of any values, and of the sizes at which a network sees a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import PICTURE

SIDES = (128, 224, 299, 448, 640, 1024)  # pixels that are offered


class Menu(widgets.Dropdown):
    """A dropdown with a line for `None` too, which a plain one keeps for "nothing is selected".

    Args:
        lines: (label, choice) pairs.
        look: other arguments of a Dropdown.
    """

    choice = traitlets.Any(None, allow_none=True)

    def __init__(self, lines: Sequence[tuple[str, Any]], **look: Any) -> None:
        self._choices = [choice for _, choice in lines]
        self._numbered = _numbered(lines)
        super().__init__(options=self._numbered, **look)
        self.choice = self._choices[0]
        self.observe(self._selected, "value")

    def offer(self, lines: Sequence[tuple[str, Any]], choice: Any) -> None:
        """Offer other lines, and select one; the same lines again are left to the user, who may have them open."""
        self._choices = [one for _, one in lines]
        numbered = _numbered(lines)
        if self._numbered != numbered:
            self._numbered = self.options = numbered
        self.value = self._choices.index(choice)
        self.choice = choice

    def _selected(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self.choice = self._choices[change["new"]]

    @traitlets.observe("choice")
    def _chosen(self, change: dict[str, Any]) -> None:
        self.value = self._choices.index(change["new"])


def _numbered(lines: Sequence[tuple[str, Any]]) -> tuple[tuple[str, int], ...]:
    return tuple((label, number) for number, (label, _) in enumerate(lines))


class SizeMenu(Menu):
    """The network's own size, the picture's own, or pixels of the longer side; hidden where only one size is possible.

    Attributes:
        choice: a size as the verbs take it; any may be set.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        can_change = any(net.inputs[i].size == (None, None) for i in net.picture_inputs)
        super().__init__(
            self._lines(),
            description="Looks at",
            tooltip=f"The size to which photographs are resized before the network sees them. {net.size_note}",
            layout=widgets.Layout(width="270px", max_width="100%", display="" if can_change else "none"),
            style={"description_width": "62px"},
        )

    @traitlets.validate("choice")
    def _with_a_line(self, proposal: Any) -> Any:
        size = proposal["value"]
        size = tuple(map(int, size)) if np.ndim(size) else size
        if size not in self._choices:
            self.offer(self._lines(size), size)
        return size

    def _lines(self, *more: Any) -> list[tuple[str, Any]]:
        own = f"the network's size ({_words(self._net.size)})" if self._net.size is not None else "the picture's size"
        whole = [] if self._net.size is None else [("the picture's own size", PICTURE)]
        return [(own, None), *whole, *((_words(side), side) for side in (*more, *SIDES))]


def _words(size: Any) -> str:
    if isinstance(size, int):
        return f"{size} px"
    return "the picture's" if size == PICTURE else f"in {size[1]} × {size[0]} px"
