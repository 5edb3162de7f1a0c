"""The run of a UnitAttributionPanel: the shares first, then pictures of the units in its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.explain import targets
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.overlays.unit_tiles import UnitMaps, first_shown
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.unit_attribution import UnitAttribution, UnitAttributionSettings, default_layer
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.panels.unit.unit_pictures import UnitPainter, UnitPicture

MOST_ROWS = 10  # units that are shown together
Place = tuple[int, int]  # row and column of a pixel of the photograph


@dataclass(frozen=True, eq=False)
class UnitsRequest:
    """What is asked about.

    Attributes:
        net: the network.
        settings: of the verb, the layer by its path.
        picture: what the network sees.
        place: a pixel of the photograph whose units are shown; `None` for those of the whole picture.
        unit: the chosen unit, which has a row in any case.
    """

    net: Network
    settings: UnitAttributionSettings
    picture: HeldPicture
    place: Place | None
    unit: int | None

    def has_same_shares_as(self, other: UnitsRequest) -> bool:
        """Whether only the rows differ."""
        return self.picture is other.picture and self.settings.recorded() == other.settings.recorded()


@dataclass(frozen=True, eq=False, repr=False)
class UnitRowsFrame:
    """What is known so far: a frame of a UnitAttributionPanel.

    Attributes:
        request: what was asked.
        fingerprint: of the network when it was asked.
        found: what the verb returns.
        shown: the call whose units are in the rows.
        maps: its evidence on the photograph.
        predictions: all of them, the most probable class first; numbers that are not classes in their own order.
        rows: the units in the rows.
        shares: [k], what each unit contributes: at the chosen place, or over all of the picture.
        pictures: what units respond to, as far as it is there.
        step: 1, 2, ... `steps`.
        steps: how many there will be, as far as is known.
        values: [1], the target.
        notes: none.
    """

    request: UnitsRequest
    fingerprint: str
    found: tuple[UnitAttribution, ...]
    shown: UnitAttribution
    maps: UnitMaps
    predictions: tuple[Prediction, ...]
    rows: tuple[int, ...]
    shares: np.ndarray
    pictures: Mapping[int, UnitPicture]
    step: int
    steps: int
    values: np.ndarray
    notes: tuple[str, ...] = ()
    is_step = False  # nothing is optimized for the shares, so there is no curve


def unit_rows_frames(
    request: UnitsRequest, painter: UnitPainter, earlier: UnitRowsFrame | None
) -> Iterator[UnitRowsFrame]:
    """The shares at once, then pictures of the units that are shown: runs on the worker's thread.

    Args:
        request: what is asked.
        painter: renders units, and knows those that are rendered.
        earlier: a frame whose shares are taken over where only other rows are asked for.
    """
    frame = _shares(request, earlier)
    yield frame
    for progress in painter.frames(frame.shown.path, frame.shown.call, frame.rows):
        yield replace(frame, pictures=progress.by_unit, step=1 + progress.step, steps=1 + progress.steps)


def _shares(request: UnitsRequest, earlier: UnitRowsFrame | None) -> UnitRowsFrame:
    net, fingerprint = request.net, request.net.fingerprint()
    if earlier is not None and earlier.fingerprint == fingerprint and request.has_same_shares_as(earlier.request):
        frame, known = replace(earlier, request=request), earlier.pictures
    else:
        found = tuple(_attributed(request))
        shown = first_shown(found)
        maps, everything = UnitMaps(found=shown), predicted(net, request.picture, request.settings, {})
        values = np.array([shown.value], np.float32)
        frame = UnitRowsFrame(request, fingerprint, found, shown, maps, everything, (), shown.shares, {}, 1, 2, values)
        known = {}
    shares = shares_at(frame.shown, request.place)
    rows = chosen_rows(shares, request.place is not None, request.unit)
    return replace(frame, shares=shares, rows=rows, pictures=known, step=1, steps=2)


def _attributed(request: UnitsRequest) -> list[UnitAttribution]:
    """What the verb returns; a layer that is its default is left to it, since it then says what it chose."""
    net, settings = request.net, request.settings
    probe = Probe(net, request.picture.given, settings.size)
    wanted = targets.named(net, settings.target, settings.output, settings.of, settings.against)
    if settings.layer == default_layer(net, wanted):
        settings = replace(settings, layer=None)
    return settings.check(probe).result()


def predicted(
    net: Network, picture: HeldPicture, settings: UnitAttributionSettings, without: Mapping[str, Any]
) -> tuple[Prediction, ...]:
    """All lines of the output that is explained, with units switched off."""
    output = find_output(settings.output, net.outputs)
    return tuple(net.predict(picture.given, 10**9, output, size=settings.size, without=without or None))


def shares_at(found: UnitAttribution, place: Place | None) -> np.ndarray:
    """[k] the share of each unit, over the whole picture or at one of its pixels."""
    return found.shares if place is None else found.at(*place)


def chosen_rows(shares: np.ndarray, by_size: bool, unit: int | None) -> tuple[int, ...]:
    """The units for the rows.

    The strongest for the target and the strongest against it, half of the rows each where there are as many; or, with
    `by_size`, the strongest of both kinds together. The chosen unit stands at the end where it is none of them.
    """
    order = [int(u) for u in np.argsort(-np.abs(shares), kind="stable") if shares[u] != 0]
    if by_size:
        rows = order[:MOST_ROWS]
    else:
        speaks_for, against = [u for u in order if shares[u] > 0], [u for u in order if shares[u] < 0]
        room = max(MOST_ROWS // 2, MOST_ROWS - len(against))
        rows = speaks_for[:room]
        rows += against[: MOST_ROWS - len(rows)]
    if unit is not None and unit not in rows:
        rows = [*rows[: MOST_ROWS - 1], unit]
    return tuple(rows)
