"""The units as rows: what each responds to, its share as a bar, and where it is on the photograph."""

from __future__ import annotations

from collections.abc import Callable, Collection

import ipywidgets as widgets
import numpy as np
from ipyevents import Event

from cnnwidgets import pictures
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.unit.unit_pictures import UnitPicture
from cnnwidgets.panels.unit_attribution import captions
from cnnwidgets.panels.unit_attribution.unit_rows_run import MOST_ROWS, UnitRowsFrame
from cnnwidgets.pictures import cells

SMALL = 144  # pixels of the small pictures: twice what the page has room for


class UnitRow(widgets.HBox):
    """One unit: a check box that switches it, a button that chooses it, and its pictures, which choose it too.

    Args:
        on_choose: called with the unit.
        on_switch: called with the unit and whether it is on.
    """

    def __init__(self, on_choose: Callable[[int], object], on_switch: Callable[[int, bool], object]) -> None:
        self.unit: int | None = None  # the one that is shown
        self._on_choose, self._on_switch = on_choose, on_switch
        self._updating = Updating()
        self._shown: dict[str, object] = {}  # what each part shows, so that it is not made again
        self.is_on = widgets.Checkbox(True, indent=False, layout=widgets.Layout(width="98px", margin="0"))
        self.choose = widgets.Button(layout=widgets.Layout(width="98px", margin="2px 0"))
        self.picture, self.bar, self.map = (markup.markup("") for _ in range(3))
        self.picture.layout.width = self.map.layout.width = "72px"
        self.bar.layout.flex = "1 1 90px"
        left = widgets.VBox([self.is_on, self.choose], layout=widgets.Layout(flex="0 0 auto"))
        layout = widgets.Layout(align_items="center", grid_gap="8px", margin="2px 0", display="none", min_width="0")
        super().__init__([left, self.picture, self.bar, self.map], layout=layout)
        self.add_class("cnnw-unit")
        self.is_on.observe(self._switched, "value")
        self.choose.on_click(lambda _: self._pressed())
        self._events = [Event(source=part, watched_events=["click"]) for part in (self.picture, self.map)]
        for event in self._events:
            event.on_dom_event(lambda _: self._pressed())

    def __repr__(self) -> str:
        return f"UnitRow({self.unit})"

    def show(
        self, frame: UnitRowsFrame, unit: int, largest: float, is_chosen: bool, is_on: bool, photo: np.ndarray
    ) -> None:
        """Show a unit of a frame; `largest` is the share that fills the bar, `photo` the photograph, small."""
        self.unit = unit
        with self._updating:
            self.is_on.value = is_on
        self.is_on.description = f"Unit {unit}"
        self.is_on.tooltip = f"Unit {unit} of {frame.shown.path}: uncheck to switch it off"
        self.choose.description = f"{'Hide' if is_chosen else 'Show'} {unit}"
        where = (
            "all units together on the photograph again" if is_chosen else "it on the photograph and everywhere else"
        )
        self.choose.tooltip = f"Unit {unit}: show {where}"
        (self.add_class if is_chosen else self.remove_class)("cnnw-chosen-unit")
        (self.remove_class if is_on else self.add_class)("cnnw-off")
        words = captions.share(frame, unit)
        self._put("bar", (words, largest), lambda: markup.signed_bar(float(frame.shares[unit]), largest, words))
        self._put("map", (frame.shown, unit), lambda: _small_map(frame, unit, photo))
        drawn = frame.pictures.get(unit)
        self._put("picture", (frame.shown.path, unit, drawn), lambda: _drawn(frame, unit, drawn))
        self.layout.display = ""

    def hide(self) -> None:
        """Show no unit."""
        self.layout.display = "none"

    def _put(self, part: str, key: object, make: Callable[[], str]) -> None:
        if self._shown.get(part) != key:
            self._shown[part] = key
            getattr(self, part).value = make()

    def _pressed(self) -> None:
        if self.unit is not None:
            self._on_choose(self.unit)

    def _switched(self, change: dict[str, bool]) -> None:
        if not self._updating and self.unit is not None:
            self._on_switch(self.unit, change["new"])

    def close(self) -> None:
        for event in self._events:
            event.close()
        super().close()


class UnitRows(widgets.HBox):
    """The rows for and against the target, side by side where there is room.

    Args:
        on_choose: called with a unit.
        on_switch: called with a unit and whether it is on.
    """

    def __init__(self, on_choose: Callable[[int], object], on_switch: Callable[[int, bool], object]) -> None:
        self.rows = [UnitRow(on_choose, on_switch) for _ in range(MOST_ROWS)]
        self._heads = [markup.markup(""), markup.markup("")]
        wide = {"flex": "1 1 340px", "min_width": "0"}
        self._groups = [widgets.VBox([head], layout=widgets.Layout(**wide)) for head in self._heads]
        layout = widgets.Layout(flex_flow="row wrap", grid_gap="4px 20px", margin="6px 0", display="none")
        super().__init__(self._groups, layout=layout)

    def __repr__(self) -> str:
        return f"UnitRows({[row.unit for row in self.rows if row.layout.display != 'none']})"

    def show(self, frame: UnitRowsFrame, chosen: int | None, off: Collection[int], photo: np.ndarray) -> None:
        """Show the units of a frame on its photograph."""
        largest = max((abs(float(frame.shares[unit])) for unit in frame.rows), default=0.0)
        small = cells.fit(photo, SMALL)
        for row, unit in zip(self.rows, frame.rows, strict=False):
            row.show(frame, unit, largest, unit == chosen, unit not in off, small)
        for row in self.rows[len(frame.rows) :]:
            row.hide()
        for head, words in zip(self._heads, captions.headings(frame), strict=True):
            head.value = markup.title(words) if words else ""
        self._arrange([frame.request.place is not None or frame.shares[unit] >= 0 for unit in frame.rows])
        self.layout.display = "" if frame.rows else "none"

    def hide(self) -> None:
        """Show no rows."""
        self.layout.display = "none"

    def _arrange(self, in_first: list[bool]) -> None:
        """Put each row into its group; one without rows is not shown."""
        first = [*in_first, *[True] * (len(self.rows) - len(in_first))]
        for group, head, wanted in zip(self._groups, self._heads, (True, False), strict=True):
            children = (head, *(row for row, is_first in zip(self.rows, first, strict=True) if is_first == wanted))
            if group.children != children:
                group.children = children
        self._groups[1].layout.display = "" if False in in_first else "none"

    def close(self) -> None:
        lifecycle.stop_counting(self)
        for row in self.rows:  # those not in use may stand in no group
            lifecycle.close_whole(row)
        super().close()


def _small_map(frame: UnitRowsFrame, unit: int, photo: np.ndarray) -> str:
    if frame.maps.why_none:
        return markup.missing("no positions")
    words = f"where unit {unit} is evidence on the photograph: red for, blue against"
    return markup.still(pictures.to_jpeg(frame.maps.over(photo, unit)), "jpeg", words)


def _drawn(frame: UnitRowsFrame, unit: int, drawn: UnitPicture | None) -> str:
    if drawn is None or drawn.pixels is None:
        return markup.missing(drawn.note if drawn is not None and drawn.note else "not rendered yet")
    words = f"what unit {unit} of {frame.shown.path} responds to{f': {drawn.note}' if drawn.note else ''}"
    return markup.still(pictures.to_jpeg(drawn.pixels), "jpeg", words)
