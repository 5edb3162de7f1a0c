"""A row of controls and, under More, the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.base.quiet import Quiet


class Controls(widgets.VBox):
    """Controls that say what they want by name, and show what they are told.

    Args:
        on_set: called with (name, value) when the reader has moved a control.
        inputs: the controls by name.
        in_sight: how many of them are always shown.
        more: what the others are about.
    """

    def __init__(
        self, on_set: Callable[[str, Any], object], inputs: Mapping[str, Any], in_sight: int, more: str
    ) -> None:
        self._on_set, self._inputs, self._quiet = on_set, inputs, Quiet()
        every = list(inputs.values())
        self._more = widgets.ToggleButton(description="More", icon="sliders", tooltip=more, layout=wide("auto"))
        self._rest = widgets.HBox(every[in_sight:], layout=widgets.Layout(flex_flow="row wrap", display="none"))
        row = widgets.HBox([*every[:in_sight], self._more], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._rest], layout=wide("100%"))
        for name, widget in inputs.items():
            widget.observe(lambda change, name=name: self._heard(name, change["new"]), "value")
        self._more.observe(self._more_pressed, "value")

    def _fill(self, values: Mapping[str, Any]) -> None:
        """Show these values, where there is a control for them."""
        with self._quiet:
            for name, value in values.items():
                if name in self._inputs and self._inputs[name].value != value:
                    self._inputs[name].value = value

    def _heard(self, name: str, value: Any) -> None:
        if not self._quiet:
            self._moved(name, value)

    def _moved(self, name: str, value: Any) -> None:
        """Pass on what the reader wants."""
        self._on_set(name, value)

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._rest.layout.display = "" if change["new"] else "none"


def wide(width: str) -> widgets.Layout:
    """A layout of this width, on narrow pages no wider than the page."""
    return widgets.Layout(width=width, max_width="100%")


def named(width: str) -> dict[str, str]:
    """A style whose name has this width."""
    return {"description_width": width}
