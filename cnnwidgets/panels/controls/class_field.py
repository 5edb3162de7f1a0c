"""A text field for a class, or several."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets.model.network import Network

MOST_NAMES = 2000  # that the field completes


class ClassField(widgets.Combobox):
    """A field that completes class names; a class may be typed by its index, several are separated by semicolons.

    Args:
        net: the network whose classes are completed.
        description: the label.
        tooltip: an explanation.

    Attributes:
        choice: a class index or name, a list of them, or `None` for an empty field.
    """

    choice = traitlets.Any(None, allow_none=True)

    def __init__(self, net: Network, description: str, tooltip: str) -> None:
        super().__init__(
            options=list(net.class_names or ())[:MOST_NAMES],
            description=description,
            tooltip=tooltip,
            placeholder="name or index",
            continuous_update=False,
            layout=widgets.Layout(width="295px"),
            style={"description_width": "120px"},
        )
        self.observe(self._typed, "value")

    def _typed(self, change: dict[str, Any]) -> None:
        classes = [_class(part.strip()) for part in change["new"].split(";") if part.strip()]
        if change["new"] != _text(self.choice):
            self.choice = classes if len(classes) > 1 else classes[0] if classes else None

    @traitlets.observe("choice")
    def _chosen(self, change: dict[str, Any]) -> None:
        self.value = _text(change["new"])


def _class(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _text(choice: Any) -> str:
    if isinstance(choice, (list, tuple, range, np.ndarray)) and np.ndim(choice):
        return "; ".join(map(str, choice))
    return "" if choice is None else str(choice)
