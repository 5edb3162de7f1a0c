"""Menus of any values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import traitlets


class Menu(widgets.Dropdown):
    """A dropdown with a line for `None` too, which a plain one keeps for "nothing is selected".

    Args:
        lines: (label, choice) pairs.
        look: other arguments of a Dropdown.

    Attributes:
        choice: the choice of the selected line.
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
