"""One feature map large, and the part of the photograph that one of its cells sees."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps
from cnnwidgets.activations.maps_run import MapsFrame
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import SIDE
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.feature_maps.arithmetic_table import outline
from cnnwidgets.pictures.cells import with_box

WIDTH = 280  # CSS pixels of one map, and of the photograph
EMPTY = "Click a map to see it large."


class OneMap(widgets.VBox):
    """A column: the photograph with the receptive field of a cell, and the map with the cell.

    Args:
        on_click: called with a position (x, y) on the map, each 0..1.
        on_move: called with the position of the pointer on the map.
        on_leave: called when the pointer has left it.
    """

    def __init__(
        self,
        on_click: Callable[[float, float], object],
        on_move: Callable[[float, float], object],
        on_leave: Callable[[], object],
    ) -> None:
        self.photograph = Screen(WIDTH, lambda _number: None)
        self.map = Screen(WIDTH, lambda _number: None, on_click, empty=EMPTY)
        self.map.follow(on_move, on_leave)
        self._line = markup.markup(markup.status(""))
        seen, one = (markup.markup(markup.title(title)) for title in ("The photograph", "One map"))
        super().__init__([seen, self.photograph, one, self.map, self._line], layout=widgets.Layout(**SIDE))

    def __repr__(self) -> str:
        return f"OneMap({'empty' if self.map.is_empty else 'a map'})"

    def clear(self) -> None:
        """Show no map."""
        self.map.explain(EMPTY)

    def show(self, frame: MapsFrame, unit: int, cell: tuple[int, int], how: str) -> None:
        """Show a unit's map.

        Args:
            frame: with the maps.
            unit: which of them.
            cell: (row, column); one outside the map stands for the nearest inside.
            how: the contrast, "range" or "books".
        """
        rows, columns = frame.maps.shape[:2]
        row, column = min(cell[0], rows - 1), min(cell[1], columns - 1)
        plane = display_maps(frame.maps[..., unit : unit + 1], how)[0]
        scale = max(1, WIDTH // max(rows, columns))
        large = np.repeat(np.repeat(plane, scale, 0), scale, 1)
        box = (row * scale, column * scale, (row + 1) * scale, (column + 1) * scale)
        self.map.show(with_box(pictures.color_maps(large), box))
        photograph, seen = pictures.to_uint8(frame.photograph), frame.seen_by(row, column)
        self.photograph.show(photograph if seen is None else with_box(photograph, seen))
        value = frame.maps[row, column, unit]
        self._line.value = markup.status(f"unit {unit} at row {row}, column {column}: {value:.3g}")

    def point(self, frame: MapsFrame, cell: tuple[int, int] | None) -> None:
        """Outline another cell, and what it sees, over both pictures; `None` for none."""
        if cell is None:
            self.map.over.value = self.photograph.over.value = ""
            return
        (row, column), (rows, columns) = cell, frame.maps.shape[:2]
        self.map.over.value = outline((row, column, row + 1, column + 1), (rows, columns))
        seen = frame.seen_by(row, column)
        self.photograph.over.value = "" if seen is None else outline(seen, frame.photograph.shape[:2])

    def close(self) -> None:
        self.photograph.close()
        self.map.close()
        super().close()
