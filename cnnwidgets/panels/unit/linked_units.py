"""The units that a unit is connected to: each with its picture, its weight as a bar, and a click that goes to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import ipywidgets as widgets
from ipyevents import Event

from cnnwidgets.activations.unit_links import Link
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.unit import captions
from cnnwidgets.panels.unit.kept import Pictures


class LinkedUnits(widgets.VBox):
    """A column of connected units.

    Args:
        heading: what they have in common.
        on_choose: called with the link that was clicked.
    """

    def __init__(self, heading: str, on_choose: Callable[[Link], object]) -> None:
        self._heading, self._on_choose = heading, on_choose
        self._links: tuple[Link, ...] = ()
        self._pictures: Pictures = {}
        self._rows = markup.markup("")
        self._line = markup.markup("")
        self._events = Event(source=self._rows, watched_events=["click"])
        self._events.on_dom_event(self._clicked)
        super().__init__([markup.markup(markup.title(heading)), self._rows, self._line])

    def __repr__(self) -> str:
        return f"LinkedUnits({self._heading!r}, {len(self._links)} units)"

    def show(self, links: Sequence[Link], none: str) -> None:
        """Show other links, without pictures; `none` explains why there are none."""
        self._links, self._pictures = tuple(links), {}
        said = "Unit and layer, with the sum of the absolute weights in between, signed." if links else none
        self._line.value = markup.progress_text(said)
        self._draw()

    def draw(self, pictures: Pictures) -> None:
        """Show the pictures of these units, as far as they are there."""
        if self._pictures != pictures:
            self._pictures = pictures
            self._draw()

    def _draw(self) -> None:
        self._rows.value = captions.linked(self._links, self._pictures, self._heading)

    def _clicked(self, event: dict[str, float]) -> None:
        high = event.get("boundingRectHeight", 0)
        if high > 0 and self._links:  # all rows are equally high
            index = int(event["relativeY"] / high * len(self._links))
            self._on_choose(self._links[min(max(index, 0), len(self._links) - 1)])

    def close(self) -> None:
        """Take everything off the page."""
        lifecycle.stop_counting(self)  # where clicks are watched, the page counts views
        self._events.close()
        super().close()
