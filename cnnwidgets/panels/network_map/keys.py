"""Keys for a drawing, with nothing but HTML.

Three hidden radio buttons stand in a ring. While one of them has the focus, an arrow key moves to the next or the one
before it, which the page reports as a click; Enter presses the button of the form around them. A label around the
drawing gives them the focus when it is clicked. So keys are heard only while the drawing has the focus, and never
because the pointer rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipyevents import Event

from cnnwidgets.panels.base import markup

RING = 3
NO_COMMANDS = (
    'data-lm-suppress-shortcuts="true"'  # else JupyterLab takes arrows and letters for the notebook's commands
)


class Keys:
    """The keys of one drawing.

    Args:
        prefix: of every id on the page.
        label: what the keys do, for a screen reader.
        on_arrow: called with +1 (right, down) or -1 (left, up), and whether Shift was held.
        on_enter: called for Enter.
    """

    def __init__(
        self, prefix: str, label: str, on_arrow: Callable[[int, bool], object], on_enter: Callable[[], object]
    ) -> None:
        self._prefix, self._on_arrow, self._on_enter = prefix, on_arrow, on_enter
        self._at = 0
        self._is_from_label = False
        name = markup.escape(label)
        radios = "".join(
            f'<input type="radio" name="{prefix}-ring" id="{self.ids[i]}" aria-label="{name}"{" checked" * (i == 0)} '
            f"{NO_COMMANDS}>"
            for i in range(RING)
        )
        self.widget = markup.markup(
            f'<div class="cnnw-map-keys"><form>{radios}'
            f'<button type="submit" formmethod="dialog" tabindex="-1" id="{prefix}-enter" aria-label="Open or close">'
            "</button></form></div>"
        )
        self._events = Event(source=self.widget, watched_events=["click"])
        self._events.on_dom_event(self.heard)

    @property
    def ids(self) -> tuple[str, ...]:
        """Of the radio buttons; a label for the first gives them the focus."""
        return tuple(f"{self._prefix}-key{i}" for i in range(RING))

    def expect_focus(self) -> None:
        """The drawing was clicked, so its label clicks the first radio button next: that is no arrow."""
        self._is_from_label = True

    def heard(self, event: dict[str, Any]) -> None:
        """Act on a click that the page reports."""
        target = event.get("target", {}).get("id", "")
        if target == f"{self._prefix}-enter":
            self._on_enter()
        elif target in self.ids:
            here = self.ids.index(target)
            moved = (here - self._at + 1) % RING - 1  # -1, 0 or 1
            is_arrow, self._at, self._is_from_label = moved and not self._is_from_label, here, False
            if is_arrow:
                self._on_arrow(moved, bool(event.get("shiftKey")))

    def close(self) -> None:
        """Hear nothing more."""
        self._events.close()
