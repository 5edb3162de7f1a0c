"""The atlas of a panel: `None`, or what `open_atlas` returns."""

from __future__ import annotations

from typing import Any

from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.panels.base.binding import Setting


class AtlasSetting(Setting):
    """A trait that refuses anything but an atlas or `None`."""

    def __init__(self) -> None:
        super().__init__(None)

    def validate(self, _panel: Any, value: object) -> Atlas | None:
        """The value, or BadTarget."""
        return checked_atlas(value)


def checked_atlas(atlas: object) -> Atlas | None:
    """An atlas, or none.

    Raises:
        BadTarget: for anything else.
    """
    if atlas is None or isinstance(atlas, Atlas):
        return atlas
    raise BadTarget(f"atlas must be what cw.open_atlas(path) returns, got {quoted(atlas)}.")
