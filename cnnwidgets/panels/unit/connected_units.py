"""The units that feed a unit and those that it feeds: two columns with pictures, and a menu.

Pictures that need no optimizing come from an atlas or the cache; a click on one goes to its unit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets
from ipyevents import Event

from cnnwidgets.activations.unit_links import Link, UnitLinks, unit_links
from cnnwidgets.jobs import Job
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.panels.base import focus, lifecycle, markup
from cnnwidgets.panels.controls.menu import Menu
from cnnwidgets.panels.protocols import PlainFrame
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener
from cnnwidgets.panels.unit import captions
from cnnwidgets.panels.unit.atlas_unit import AtlasUnit, unit_in
from cnnwidgets.panels.unit.unit_pictures import WAITING, Pictures, UnitPainter, UnitPicture

CHOOSE = "go to a connected unit"


class ConnectedUnits:
    """Connected units with the pictures that an atlas or the cache has; a button renders the others.

    Args:
        painter: makes and finds the pictures.
        button: renders the missing ones.
        on_choose: called with the layer and index of a unit that was chosen.
        on_atlas: called with what the atlas has of the unit itself.
        on_change: called when it begins or ends to compute.
        on_failure: called with what went wrong.

    Attributes:
        painter: as given; its atlas can be set.
        links: the connected units.
        columns: what feeds the unit, and what it feeds.
        menu: goes to one of them.
        run: what looks for pictures or renders them.
        kept: the pictures so far.
        in_atlas: what the atlas has of the unit itself.
    """

    def __init__(
        self,
        painter: UnitPainter,
        button: widgets.Button,
        on_choose: Callable[[str, int], object],
        on_atlas: Callable[[AtlasUnit], object],
        on_change: Callable[[], object],
        on_failure: Callable[[Failure], object],
    ) -> None:
        self.painter, self._button = painter, button
        self._on_choose, self._on_atlas, self._on_change, self._on_failure = on_choose, on_atlas, on_change, on_failure
        self.links, self.kept, self.in_atlas = UnitLinks((), ()), Kept({}), AtlasUnit()
        self.run: CurrentRun[Kept] = CurrentRun()
        self._is_rendering = False
        self.columns = [LinkedUnits(words, self._clicked) for words in ("What feeds it", "What it feeds")]
        self.menu = Menu([(CHOOSE, None)], description="Go to", tooltip="A unit that feeds it, or that it feeds")
        self.menu.layout.width, self.menu.style.description_width = "320px", "48px"
        self.menu.observe(self._chosen, "choice")

    @property
    def every_link(self) -> tuple[Link, ...]:
        """Those that feed the unit, then those that it feeds."""
        return (*self.links.incoming, *self.links.outgoing)

    @property
    def is_rendering(self) -> bool:
        """Whether pictures are optimized."""
        return self._is_rendering and self.run.is_busy

    def show(self, layer: str, unit: int, call: int) -> None:
        """Show what this unit is connected to, by weights."""
        links = self.links = unit_links(self.painter.net, layer, unit, call=call)
        feeds, fed = self.columns
        none = "No weights of another unit lead here." if links.outgoing else "No weights were found."
        feeds.show(links.incoming, none)
        fed.show(links.outgoing, "No weights follow.")
        lines: list[tuple[str, Any]] = [(CHOOSE, None)]
        for found, verb in ((links.incoming, "fed by"), (links.outgoing, "feeds")):
            lines += [
                (f"{verb} {link.path} · {link.unit} ({link.weight:+.2g})", (link.path, link.unit)) for link in found
            ]
        self.menu.offer(lines, None)
        self.look_up(layer, unit, call)

    def look_up(self, layer: str, unit: int, call: int) -> None:
        """Find out what the atlas or the cache has, on the worker: weights are read for that."""
        self.kept, self.in_atlas = Kept({}), AtlasUnit()
        self._button.disabled, self._is_rendering = True, False
        found = look_up(self.painter, self.every_link, layer, unit, call)
        self.run.begin(found, Listener(show=self._drawn, finished=self._has_drawn))

    def render(self, *next_in_focus: widgets.Button) -> None:
        """Optimize the pictures that are missing."""
        self._is_rendering = True
        focus.set_disabled(self._button, True, *next_in_focus)
        self.run.begin(render(self.painter, self.every_link), Listener(show=self._drawn, finished=self._has_drawn))
        self._on_change()

    def close(self) -> None:
        self.run.drop()
        for column in self.columns:
            column.close()

    def _drawn(self, frame: Kept, _painted: object, number: int) -> None:
        self.run.acknowledge(number)
        self.kept = frame
        for column in self.columns:
            column.draw(frame.pictures)
        if frame.atlas is not None:
            self.in_atlas = frame.atlas
            self._on_atlas(frame.atlas)

    def _has_drawn(self, job: Job[Kept]) -> None:
        if job.failure is not None:
            self._on_failure(job.failure)
        if job.frame is not None:
            self._drawn(job.frame, None, 0)
        self._button.disabled = not any(
            is_missing(self.kept.pictures.get((link.path, link.unit))) for link in self.every_link
        )
        self._on_change()

    def _clicked(self, link: Link) -> None:
        self._on_choose(link.path, link.unit)

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"] is not None:
            self._on_choose(*change["new"])


class LinkedUnits(widgets.VBox):
    """A column of connected units.

    Args:
        heading: what they have in common.
        on_choose: called with the link that was clicked.
    """

    def __init__(self, heading: str, on_choose: Callable[[Link], object]) -> None:
        self._heading, self._on_choose = heading, on_choose
        self._links: tuple[Link, ...] = ()
        self._pictures: Pictures = {}
        self._rows = markup.markup("")
        self._line = markup.markup("")
        self._events = Event(source=self._rows, watched_events=["click"])
        self._events.on_dom_event(self._clicked)
        super().__init__([markup.markup(markup.title(heading)), self._rows, self._line])

    def __repr__(self) -> str:
        return f"LinkedUnits({self._heading!r}, {len(self._links)} units)"

    def show(self, links: Sequence[Link], none: str) -> None:
        """Show other links, without pictures; `none` explains why there are none."""
        self._links, self._pictures = tuple(links), {}
        said = "Unit and layer, with the sum of the absolute weights in between, signed." if links else none
        self._line.value = markup.progress_text(said)
        self._draw()

    def draw(self, pictures: Pictures) -> None:
        """Show the pictures of these units, as far as they are there."""
        if self._pictures != pictures:
            self._pictures = pictures
            self._draw()

    def _draw(self) -> None:
        self._rows.value = captions.linked(self._links, self._pictures, self._heading)

    def _clicked(self, event: dict[str, float]) -> None:
        high = event.get("boundingRectHeight", 0)
        if high > 0 and self._links:  # all rows are equally high
            index = int(event["relativeY"] / high * len(self._links))
            self._on_choose(self._links[min(max(index, 0), len(self._links) - 1)])

    def close(self) -> None:
        lifecycle.stop_counting(self)  # where clicks are watched, the page counts views
        self._events.close()
        super().close()


@dataclass(frozen=True, eq=False)
class Kept(PlainFrame):
    """A frame: pictures of units, as far as they are there.

    Attributes:
        pictures: those of the connected units.
        atlas: what the atlas has of the unit itself; `None` where that was not asked for.
    """

    pictures: Pictures
    atlas: AtlasUnit | None = None


def look_up(painter: UnitPainter, links: Sequence[Link], layer: str, unit: int, call: int) -> Iterator[Kept]:
    """What is there already: runs on the worker's thread, since weights and files are read."""
    known: dict[tuple[str, int], UnitPicture] = {}
    for path, units in _by_layer(links).items():
        first = next(painter.frames(path, 0, units))
        known |= {(path, one): picture for one, picture in first.by_unit.items()}
    yield Kept(known, unit_in(painter.atlas, painter.net, layer, unit, call))


def render(painter: UnitPainter, links: Sequence[Link]) -> Iterator[Kept]:
    """Pictures of the connected units, layer by layer: those that are there at once, then the others with each step."""
    groups = _by_layer(links)
    known: dict[tuple[str, int], UnitPicture] = {}
    for index, (path, units) in enumerate(groups.items()):
        for progress in painter.frames(path, 0, units):
            known |= {(path, one): picture for one, picture in progress.by_unit.items()}
            steps = max(progress.steps, 1)
            yield Kept(dict(known), step=index * steps + max(progress.step, 1), steps=len(groups) * steps)


def is_missing(picture: UnitPicture | None) -> bool:
    """Whether a picture could be rendered."""
    return picture is None or (picture.pixels is None and picture.note == WAITING)


def _by_layer(links: Sequence[Link]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for link in links:
        groups.setdefault(link.path, []).append(link.unit)
    return {path: tuple(dict.fromkeys(units)) for path, units in groups.items()}
