"""Rows of controls and, under More, the rest."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets


class Controls(widgets.VBox):
    """Controls that report settings by name when the user moves one, and show the settings that they are given.

    A control's setting is its `choice` where it has one, else its `value`.

    Args:
        on_set: called with (name, setting) when a control has changed; it ignores what `show` changes.
        inputs: the controls by name.
        rows: how many of them each row has that is always shown.
        more: what the others are about.
    """

    def __init__(
        self, on_set: Callable[[str, Any], object], inputs: Mapping[str, Any], rows: Sequence[int], more: str
    ) -> None:
        self._on_set, self._inputs = on_set, inputs
        self._more = widgets.ToggleButton(description="More", icon="sliders", tooltip=more, layout=wide("auto"))
        every = iter(inputs.values())
        self._rows = [row(*itertools.islice(every, count)) for count in rows]
        self._rows[-1].children += (self._more,)
        self._hidden_row = row(*every)
        self._hidden_row.layout.display = "none"
        super().__init__([*self._rows, self._hidden_row], layout=wide("100%"))
        for name, widget in inputs.items():
            widget.observe(lambda change, name=name: self._moved(name, change["new"]), _trait(widget))
        self._more.observe(self._more_pressed, "value")

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _fill(self, settings: Mapping[str, Any]) -> None:
        """Show these settings, where there is a control for them."""
        for name, value in settings.items():
            if name in self._inputs:
                setattr(self._inputs[name], _trait(self._inputs[name]), value)

    def _moved(self, name: str, value: Any) -> None:
        """Report a setting."""
        self._on_set(name, value)

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._hidden_row.layout.display = "" if change["new"] else "none"


def _trait(widget: widgets.Widget) -> str:
    return "choice" if widget.has_trait("choice") else "value"


def row(*parts: widgets.Widget) -> widgets.HBox:
    """Controls side by side, in several lines where there is no room."""
    return widgets.HBox(list(parts), layout=widgets.Layout(flex_flow="row wrap", align_items="center"))


def wide(width: str) -> widgets.Layout:
    """A layout of this width, on narrow pages no wider than the page."""
    return widgets.Layout(width=width, max_width="100%")


def named(width: str) -> dict[str, str]:
    """A style whose name has this width."""
    return {"description_width": width}


def in_sidebar() -> dict[str, Any]:
    """The keywords of a control as wide as the sidebar of an Explorer; each needs a separate layout."""
    return {"layout": widgets.Layout(width="auto"), "style": named("64px")}
