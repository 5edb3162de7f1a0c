"""What stands under a panel's cell: the widget, and in the same output a still picture for where no kernel is."""

from __future__ import annotations

import secrets
import sys
import weakref
from collections.abc import Callable
from typing import Any

import comm
import ipywidgets as widgets

Bundle = dict[str, Any]  # a representation for each MIME type

_outdated: weakref.WeakSet[CellOutput] = weakref.WeakSet()


class CellOutput:
    """An output that is shown again and again under the same id, so that a saved notebook holds the last picture.

    To show it again makes the page draw the widget anew, and whoever types in it loses the focus. So it is done where
    a run that somebody asked for has ended; what changes otherwise waits until another cell has run.

    Args:
        panel: what is shown; its own bundle has the still picture.
    """

    def __init__(self, panel: widgets.DOMWidget) -> None:
        self._panel = panel
        self._places: dict[str, widgets.VBox] = {}  # by display id: a box of its own around the panel

    def display(self) -> None:
        """Show it under the cell that is running."""
        from IPython.display import display

        self._show(secrets.token_hex(8), display)

    def refresh(self) -> None:
        """Show it as it is now wherever it stands."""
        from IPython.display import update_display

        _outdated.discard(self)
        for display_id, place in list(self._places.items()):
            place.children = ()  # the page forgets a view only where it is taken out of its box
            self._show(display_id, update_display)
            _let_go(place)

    def refresh_later(self) -> None:
        """Show it as it is now when the next cell has run."""
        shell = _shell()
        if shell is not None and self._places:
            _outdated.add(self)
            if _refresh_outdated not in shell.events.callbacks["post_run_cell"]:
                shell.events.register("post_run_cell", _refresh_outdated)

    def forget(self) -> None:
        """Leave it as it is from now on."""
        _outdated.discard(self)
        while self._places:
            _let_go(self._places.popitem()[1])

    def _show(self, display_id: str, display: Callable[..., Any]) -> None:
        place = widgets.VBox([self._panel])
        bundle: Bundle = {**self._panel._repr_mimebundle_(), **_view(place)}
        self._places[display_id] = place
        display(bundle, raw=True, display_id=display_id)


def _view(place: widgets.VBox) -> Bundle:
    return {key: value for key, value in place._repr_mimebundle_().items() if "widget-view" in key}


def _let_go(place: widgets.VBox) -> None:
    """Free a box, and do not tell the page: it would hide the output where the box stood, whatever stands there now."""
    for part in (place, place.layout):
        if isinstance(part.comm, comm.BaseComm):
            comm.get_comm_manager().unregister_comm(part.comm)
            part.comm._closed = True
        part.close()


def _refresh_outdated(_result: object = None) -> None:
    for output in list(_outdated):
        output.refresh()


def _shell() -> Any:
    """The IPython that runs this, if one does."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None
