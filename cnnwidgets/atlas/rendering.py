"""Render an atlas: here or on many workers, resumed wherever it stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.atlas.atlas import Atlas, open_atlas
from cnnwidgets.atlas.attributes import Place
from cnnwidgets.atlas.batch import Making
from cnnwidgets.atlas.optional_imports import needed
from cnnwidgets.atlas.payload import Parcel, pack
from cnnwidgets.atlas.records import Ledger, Outcome
from cnnwidgets.atlas.request import Request, checked_request
from cnnwidgets.atlas.store import add_layers, address, array_of, begin
from cnnwidgets.errors import JobFailed, quoted
from cnnwidgets.model.network import Network

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Progress:
    """How far a rendering has come.

    Attributes:
        done: pictures that are there, those of earlier renderings too.
        total: that were asked for, in whole batches.
        failed: that could not be made.
        seconds_left: at the pace so far; `None` while that is not known.
    """

    done: int
    total: int
    failed: int
    seconds_left: float | None


def render_atlas(
    net: Network | Any,
    path: str | os.PathLike[str],
    layers: Iterable[str] | None = None,
    units: Iterable[int] | None = None,
    size: int | tuple[int, int] | None = None,
    steps: int = 32,
    recipe: str = "fourier",
    client: Client | None = None,
    seed: int = 0,
    *,
    allow_plain_tcp: bool = False,
) -> Atlas:
    """Paint what every unit of a network looks for, and keep it; the pictures are those of `visualize_units`.

    It goes on where it was stopped, or killed: what is done stays done. A unit that cannot be painted is marked with
    the reason, and tried again the next time. Needs `pip install "cnnwidgets[atlas]"`.

    Args:
        net: a Network or a bare Keras model.
        path: a folder, or any fsspec address; new, or an atlas of the same settings to go on with.
        layers: their paths; all convolutions if not given.
        units: indices, for each layer as far as it has them; all if not given. Painted in whole batches of up to 16,
            which cost the same, so that neighbours may come along.
        size: pixels, or (height, width); 64, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        recipe: "fourier", "natural" or "textbook".
        client: a `dask.distributed.Client`, to paint on its workers; here if not given.
        seed: the same seed, device, versions and settings give the same bytes.
        allow_plain_tcp: use a scheduler on another machine without encryption, where whoever reaches it can run code.

    Returns:
        The Atlas, opened for reading.

    Raises:
        BadTarget: for settings that cannot be, or a path that holds anything else; before anything is computed.
        BadModel: for a network that cannot travel to the workers.
        JobFailed: when the cluster is lost, or the disk is full.

    Example:
        >>> atlas = render_atlas(load_network("squeezenet"), "atlas.zarr", layers=["conv1", "fire5_concat"])
    """
    rendering = plan_rendering(net, path, layers, units, size, steps, recipe, client, seed, allow_plain_tcp)
    for _ in rendering.frames():
        pass
    return open_atlas(path)


def plan_rendering(
    net: Network | Any,
    path: str | os.PathLike[str],
    layers: Iterable[str] | None = None,
    units: Iterable[int] | None = None,
    size: int | tuple[int, int] | None = None,
    steps: int = 32,
    recipe: str = "fourier",
    client: Client | None = None,
    seed: int = 0,
    allow_plain_tcp: bool = False,
) -> Rendering:
    """Check a rendering; the arguments are those of `render_atlas`."""
    needed("zarr")
    where = address(path)
    if client is not None:
        needed("distributed")
        from cnnwidgets.atlas import cluster

        cluster.check_client(client, allow_plain_tcp)
    request = checked_request(net, layers, units, size, steps, recipe, seed)
    if client is None:
        return Rendering(request, where)
    parcel = pack(request.net)
    device, versions = cluster.conditions_of(client)
    settings = replace(request.settings, device=device, versions=versions)
    return Rendering(replace(request, settings=settings), where, client, parcel)


Batch = tuple[Place, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Rendering:
    """A checked rendering: what will be done, known before it starts.

    Attributes:
        request: what is asked for.
        where: the address of the atlas.
        client: of a cluster, or `None` to paint here.
        parcel: the network as it travels to the cluster.
    """

    request: Request
    where: str
    client: Client | None = None
    parcel: Parcel | None = None

    def frames(self) -> Generator[Progress, None, None]:
        """Render; yields whenever it is worth hearing a Stop. Whenever it ends, what is done is kept."""
        settings = self.request.settings
        group, there = begin(self.where, settings)
        places = self.request.places(there, self.where)
        add_layers(group, settings, there, tuple(place for place in places if place not in there))
        ledger = Ledger(group, places, self.where)
        batches = [(place, units) for place in places for units in self.request.batches(place)]
        missing = [(place, units) for place, units in batches if _lacks(ledger, place, units)]
        tally = _Tally(total=sum(len(units) for _, units in batches), todo=sum(len(units) for _, units in missing))
        try:
            yield tally.progress()
            for made in self._made_here(missing, group) if self.client is None else self._made_there(missing):
                if made is not None:
                    place, outcome = made
                    ledger.note(place.path, outcome)
                    tally.count(outcome)
                yield tally.progress()
        finally:
            ledger.save()

    def _made_here(self, batches: Sequence[Batch], group: Any) -> Iterator[tuple[Place, Outcome] | None]:
        """Each batch, climbed here; `None` after each step of it."""
        for place, units in batches:
            making = Making(self.request.plan_of(place), units)
            for _ in making:
                yield None
            try:
                outcome = making.write(array_of(group, place, self.where))
            except OSError as error:
                raise JobFailed(
                    f"{quoted(self.where)} cannot be written: {error.strerror}. What is done is kept; make room, and "
                    "the same call goes on."
                ) from error
            yield place, outcome

    def _made_there(self, batches: Sequence[Batch]) -> Iterator[tuple[Place, Outcome]]:
        """Each batch, as the workers report it."""
        from cnnwidgets.atlas import cluster
        from cnnwidgets.atlas.worker_task import Order

        assert self.client is not None and self.parcel is not None
        orders = [Order(self.where, self.request.settings, place, units) for place, units in batches]
        with cluster.delivered(self.client, self.parcel):
            for order, outcome in cluster.outcomes(self.client, orders):
                yield order.place, outcome


def _lacks(ledger: Ledger, place: Place, units: Sequence[int]) -> bool:
    values = ledger.entries[place.path].values
    return any(values[unit] is None for unit in units)


class _Tally:
    """Counts pictures, and says how long the rest will take."""

    def __init__(self, total: int, todo: int) -> None:
        self._total, self._todo = total, todo
        self._made = self._failed = 0
        self._begun = time.monotonic()

    def count(self, outcome: Outcome) -> None:
        self._made += len(outcome.values)
        self._failed += len(outcome.failed)

    def progress(self) -> Progress:
        ended = self._made + self._failed
        spent = time.monotonic() - self._begun
        left = spent / ended * (self._todo - ended) if ended else None
        return Progress(self._total - self._todo + self._made, self._total, self._failed, left)
