"""The choice of a class: a menu of all, predicted ones first, with a search by name; and a field to type some into."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating

MOST = 200  # lines of the list; the search reaches all
MOST_NAMES = 2000  # that the field completes


class Special(enum.Enum):
    """Lines of the list that are not classes by index."""

    TOP = "the top class"
    FUNCTION = "your own function"


Choice = int | Special


class ClassMenu(widgets.VBox):
    """A list of classes with the most probable ones first.

    Args:
        on_choose: called with the class that the user has chosen, `None` for the top class.
        top: the label of the line for the top class.
    """

    def __init__(self, on_choose: Callable[[int | None], object], top: str = Special.TOP.value) -> None:
        self._on_choose = on_choose
        self._top = top
        self._lines: list[tuple[str, Choice]] = []
        self._chosen: Choice = Special.TOP
        self._updating = Updating()
        self._search = widgets.Text(
            placeholder="search all classes by name",
            description="Class",
            continuous_update=True,
            layout=widgets.Layout(width="auto"),
            style={"description_width": "40px"},
        )
        self._list = widgets.Select(description="Classes", rows=7, layout=widgets.Layout(width="auto", height="128px"))
        self._list.add_class("cnnw-mono")
        super().__init__([self._search, self._list])
        self._search.observe(lambda _: self._fill(), "value")
        self._list.observe(self._picked, "value")

    def __repr__(self) -> str:
        return f"ClassMenu({len(self._lines)} classes)"

    @property
    def shown(self) -> tuple[str, ...]:
        return tuple(line for line, _ in self._list.options)

    def offer(self, predictions: Sequence[Prediction], chosen: int | None, is_function: bool = False) -> None:
        """Show these classes, the most probable first.

        Args:
            predictions: in the order of the list; probabilities are NaN before the first prediction.
            chosen: a class, or `None` for the top one.
            is_function: whether a function that the user gave is explained instead of a class.
        """
        is_predicted = bool(predictions) and predictions[0].probability == predictions[0].probability
        top = f"{self._top} ({predictions[0].name})" if is_predicted else self._top
        lines: list[tuple[str, Choice]] = [(Special.FUNCTION.value, Special.FUNCTION)] if is_function else []
        lines.append((top, Special.TOP))
        lines += [
            (f"{markup.percent(line.probability):>7}  {line.name}" if is_predicted else line.name, line.index)
            for line in predictions
        ]
        self._chosen = Special.FUNCTION if is_function else Special.TOP if chosen is None else chosen
        if lines != self._lines or self._list.value != self._chosen:
            self._lines = lines
            self._fill()

    def _fill(self) -> None:
        words = self._search.value.casefold().split()
        special = [line for line in self._lines if isinstance(line[1], Special)]
        classes = [line for line in self._lines if not isinstance(line[1], Special)]
        fitting = [line for line in classes if all(word in line[0].casefold() for word in words)]
        chosen = [line for line in fitting[MOST:] if line[1] == self._chosen]
        lines = [*special, *fitting[:MOST], *chosen]
        with self._updating:  # with new options, a list selects the first one
            self._list.options = lines
            self._list.value = self._chosen if self._chosen in [choice for _, choice in lines] else None

    def _picked(self, change: dict[str, Any]) -> None:
        choice = change["new"]
        if self._updating or choice is None or choice is Special.FUNCTION:
            return
        self._chosen = choice
        self._on_choose(None if choice is Special.TOP else choice)


class ClassField(widgets.Combobox):
    """A field that completes class names; a class may be typed by its index, several are separated by semicolons.

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
