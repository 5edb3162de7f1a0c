"""Pictures of a unit and its connected units that need no optimizing: from an atlas, or from the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnwidgets.activations.unit_links import Link
from cnnwidgets.panels.unit.atlas_unit import AtlasUnit, unit_in
from cnnwidgets.panels.unit.unit_pictures import WAITING, UnitPainter, UnitPicture

Pictures = Mapping[tuple[str, int], UnitPicture]  # by layer and unit


@dataclass(frozen=True, eq=False)
class Kept:
    """A frame: pictures of units, as far as they are there.

    Attributes:
        pictures: those of the connected units.
        atlas: what the atlas has of the unit itself; `None` where that was not asked for.
    """

    pictures: Pictures
    atlas: AtlasUnit | None = None
    step: int = 1
    steps: int = 1
    values: np.ndarray = field(default_factory=lambda: np.zeros(1))
    notes: tuple[str, ...] = ()
    is_step: bool = False


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
            yield Kept(dict(known), None, index * steps + max(progress.step, 1), len(groups) * steps)


def is_missing(picture: UnitPicture | None) -> bool:
    """Whether a picture could be rendered."""
    return picture is None or (picture.pixels is None and picture.note == WAITING)


def _by_layer(links: Sequence[Link]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for link in links:
        groups.setdefault(link.path, []).append(link.unit)
    return {path: tuple(dict.fromkeys(units)) for path, units in groups.items()}
