"""The status bar of an Explorer: device, memory, and running jobs."""

from __future__ import annotations

import time
from collections.abc import Mapping

import ipywidgets as widgets

from cnnwidgets.model.backend import device_name, memory_in_use
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY
from cnnwidgets.panels.base.panel import Panel

INTERVAL = 1.0  # seconds between two updates while something runs


class StatusBar(widgets.HBox):
    """The line under an Explorer."""

    def __init__(self) -> None:
        self._device = device_name()
        self._shown_at, self._running = float("-inf"), ""
        self._line = markup.markup("")
        super().__init__([self._line], layout=widgets.Layout(margin="4px 0 0"))

    def __repr__(self) -> str:
        return f"StatusBar({self._device!r})"

    def show(self, panels: Mapping[str, Panel]) -> None:
        """Show what runs; the same again at most once a second."""
        busy = [title for title, panel in panels.items() if panel.state in BUSY]
        running, now = ", ".join(busy), time.monotonic()
        if running == self._running and now - self._shown_at < INTERVAL:
            return
        self._shown_at, self._running = now, running
        used = memory_in_use()
        memory = "" if used is None else f" · up to {used / 1e6:,.0f} MB used"
        self._line.value = markup.progress_text(f"{self._device}{memory} · {_doing(panels, busy)}")


def _doing(panels: Mapping[str, Panel], busy: list[str]) -> str:
    if not busy:
        return "nothing is running"
    return "running: " + ", ".join(f"{title} ({panels[title].progress:.0%})" for title in busy)
