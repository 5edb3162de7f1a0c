"""The menu for the size at which a network looks at a photograph."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.model.picture_size import PICTURE

OWN = ""  # in a menu: None itself would show an empty one
SIDES = (128, 224, 299, 448, 640, 1024)  # pixels that are offered


class SizeMenu(widgets.Dropdown):
    """The network's own size, the picture's own, or pixels of the longer side; hidden where only one size is taken.

    Args:
        net: the network.
    """

    def __init__(self, net: Network) -> None:
        self._net = net
        can_change = any(net.inputs[i].size == (None, None) for i in net.picture_inputs)
        super().__init__(
            options=self._options(None),
            description="Looks at",
            tooltip=f"The size to which photographs are resized before the network sees them. {net.size_note}",
            layout=widgets.Layout(width="270px", max_width="100%", display="" if can_change else "none"),
            style={"description_width": "62px"},
        )

    def offer(self, size: Any) -> Any:
        """Offer a size too, and return what the menu's value is for it."""
        if size not in (None, PICTURE, *SIDES):
            self.options = self._options(tuple(size) if isinstance(size, list) else size)
        return OWN if size is None else size

    def _options(self, more: Any) -> list[tuple[str, Any]]:
        own = f"the network's size ({_words(self._net.size)})" if self._net.size is not None else "the picture's size"
        sides = [(_words(side), side) for side in ((more,) if more is not None else ()) + SIDES]
        whole = [] if self._net.size is None else [("the picture's own size", PICTURE)]
        return [(own, OWN), *whole, *sides]


def chosen(value: Any) -> Any:
    """The size that a menu's value stands for."""
    return None if value == OWN else value


def _words(size: Any) -> str:
    if isinstance(size, int):
        return f"{size} px"
    return "the picture's" if size == PICTURE else f"in {size[1]} × {size[0]} px"
