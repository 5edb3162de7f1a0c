"""The position on the photograph whose units are shown, as two numbers and two buttons."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.unit_attribution.unit_rows_run import Place

HINT = "Click the photograph: the units with the largest shares at that position, strongest first."


class PlaceChoice(widgets.VBox):
    """Two numbers for the keyboard, which do what a click on the photograph does.

    Args:
        on_choose: called with (row, column), or with `None` for all positions.
    """

    def __init__(self, on_choose: Callable[[Place | None], object]) -> None:
        self._on_choose, self._updating = on_choose, Updating()
        slim, narrow = {"description_width": "16px"}, {"width": "78px"}
        self._x = widgets.BoundedIntText(
            0, description="x", tooltip="Pixels from the left", style=slim, layout=widgets.Layout(**narrow)
        )
        self._y = widgets.BoundedIntText(
            0, description="y", tooltip="Pixels from the top", style=slim, layout=widgets.Layout(**narrow)
        )
        auto = {"width": "auto"}
        self.here = widgets.Button(
            description="Units here", tooltip="The units with the largest shares at this position",
            layout=widgets.Layout(**auto),
        )  # fmt: skip
        self.everywhere = widgets.Button(
            description="All positions", tooltip="The units of the whole picture", layout=widgets.Layout(**auto)
        )
        self.here.on_click(lambda _: on_choose((self._y.value, self._x.value)))
        focus.watch(self.everywhere)
        self.everywhere.on_click(lambda _: on_choose(None))
        self._line = markup.markup(markup.progress_text(HINT))
        buttons = [self._x, self._y, self.here, self.everywhere]
        super().__init__([widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap")), self._line])

    def __repr__(self) -> str:
        return f"PlaceChoice(x={self._x.value}, y={self._y.value})"

    def show(self, place: Place | None, size: tuple[int, int], why_none: str) -> None:
        """Show a position on a photograph of (height, width); `why_none` is why there are no positions."""
        with self._updating:
            self._y.max, self._x.max = size[0] - 1, size[1] - 1
            if place is not None:
                self._y.value, self._x.value = place
        for control in (self._x, self._y, self.here):
            control.disabled = bool(why_none)
        focus.set_disabled(self.everywhere, place is None, self.here, self._y)
        self._line.value = markup.progress_text(why_none or HINT)
