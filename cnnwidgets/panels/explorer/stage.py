"""The panels of an Explorer in tabs, created and updated when they are shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.regions import Region
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.explorer.choice import Choice
from cnnwidgets.panels.explorer.tabs import KINDS, Kind


class Stage(widgets.Tab):
    """Tabs with a panel each; only the one in front follows the choice, the others when they come to the front.

    Args:
        choice: what is shared.
        on_front: called when another panel stands in front.
        prepare: called with each new panel, before it is shown.

    Attributes:
        panels: those that are made, by the title of their tab.
    """

    def __init__(
        self, choice: Choice, on_front: Callable[[], object], prepare: Callable[[Panel], object] = lambda panel: None
    ) -> None:
        self._choice, self._on_front, self._prepare = choice, on_front, prepare
        self._updating = Updating()
        self.panels: dict[str, Panel] = {}
        self._places = [widgets.VBox(layout=widgets.Layout(overflow="visible")) for _ in KINDS]
        room = widgets.Layout(flex="100 1 520px", min_width="0", max_width="100%")
        super().__init__(self._places, selected_index=0, layout=room)
        self.titles = tuple(kind.title for kind in KINDS)
        self.observe(lambda _: self.show(), "selected_index")

    def __repr__(self) -> str:
        return f"Stage({self.kind.title!r})"

    @property
    def kind(self) -> Kind:
        """The tab in front."""
        return KINDS[self.selected_index or 0]

    @property
    def front(self) -> Panel | None:
        """The panel in front, `None` where this network has no such panel."""
        return self.panels.get(self.kind.title)

    def show(self) -> None:
        """Make the panel in front, or bring it up to date."""
        kind = self.kind
        for title, panel in self.panels.items():
            panel.is_visible = title == kind.title
        try:
            if kind.title not in self.panels:
                self._add(kind)
            self.follow()
        except CnnWidgetsError as error:
            if kind.title not in self.panels:
                self._place.children = [markup.markup(markup.status(str(error), is_error=True), padding="24px")]
        self._on_front()

    def follow(self) -> None:
        """Bring the panel in front up to date with the choice."""
        panel = self.front
        if panel is None or self._updating:
            return
        with self._updating:
            self.kind.follow(panel, self._choice)

    @property
    def _place(self) -> widgets.VBox:
        return self._places[self.selected_index or 0]

    def _add(self, kind: Kind) -> None:
        with self._updating:
            panel = self.panels[kind.title] = kind.make(self._choice)
        self._prepare(panel)
        self._clear(self._place)
        self._place.children = [panel]
        for chosen, name in kind.gives.items():
            panel.observe(lambda change, chosen=chosen: self._given(panel, chosen, change["new"]), name)

    def _given(self, panel: Panel, chosen: str, value: Any) -> None:
        """Take what was chosen on a panel; of a target that is a region its class; a function is not shared."""
        if isinstance(value, Region):
            value = value.target
        if not self._updating and panel is self.front and not callable(value):
            with self._updating:
                setattr(self._choice, chosen, value)

    def renew(self) -> None:
        """Close all panels, since they belong to another network, and make the one in front."""
        self._close_panels()
        for place in self._places:
            self._clear(place)
        self.show()

    def _clear(self, place: widgets.VBox) -> None:
        for child in place.children:
            if child not in self.panels.values():
                lifecycle.close_whole(child)
        place.children = ()

    def _close_panels(self) -> None:
        """Before they are taken out of their tabs: the page would send messages to widgets that are closed by then."""
        panels, self.panels = self.panels, {}
        lifecycle.stop_counting(self)
        for panel in panels.values():
            panel.close()

    def close(self) -> None:
        """Close the panels, and free every widget."""
        if self.comm is None:
            return
        self._close_panels()
        lifecycle.close_all(self)
        super().close()
