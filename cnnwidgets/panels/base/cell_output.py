"""The output of a panel's cell: the widget, and a still picture for readers without a kernel."""

from __future__ import annotations

import secrets
import sys
import weakref
from typing import Any

import comm
import ipywidgets as widgets

Bundle = dict[str, Any]  # a representation for each MIME type
MOST_REDRAWS = 32  # of an output that a page shows

_outdated: weakref.WeakSet[CellOutput] = weakref.WeakSet()


class CellOutput:
    """An output that is shown again under the same id, so that a saved notebook holds the last picture.

    Redisplaying makes the page rebuild the widget: a focused input loses focus, and the page keeps the earlier view,
    hidden, and continues to paint it. So it is done after a run that the user has started, and
    not all too often; what changes otherwise waits until another cell has run.

    Args:
        panel: what is shown; its own bundle has the still picture.
    """

    def __init__(self, panel: widgets.DOMWidget) -> None:
        self._panel = panel
        self._boxes: dict[str, widgets.VBox] = {}  # by display id: a separate box around the panel
        self._redraws = 0

    def display(self) -> None:
        """Show it under the cell that is running."""
        from IPython.display import display

        display_id = secrets.token_hex(8)
        self._boxes[display_id] = widgets.VBox([self._panel])
        display(self._bundle(display_id), raw=True, display_id=display_id)

    def refresh(self) -> None:
        """Show it as it is now under each cell that shows it."""
        from IPython.display import update_display

        _outdated.discard(self)
        for display_id in self._boxes:
            update_display(self._bundle(display_id), raw=True, display_id=display_id)

    def may_redraw(self) -> bool:
        """Whether the page may rebuild the widget once more, which it has not done too often; each call counts."""
        self._redraws += 1
        return self._redraws <= MOST_REDRAWS

    def refresh_later(self) -> None:
        """Show it as it is now when the next cell has run."""
        shell = _shell()
        if shell is not None and self._boxes:
            _outdated.add(self)
            if _refresh_outdated not in shell.events.callbacks["post_run_cell"]:
                shell.events.register("post_run_cell", _refresh_outdated)

    def forget(self) -> None:
        """Leave it as it is from now on."""
        _outdated.discard(self)
        while self._boxes:
            _let_go(self._boxes.popitem()[1])

    def _bundle(self, display_id: str) -> Bundle:
        box = self._boxes[display_id]._repr_mimebundle_()
        return {**self._panel._repr_mimebundle_(), **{key: box[key] for key in box if "widget-view" in key}}


def _let_go(box: widgets.VBox) -> None:
    """Free a box without a message to the page, which cannot remove a view that it has rebuilt."""
    for part in (box, box.layout):
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
