"""What stands under a panel's cell: the widget, and in the same output a still picture for where no kernel is."""

from __future__ import annotations

import secrets
import sys
import weakref
from collections.abc import Callable
from typing import Any

Bundle = dict[str, Any]  # a representation for each MIME type

_outdated: weakref.WeakSet[CellOutput] = weakref.WeakSet()


class CellOutput:
    """An output that is shown again and again under the same id, so that a saved notebook holds the last picture.

    To show it again makes the page draw the widget anew, and whoever types in it would lose the focus. So it is done
    where a run that somebody asked for has ended; what changes otherwise waits until another cell has run.

    Args:
        bundle: makes what is shown.
    """

    def __init__(self, bundle: Callable[[], Bundle]) -> None:
        self._bundle = bundle
        self._ids: list[str] = []

    def display(self) -> None:
        """Show it under the cell that is running."""
        from IPython.display import display

        self._ids.append(secrets.token_hex(8))
        display(self._bundle(), raw=True, display_id=self._ids[-1])

    def refresh(self) -> None:
        """Show it as it is now wherever it stands."""
        from IPython.display import update_display

        _outdated.discard(self)
        for display_id in self._ids:
            update_display(self._bundle(), raw=True, display_id=display_id)

    def refresh_later(self) -> None:
        """Show it as it is now when the next cell has run."""
        shell = _shell()
        if shell is not None and self._ids:
            _outdated.add(self)
            if _refresh_outdated not in shell.events.callbacks["post_run_cell"]:
                shell.events.register("post_run_cell", _refresh_outdated)

    def forget(self) -> None:
        """Leave it as it is from now on."""
        _outdated.discard(self)
        self._ids.clear()


def _refresh_outdated(_result: object = None) -> None:
    for output in list(_outdated):
        output.refresh()


def _shell() -> Any:
    """The IPython that runs this, if one does."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
