"""The panels of an Explorer in tabs: the one in front is made first, the others while the kernel is idle.

A panel that is taken off the page is closed once no message from the page to it can still be under way.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.regions import Region
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.idle import Idle
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.explorer.choice import Choice
from cnnwidgets.panels.explorer.tabs import GRADIENT, KINDS, Kind, is_soon

PAUSE = 0.1  # seconds between two panels that are made while the kernel is idle: clicks come in between
UNDER_WAY = 10.0  # seconds for which the page may still send messages


class Stage(widgets.Tab):
    """Tabs with a panel each; only the one in front follows the choice, the others when they come to the front.

    Args:
        choice: what is shared.
        on_front: called when another panel stands in front.
        idle: for panels that are made before they are looked at. In a script each is made when it comes to the front.
        taken_away: for panels of a network that is replaced.
        prepare: called with each new panel, before it is shown.

    Attributes:
        panels: those that are made, by the title of their tab.
        is_updating: while the panel in front and the choice are brought in line.
    """

    def __init__(
        self,
        choice: Choice,
        on_front: Callable[[], object],
        idle: Idle,
        taken_away: TakenAway,
        prepare: Callable[[Panel], object] = lambda panel: None,
    ) -> None:
        self._choice, self._on_front, self._prepare = choice, on_front, prepare
        self._idle, self._taken_away = idle, taken_away
        self.is_updating = Updating()
        self._making = threading.RLock()  # a tab may be clicked on another thread than the one that is idle
        self._is_displayed = False
        self._failed: set[str] = set()  # titles of panels that this network, with this choice, cannot have
        self.panels: dict[str, Panel] = {}
        self._places = [widgets.VBox([_preparing(kind)], layout=widgets.Layout(overflow="visible")) for kind in KINDS]
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
        with self._making:
            for title, panel in self.panels.items():
                panel.is_visible = title == kind.title
            self._make(kind)
            with contextlib.suppress(CnnWidgetsError):  # the panel shows it
                self.follow()
        self._on_front()
        self._begin_unasked()

    def displayed(self) -> None:
        """Begin to make what the page may ask for next, now that the page shows the tabs."""
        if not self._is_displayed:
            self._is_displayed = True
            self._begin_unasked()
            self._make_others()

    def follow(self) -> None:
        """Bring the panel in front up to date with the choice."""
        panel = self.front
        if panel is None or self.is_updating:
            return
        with self.is_updating:
            self.kind.follow(panel, self._choice)

    # Making.

    def _make(self, kind: Kind) -> None:
        """Make a panel where there is none; what is wrong instead is shown in its tab."""
        if kind.title in self.panels:
            return
        try:
            with self.is_updating, lifecycle.MAKING_PARTS:
                panel = kind.make(self._choice)
        except Exception as error:  # of a callback's nobody would see any
            self._refuse(kind, Failure.of(error))
            return
        panel.is_visible = kind is self.kind
        self.panels[kind.title] = panel
        self._prepare(panel)
        self._put(kind, panel)
        for chosen, name in kind.gives.items():
            panel.observe(lambda change, chosen=chosen: self._given(panel, chosen, change["new"]), name)

    def _make_others(self) -> None:
        """Make the other panels while the kernel is idle; those of a deep network would keep it busy for too long."""
        if is_soon(GRADIENT, self._choice.net, self._choice.held):
            self._idle.call(self._make_next, PAUSE)

    def _make_next(self) -> None:
        """Make one more panel that nobody has looked at yet, unless the one in front computes."""
        if self.comm is None:
            return
        missing = [kind for kind in KINDS if kind.title not in self.panels and kind.title not in self._failed]
        front = self.front
        is_free = front is None or front.state != "running"
        if missing and is_free and self._making.acquire(blocking=False):  # else another thread makes one now
            try:
                self._make(missing[0])
            finally:
                self._making.release()
        if missing:
            self._idle.call(self._make_next, PAUSE)

    def _refuse(self, kind: Kind, failure: Failure) -> None:
        """Say in a tab why it has no panel; it is tried again when it comes to the front."""
        self._failed.add(kind.title)
        words = failure.line if "CnnWidgetsError" in failure.types else f"{failure.kind}: {failure.line}"
        self._put(kind, markup.markup(markup.status(words, is_error=True), padding="24px"))

    def _begin_unasked(self) -> None:
        """Start the panel in front where its first picture comes within a second, and nothing was shown or stopped."""
        panel, cost = self.front, self.kind.first_picture
        if not self._is_displayed or panel is None or cost is None or panel.state != "idle" or panel.result is not None:
            return
        if is_soon(cost, self._choice.net, self._choice.held):
            panel.begin_unasked()

    @property
    def _place(self) -> widgets.VBox:
        return self._places[self.selected_index or 0]

    def _put(self, kind: Kind, content: widgets.Widget) -> None:
        """Show something in a tab; a text that was there is closed."""
        place = self._places[KINDS.index(kind)]
        texts = [child for child in place.children if not isinstance(child, Panel)]
        place.children = [content]
        for text in texts:
            lifecycle.close_whole(text)

    def _given(self, panel: Panel, chosen: str, value: Any) -> None:
        """Take what was chosen on a panel; of a target that is a region its class; a function is not shared."""
        if isinstance(value, Region):
            value = value.target
        if not self.is_updating and panel is self.front and not callable(value):
            with self.is_updating:
                setattr(self._choice, chosen, value)

    # Another network.

    def renew(self) -> None:
        """Take all panels away, since they belong to another network, and make the one in front."""
        with self._making:
            panels, self.panels, self._failed = self.panels, {}, set()
            for panel in panels.values():
                self._taken_away.add(panel)
            for kind in KINDS:
                self._put(kind, _preparing(kind))
        self.show()
        if self._is_displayed:
            self._make_others()

    def close(self) -> None:
        """Close the panels, and free every widget."""
        if self.comm is None:
            return
        lifecycle.stop_counting(self)
        panels, self.panels = self.panels, {}
        for panel in panels.values():
            panel.close()
        lifecycle.close_all(self)
        super().close()


def _preparing(kind: Kind) -> widgets.Widget:
    words = f"Preparing {kind.title}: {kind.shows}. If a cell is running, this comes when the cell has ended."
    return markup.markup(markup.status(words), padding="24px")


class TakenAway:
    """Panels that wait to be closed; in a script, where no page sends anything, they are closed at once."""

    def __init__(self, idle: Idle) -> None:
        self._idle = idle
        self._waiting: list[Any] = []

    def add(self, panel: Any) -> None:
        """Stop a panel that is about to leave the page, and close it some seconds later."""
        lifecycle.stop_counting(panel)  # before the page takes it away and would tell that
        if not self._idle:
            panel.close()
            return
        panel.stop()
        self._waiting.append(panel)
        self._idle.call(lambda: self._close(panel), UNDER_WAY)

    def close(self) -> None:
        for panel in list(self._waiting):
            self._close(panel)

    def _close(self, panel: Any) -> None:
        if panel in self._waiting:
            self._waiting.remove(panel)
            panel.close()
