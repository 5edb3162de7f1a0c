"""The Python code that makes what a panel shows."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets

from cnnwidgets.panels.base import markup


class CodeBox(widgets.VBox):
    """The code under a panel, hidden at first.

    Args:
        snippet: returns the code of what is shown now.
    """

    def __init__(self, snippet: Callable[[], str]) -> None:
        self._snippet, self._text = snippet, markup.markup(width="100%")
        super().__init__([self._text], layout=widgets.Layout(margin="0", width="100%", display="none"))

    def __repr__(self) -> str:
        return f"CodeBox({'hidden' if self.is_hidden else 'shown'})"

    @property
    def is_hidden(self) -> bool:
        """Whether the code is hidden."""
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
