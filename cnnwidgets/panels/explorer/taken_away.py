"""Panels that were taken off the page, closed once no message from the page to them can still be under way."""

from __future__ import annotations

from typing import Any

from cnnwidgets.panels.base import lifecycle
from cnnwidgets.panels.base.idle import Idle

UNDER_WAY = 10.0  # seconds for which the page may still send messages


class TakenAway:
    """Panels that wait to be closed; in a script, where no page sends anything, they are closed at once.

    Args:
        idle: of the Explorer.
    """

    def __init__(self, idle: Idle) -> None:
        self._idle = idle
        self._waiting: list[Any] = []

    def __repr__(self) -> str:
        return f"TakenAway({self._waiting!r})"

    def add(self, panel: Any) -> None:
        """Stop a panel that is about to leave the page, and close it some seconds later."""
        lifecycle.stop_counting(panel)  # before the page takes it away and would tell that
        if not self._idle:
            panel.close()
            return
        panel.stop()
        self._waiting.append(panel)
        self._idle.call(lambda: self._close(panel), UNDER_WAY)

    def close(self) -> None:
        """Close those that wait."""
        for panel in list(self._waiting):
            self._close(panel)

    def _close(self, panel: Any) -> None:
        if panel in self._waiting:
            self._waiting.remove(panel)
            panel.close()
