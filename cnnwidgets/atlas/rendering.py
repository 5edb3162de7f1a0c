"""Rendering of an atlas, here or on many workers; resumes where it stopped."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.atlas.atlas import Atlas, open_atlas
from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.batch import BatchRun
from cnnwidgets.atlas.optional_imports import needed
from cnnwidgets.atlas.payload import Payload, pack
from cnnwidgets.atlas.records import BatchResult, Records
from cnnwidgets.atlas.request import Request, checked_request
from cnnwidgets.atlas.store import add_layers, address, array_of, begin
from cnnwidgets.errors import JobFailed, quoted
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class Progress:
    """Progress of a rendering.

    Attributes:
        done: pictures in the atlas, including those of earlier renderings.
        total: pictures requested, in whole batches.
        failed: pictures that could not be rendered.
        seconds_left: at the pace so far; `None` if unknown.
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
    """Render what every unit of a network responds to, and store it; the pictures are those of `visualize_units`.

    Continues where it was stopped or killed: finished pictures are kept. A unit that cannot be rendered is marked with
    the reason, and retried by the next call. Needs `pip install "cnnwidgets[atlas]"`.

    Args:
        net: a Network or a bare Keras model.
        path: a folder, or any fsspec address; new, or an atlas with the same settings to continue.
        layers: their paths; all convolutions if not given.
        units: indices, for each layer that has them; all if not given. Rendered in whole batches of up to 16,
            which cost the same, so neighboring units may be included.
        size: pixels, or (height, width); 64, or a fixed network's own size, if not given.
        steps: 1 to 2048.
        recipe: "fourier", "natural" or "textbook".
        client: a `dask.distributed.Client`, to render on its workers; in this process if not given.
        seed: the same seed, device, versions and settings give the same bytes.
        allow_plain_tcp: use an unencrypted scheduler on another machine; anyone who reaches it can run code.

    Returns:
        The Atlas, opened for reading.

    Raises:
        BadTarget: for invalid settings, or a path with other contents; before anything is computed.
        BadModel: for a network that cannot be sent to the workers.
        JobFailed: when the cluster is lost, or the disk is full.

    Example:
        >>> atlas = render_atlas(load_network("squeezenet"), "atlas.zarr", layers=["conv1", "fire5_concat"])
    """
    for _ in AtlasSettings.given(locals()).check(net, path).frames():
        pass
    return open_atlas(path)


@dataclass(frozen=True, eq=False)
class AtlasSettings(Settings):
    """The settings of `render_atlas`."""

    layers: Iterable[str] | None = None
    units: Iterable[int] | None = None
    size: int | tuple[int, int] | None = None
    steps: int = setting(32, STEPS)
    recipe: str = "fourier"
    client: Client | None = None
    seed: int = setting(0, SEED)
    allow_plain_tcp: bool = False

    def check(self, net: Network | Any, path: str | os.PathLike[str]) -> Rendering:
        """Check a rendering.

        Raises:
            BadTarget, BadModel: what `render_atlas` raises before any computing.
        """
        needed("zarr")
        where, client = address(path), self.client
        if client is not None:
            needed("distributed")
            from cnnwidgets.atlas import cluster

            cluster.check_client(client, self.allow_plain_tcp)
        request = checked_request(net, self)
        if client is None:
            return Rendering(request, where)
        payload = pack(request.net)
        device, versions = cluster.common_environment(client)
        settings = replace(request.settings, device=device, versions=versions)
        return Rendering(replace(request, settings=settings), where, client, payload)


Batch = tuple[StoredLayer, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Rendering:
    """A checked rendering that has not started.

    Attributes:
        request: layers, units and settings.
        where: the address of the atlas.
        client: of a cluster, or `None` to render in this process.
        payload: the network as data for the workers.
    """

    request: Request
    where: str
    client: Client | None = None
    payload: Payload | None = None

    def frames(self) -> Generator[Progress, None, None]:
        """Render; yields at each point where it can be stopped. Finished pictures are always kept."""
        settings = self.request.settings
        group, there = begin(self.where, settings)
        stored_layers = self.request.stored_layers(there, self.where)
        add_layers(group, settings, there, tuple(stored for stored in stored_layers if stored not in there))
        records = Records(group, stored_layers, self.where)
        batches = [(stored, units) for stored in stored_layers for units in self.request.batches(stored)]
        missing = [(stored, units) for stored, units in batches if _lacks(records, stored, units)]
        tally = _Tally(total=sum(len(units) for _, units in batches), todo=sum(len(units) for _, units in missing))
        try:
            yield tally.progress()
            for made in self._made_here(missing, group) if self.client is None else self._made_there(missing):
                if made is not None:
                    stored, result = made
                    records.add(stored.path, result)
                    tally.count(result)
                yield tally.progress()
        finally:
            records.save()

    def _made_here(self, batches: Sequence[Batch], group: Any) -> Iterator[tuple[StoredLayer, BatchResult] | None]:
        """The batches, rendered in this process; `None` after each step."""
        for stored, units in batches:
            run = BatchRun(self.request.plan_of(stored), units)
            for _ in run:
                yield None
            try:
                result = run.write(array_of(group, stored, self.where))
            except OSError as error:
                raise JobFailed(
                    f"{quoted(self.where)} cannot be written: {error.strerror}. Finished pictures are kept; free some "
                    "space, and the same call continues."
                ) from error
            yield stored, result

    def _made_there(self, batches: Sequence[Batch]) -> Iterator[tuple[StoredLayer, BatchResult]]:
        """The batches, in the order in which workers finish them."""
        from cnnwidgets.atlas import cluster
        from cnnwidgets.atlas.worker_task import BatchTask

        assert self.client is not None and self.payload is not None
        tasks = [BatchTask(self.where, self.request.settings, stored, units) for stored, units in batches]
        with cluster.network_on_workers(self.client, self.payload):
            for task, result in cluster.results(self.client, tasks):
                yield task.stored, result


def _lacks(records: Records, stored: StoredLayer, units: Sequence[int]) -> bool:
    values = records.entries[stored.path].values
    return any(values[unit] is None for unit in units)


class _Tally:
    """Counts pictures and estimates the remaining time."""

    def __init__(self, total: int, todo: int) -> None:
        self._total, self._todo = total, todo
        self._made = self._failed = 0
        self._begun = time.monotonic()

    def count(self, result: BatchResult) -> None:
        self._made += len(result.values)
        self._failed += len(result.failed)

    def progress(self) -> Progress:
        ended = self._made + self._failed
        spent = time.monotonic() - self._begun
        left = spent / ended * (self._todo - ended) if ended else None
        return Progress(self._total - self._todo + self._made, self._total, self._failed, left)
