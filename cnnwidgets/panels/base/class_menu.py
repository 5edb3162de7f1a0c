"""A menu of all classes of a network: predicted ones first, others by a search for their name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.predictions import Prediction
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.quiet import Quiet

TOP, OWN = -1, -2  # in the list: the top class; a function that the user gave
MOST = 200  # lines of the list; the search reaches all


class ClassMenu(widgets.VBox):
    """A list of classes with the network's own five first.

    Args:
        on_choose: called with the class that the reader has chosen, `None` for the top class.
        top: what the line for the top class says.
    """

    def __init__(self, on_choose: Callable[[int | None], object], top: str = "the top class") -> None:
        self._on_choose = on_choose
        self._top = top
        self._lines: list[tuple[str, int]] = []
        self._chosen = TOP
        self._quiet = Quiet()
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
        """The lines of the list."""
        return tuple(line for line, _ in self._list.options)

    def offer(self, predictions: Sequence[Prediction], chosen: int | None, own: bool = False) -> None:
        """Show these classes, the most probable first.

        Args:
            predictions: in the order of the list; probabilities are NaN before the network is asked.
            chosen: a class, or `None` for the top one.
            own: whether a function that the user gave is explained, and no class.
        """
        is_asked = bool(predictions) and predictions[0].probability == predictions[0].probability
        top = f"{self._top} ({predictions[0].name})" if is_asked else self._top
        lines = [("your own function", OWN)] if own else []
        lines.append((top, TOP))
        lines += [
            (f"{markup.percent(line.probability):>7}  {line.name}" if is_asked else line.name, line.index)
            for line in predictions
        ]
        self._chosen = OWN if own else TOP if chosen is None else chosen
        if lines != self._lines or self._list.value != self._chosen:
            self._lines = lines
            self._fill()

    def _fill(self) -> None:
        words = self._search.value.casefold().split()
        fixed = [line for line in self._lines if line[1] < 0]
        fitting = [line for line in self._lines if line[1] >= 0 and all(word in line[0].casefold() for word in words)]
        chosen = [line for line in fitting[MOST:] if line[1] == self._chosen]
        lines = [*fixed, *fitting[:MOST], *chosen]
        with self._quiet:  # new options make the list choose its first one by itself
            self._list.options = lines
            self._list.value = self._chosen if self._chosen in [index for _, index in lines] else None

    def _picked(self, change: dict[str, Any]) -> None:
        index = change["new"]
        if self._quiet or index is None or index == OWN:
            return
        self._chosen = index
        self._on_choose(None if index == TOP else index)
