"""Closing of widgets with their children, layouts and styles, which a registry keeps alive otherwise."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.base.binding import Updating

_by_cell: dict[str, tuple[str, weakref.WeakSet[Any]]] = {}  # cell -> the run that made its panels, and these
_replaced: list[tuple[str, Any]] = []  # (the run that replaced it, a panel that is still to be closed)

MAKING_PARTS = Updating()  # while panels are made that another panel stops and closes


def close_all(box: widgets.Box) -> None:
    """Close everything inside a box, with layouts and styles; the box itself is left to its owner."""
    for child in box.children:
        close_whole(child)
    _close_parts(box)


def stop_counting(widget: widgets.Widget) -> None:
    """Stop the page from counting the views of a widget and its parts: it would send the count to closed ones too."""
    if getattr(widget, "_view_count", None) is not None:
        widget._view_count = None
    if isinstance(widget, widgets.Box):
        for child in widget.children:
            stop_counting(child)


def close_whole(widget: widgets.Widget) -> None:
    """Close a widget and everything inside it."""
    stop_counting(widget)
    if isinstance(widget, widgets.Box):
        close_all(widget)
    widget.close()
    _close_parts(widget)


def _close_parts(widget: Any) -> None:
    for name in ("layout", "style"):
        part = getattr(widget, name, None)
        if isinstance(part, widgets.Widget):
            part.close()


def replace_in_cell(panel: Any) -> None:
    """A cell that is run again makes a new panel: the one it made before is stopped, and closed a run later.

    Its output is gone from the page, and the registry of widgets would keep it, with all its pictures, for good. At
    once would be too early: the page may still have sent something to it, which waits until the cell has ended.
    A part of another panel is stopped and closed by that one.
    """
    cell, run = _cell_and_run()
    if not cell or MAKING_PARTS:
        return
    _close_replaced_before(run)
    earlier, panels = _by_cell.get(cell, ("", weakref.WeakSet()))
    if earlier != run:
        for old in list(panels):
            old.stop()
            _replaced.append((run, old))
        panels = weakref.WeakSet()
        _by_cell[cell] = (run, panels)
    panels.add(panel)


def _close_replaced_before(run: str) -> None:
    """Close what earlier runs of cells have replaced."""
    for entry in [entry for entry in _replaced if entry[0] != run]:
        _replaced.remove(entry)
        entry[1].close()


def _cell_and_run() -> tuple[str, str]:
    """The id of the cell that runs now and of this run of it; empty outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return "", ""
    parent = kernel.get_parent("shell") or {}
    cell = (parent.get("metadata") or {}).get("cellId") or ""
    return cell, (parent.get("header") or {}).get("msg_id") or ""
