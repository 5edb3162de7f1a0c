"""The base class of panels on which a position of the photograph is chosen, which other panels may follow."""

from __future__ import annotations

from typing import Any

import traitlets

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.model.arguments import is_list, is_whole
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.binding import Setting
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.protocols import F

Pixel = tuple[int, int]  # row and column


def checked_pixel(name: str, value: object, size: tuple[int, ...]) -> Pixel | None:
    """The pixel, or `None` if none is chosen."""
    if value is None:
        return None
    height, width = size
    if is_list(value) and len(pair := list(value)) == 2 and all(map(is_whole, pair)):
        row, column = map(int, pair)
        if 0 <= row < height and 0 <= column < width:
            return row, column
    raise BadTarget(
        f"{name} must be (row, column) of a pixel of the {height} x {width} photograph, got {quoted(value)}."
    )


class PositionPanel(Panel[F]):
    """A panel of a photograph; besides the methods of every panel, a subclass provides `size` and `_show_position`.

    Attributes:
        picture: as given.
        position: (row, column) of a pixel of the first photograph, or `None`.
    """

    picture = Setting()
    position = Setting(None)
    size: Any

    def __init__(self, net: Network, held: HeldPicture) -> None:
        super().__init__(net)
        self._held = held

    def _show_position(self) -> None:
        """Show what there is at the position; nothing where there is no position or no run."""
        raise NotImplementedError

    @traitlets.validate("position")
    def _a_pixel(self, proposal: Any) -> Pixel | None:
        return checked_pixel("position", proposal["value"], self._held.photos[0].shape[:2])

    @traitlets.observe("position")
    def _position_changed(self, _change: object) -> None:
        if not self._updating:
            self._show_position()

    def _ended(self, frame: F) -> None:
        self._show_position()

    def _note(self) -> str:
        return self._held.note

    def _check(self, name: str) -> None:
        if name == "picture":
            self._held = HeldPicture(self.net, self.picture, self.size)
            self._assign(position=None)
        elif name == "size":
            Probe(self.net, self._held.given, self.size)
