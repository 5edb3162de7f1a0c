"""The focus of the page, which a browser takes from a button that is disabled."""

from __future__ import annotations

import weakref

import ipywidgets as widgets

_last: list[weakref.ref[widgets.Button]] = []  # the button that was pressed last, in any panel: the focus is on it


def watch(button: widgets.Button) -> None:
    """Know when a button is pressed."""
    button.on_click(_pressed)


def set_disabled(button: widgets.Button, is_disabled: bool, *instead: widgets.DOMWidget) -> None:
    """Disable or enable a button; where it was pressed last, the focus moves on to the first of `instead` in use.

    Args:
        button: which one.
        is_disabled: whether it cannot be pressed.
        instead: buttons, or fields with a `focus` method.
    """
    if is_disabled and not button.disabled and _last and _last[0]() is button:
        following = next((one for one in instead if not one.disabled), None)
        if following is not None:
            following.focus()
            _last.clear()
            if isinstance(following, widgets.Button):
                _pressed(following)
    button.disabled = is_disabled


def _pressed(button: widgets.Button) -> None:
    _last[:] = [weakref.ref(button)]
