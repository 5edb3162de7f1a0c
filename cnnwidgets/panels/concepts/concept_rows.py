"""Concepts as rows: a name, patches, a picture along the direction, importance, and where it is on the photograph."""

from __future__ import annotations

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain.concept_search.found_concepts import Concepts
from cnnwidgets.panels.base import focus, lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.run_buttons import button
from cnnwidgets.panels.concepts.concept_rows_run import ConceptRowsFrame, Drawn

SMALL = 224  # pixels of the photograph behind a small map: twice what the page has room for


class ConceptRow(widgets.HBox):
    """One concept.

    Args:
        index: which one.
        on_choose: called with the index.
        on_merge: called with the index of the one that is merged into the shown one.
        on_name: called with the index and the text.
    """

    def __init__(
        self,
        index: int,
        on_choose: Callable[[int], object],
        on_merge: Callable[[int], object],
        on_name: Callable[[int, str], object],
    ) -> None:
        self.index = index
        self._updating, self._shown = Updating(), dict[str, object]()
        self.name = widgets.Text(
            placeholder=f"concept {index}", continuous_update=False, layout=widgets.Layout(width="136px", margin="0"),
            description=f"Name of concept {index}", tooltip=f"A name for concept {index}",
        )  # fmt: skip
        self.name.add_class("cnnw-named")  # its name is for screen readers
        self.name.observe(lambda change: None if self._updating else on_name(index, change["new"]), "value")
        self.choose = button("Show", "", "Show where this concept is on the photograph", lambda: on_choose(index))
        self.merge = button("Merge", "", "Merge this concept into the one that is shown", lambda: on_merge(index))
        self.bar, self.note, self.patches, self.picture, self.map = (markup.markup("") for _ in range(5))
        self.bar.layout.width = self.note.layout.width = "136px"
        buttons = widgets.HBox([self.choose, self.merge])
        left = widgets.VBox([self.name, buttons, self.bar, self.note], layout=widgets.Layout(flex="0 0 auto"))
        layout = widgets.Layout(flex_flow="row wrap", grid_gap="8px", margin="4px 0", display="none", min_width="0")
        layout.flex, layout.max_width = "1 1 560px", "600px"  # two in a row where the page is wide
        super().__init__([left, self.patches, self.picture, self.map], layout=layout)
        self.add_class("cnnw-unit")
        self.add_class("cnnw-concept")

    def __repr__(self) -> str:
        return f"ConceptRow({self.index})"

    def show(self, frame: ConceptRowsFrame, found: Concepts, chosen: int) -> None:
        index, title = self.index, found.title(self.index)
        with self._updating:
            self.name.value = found.names[index]
        for button_ in (self.choose, self.merge):
            focus.set_disabled(button_, index == chosen, self.name)
        (self.add_class if index == chosen else self.remove_class)("cnnw-chosen-unit")
        largest = float(np.abs(found.importance).max())
        words = f"{title}: importance {found.importance[index]:+.3g} for {found.about}"
        self._put("bar", (found, index), lambda: markup.signed_bar(float(found.importance[index]), largest, words))
        self._put("note", (found, index), lambda: markup.notes([found.notes[index]] if found.notes[index] else []))
        self._put("patches", (found, index), lambda: _patches(found.patches[index], title))
        drawn = frame.drawn.get(index)
        self._put("picture", (title, drawn), lambda: _drawn(drawn, title))
        self._put("map", (title, frame.maps, id(frame.photo)), lambda: _small_map(frame, index, title))
        self.layout.display = ""

    def _put(self, part: str, key: object, make: Callable[[], str]) -> None:
        if self._shown.get(part) != key:
            self._shown[part] = key
            getattr(self, part).value = make()


class ConceptRows(widgets.Box):
    """A row for each concept; they are made when they are first needed.

    Args:
        on_choose: called with an index.
        on_merge: called with the index of the one that is merged into the shown one.
        on_name: called with an index and a text.
    """

    def __init__(
        self,
        on_choose: Callable[[int], object],
        on_merge: Callable[[int], object],
        on_name: Callable[[int, str], object],
    ) -> None:
        self._actions = on_choose, on_merge, on_name
        self.rows: list[ConceptRow] = []
        layout = widgets.Layout(margin="6px 0", flex_flow="row wrap", grid_gap="0 24px")
        super().__init__([], layout=layout)

    def __repr__(self) -> str:
        return f"ConceptRows({len(self.rows)})"

    def show(self, frame: ConceptRowsFrame, found: Concepts, chosen: int) -> None:
        if len(self.rows) < len(found):
            self.rows += [ConceptRow(index, *self._actions) for index in range(len(self.rows), len(found))]
            self.children = tuple(self.rows)
        for row in self.rows[: len(found)]:
            row.show(frame, found, chosen)
        for row in self.rows[len(found) :]:
            row.layout.display = "none"

    def hide(self) -> None:
        for row in self.rows:
            row.layout.display = "none"

    def close(self) -> None:
        lifecycle.close_all(self)
        super().close()


def _patches(patches: np.ndarray, title: str) -> str:
    if not len(patches):
        return markup.missing("no patches")
    shown = pictures.mosaic(pictures.to_uint8(patches[:9]), 3)
    return markup.still(pictures.to_jpeg(shown), "jpeg", f"the crops with most of {title}, strongest first")


def _drawn(drawn: Drawn | None, title: str) -> str:
    if drawn is None or drawn.pixels is None:
        return markup.missing(drawn.note if drawn is not None else "not drawn yet")
    data = pictures.to_jpeg(pictures.displayable(pictures.to_uint8(drawn.pixels)))
    return markup.still(data, "jpeg", f"what {title} looks like to the network, optimized from noise")


def _small_map(frame: ConceptRowsFrame, index: int, title: str) -> str:
    if not frame.maps:
        return markup.missing(frame.why_no_maps or "no map yet")
    height, width = frame.photo.shape[:2]
    scale = min(1.0, SMALL / max(height, width))
    photo = pictures.resize(frame.photo, (max(1, round(height * scale)), max(1, round(width * scale))))
    shown = pictures.overlay(pictures.displayable(photo), frame.maps[index].map)
    return markup.still(pictures.to_jpeg(shown), "jpeg", f"where {title} is on the photograph")
