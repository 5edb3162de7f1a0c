"""The layout of controls in the sidebar of an Explorer."""

from __future__ import annotations

from typing import Any

import ipywidgets as widgets


def wide() -> dict[str, Any]:
    """The keywords of a control as wide as the sidebar; each needs a separate layout."""
    return {"layout": widgets.Layout(width="auto"), "style": {"description_width": "64px"}}
