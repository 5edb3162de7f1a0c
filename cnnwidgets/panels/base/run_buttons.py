"""The row of buttons that every panel has, and the box of code that the last of them shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets
from ipyevents import Event

from cnnwidgets.panels.base import focus, lifecycle, markup

LOOKS = {  # name -> label, icon, tooltip
    "start": ("Start", "play", "Start the run, or start it again"),
    "pause": ("Pause", "pause", "Pause the run; press again to resume"),
    "stop": ("Stop", "stop", "Stop the run and keep the last picture"),
    "save": ("Save", "download", "Save the picture as PNG with its recipe"),
    "gif": ("Save GIF", "film", "Save the run as an animation"),
    "code": ("Copy code", "code", "Show Python code for the same picture"),
}
REBUILT = 30.0  # seconds that a busy page may take to rebuild a panel


def button(label: str, icon: str, hint: str, on_click: Callable[[], object]) -> widgets.Button:
    """A button as wide as its label."""
    made = widgets.Button(description=label, icon=icon, tooltip=hint, layout=widgets.Layout(width="auto"))
    focus.watch(made)
    made.on_click(lambda _: on_click())
    return made


class RunButtons(widgets.HBox):
    """Start, Pause, Stop, Save, Save GIF and Copy code, each enabled where it has something to do."""

    def __init__(self, actions: Mapping[str, Callable[[], object]]) -> None:
        self.by_name = {name: button(*look, actions[name]) for name, look in LOOKS.items()}
        self["start"].button_style = "primary"
        self["start"]._view_count = 0  # the page counts how often it shows the button
        self["start"].observe(self._counted, "_view_count")
        self._is_by_keyboard = False  # how one of them was pressed last
        self._loses_focus_until = 0.0  # by the monotonic clock
        super().__init__(list(self.by_name.values()), layout=widgets.Layout(flex_flow="row wrap"))
        self._events = Event(source=self, watched_events=["click"])
        self._events.on_dom_event(self._heard)

    def __repr__(self) -> str:
        enabled = [name for name, one in self.by_name.items() if not one.disabled]
        return f"RunButtons({', '.join(enabled)})"

    def __getitem__(self, name: str) -> widgets.Button:
        return self.by_name[name]

    def _heard(self, event: dict[str, Any]) -> None:
        """A click by a key is at no position of the screen."""
        self._is_by_keyboard = event.get("screenX") == 0 == event.get("screenY")

    def keep_focus(self) -> None:
        """Focus Start once the page has rebuilt the panel, which loses the focus.

        Only if a key has pressed a button here: those who use a mouse may be typing somewhere else.
        """
        if self._is_by_keyboard:
            self._loses_focus_until = time.monotonic() + REBUILT

    def _counted(self, change: dict[str, Any]) -> None:
        is_new = None not in (change["old"], change["new"]) and change["new"] > change["old"]
        if is_new and time.monotonic() < self._loses_focus_until:
            self._loses_focus_until = 0.0
            self["start"].focus()

    def close(self) -> None:
        lifecycle.stop_counting(self)  # where clicks are watched, the page counts views
        self._events.close()
        super().close()

    def show(self, is_busy: bool, is_paused: bool, can_stop: bool, can_save: bool) -> None:
        """Enable the buttons that have something to do."""
        pause = self["pause"]
        pause.description = "Resume" if is_paused else "Pause"
        pause.icon = "play" if is_paused else "pause"
        disabled = {"pause": not is_busy, "stop": not can_stop, "save": not can_save, "gif": not can_save}
        for name, is_disabled in disabled.items():
            focus.set_disabled(self[name], is_disabled, self["start"])


class CodeBox(widgets.VBox):
    """The code under a panel, hidden at first."""

    def __init__(self, snippet: Callable[[], str]) -> None:
        self._snippet, self._text = snippet, markup.markup(width="100%")
        super().__init__([self._text], layout=widgets.Layout(margin="0", width="100%", display="none"))

    def __repr__(self) -> str:
        return f"CodeBox({'hidden' if self.is_hidden else 'shown'})"

    @property
    def is_hidden(self) -> bool:
        return bool(self.layout.display == "none")

    def toggle(self) -> None:
        """Show the code, or hide it."""
        if self.is_hidden:
            self._write()
        self.layout.display = "" if self.is_hidden else "none"

    def refresh(self) -> None:
        """Write the code again where it is shown."""
        if not self.is_hidden:
            self._write()

    def _write(self) -> None:
        hint = markup.status("Click the code to select it, then copy it.")
        self._text.value = hint + markup.code(self._snippet())
