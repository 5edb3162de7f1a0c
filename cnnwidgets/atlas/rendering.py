"""Rendering of an atlas, here or on many workers; resumes where it stopped."""

from __future__ import annotations

import itertools
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples.search import ExampleSearch, Looked
from cnnwidgets.atlas.payload import Payload
from cnnwidgets.atlas.records import BatchResult, Records
from cnnwidgets.atlas.request import Request
from cnnwidgets.atlas.store import add_layers, array_of, begin
from cnnwidgets.errors import JobFailed, quoted
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import tf
from cnnwidgets.pictures import to_uint8
from cnnwidgets.visualize.batches import UnitPictures
from cnnwidgets.visualize.units import UnitsPlan

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
        looked: the search for examples in the user's pictures, which follows; `None` before it.
    """

    done: int
    total: int
    failed: int
    seconds_left: float | None
    looked: Looked | None = None


# Another batch size would give other bytes, so running out of memory fails the whole batch.
_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

Batch = tuple[StoredLayer, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Rendering:
    """A checked rendering that has not started.

    Attributes:
        request: layers, units and settings.
        where: the address of the atlas.
        client: of a cluster, or `None` to render in this process.
        payload: the network as data for the workers.
        search: for examples in the user's pictures.
    """

    request: Request
    where: str
    client: Client | None = None
    payload: Payload | None = None
    search: ExampleSearch | None = None

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
        if self.search is not None:
            layers = dict(zip(self.request.plans, stored_layers, strict=True))
            for looked in self.search.frames(group, layers, self.where):
                yield replace(tally.progress(), seconds_left=None, looked=looked)

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
        from cnnwidgets.atlas import cluster, dispatch
        from cnnwidgets.atlas.worker_task import BatchTask, render_batch

        assert self.client is not None and self.payload is not None
        tasks = [BatchTask(self.where, self.request.settings, stored, units) for stored, units in batches]
        layers = [list(layer) for _, layer in itertools.groupby(tasks, lambda task: task.stored.slug)]
        with cluster.network_on_workers(self.client, self.payload):
            for task, result in dispatch.results(self.client, layers, render_batch):
                if isinstance(result, dispatch.TaskFailed):
                    result = BatchResult.failure(task.units, str(result))
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


class BatchRun:
    """The rendering of a batch: iterate to run its steps, then `write` the pictures."""

    def __init__(self, plan: UnitsPlan, units: Sequence[int]) -> None:
        self._plan, self._units = plan, tuple(units)
        self._pictures = np.full((len(units), *plan.canvas.shape), 128, np.uint8)
        self._values: dict[int, float] = {}
        self._notes: dict[int, str] = {}
        self._failed: dict[int, str] = {}

    def __iter__(self) -> Iterator[None]:
        """Optimize; yields after each step."""
        return self._attempt(self._units)

    def _attempt(self, units: tuple[int, ...]) -> Iterator[None]:
        """Render these together; if that fails, each alone, to find out which one fails."""
        try:
            for frame in replace(self._plan, units=units).whole_run():
                last = frame
                yield
            self._take(last.result())
            return
        except Exception as error:  # the user's network may raise anything; other units continue
            failure = Failure.of(error)
            alone = len(units) == 1 or isinstance(error, _MEMORY)
        if alone:
            self._failed |= dict.fromkeys(units, failure.line)
            return
        for unit in units:
            yield from self._attempt((unit,))

    def _take(self, made: UnitPictures) -> None:
        pixels = to_uint8(made.pictures)
        for row, unit in enumerate(made.units):
            if not np.isfinite(made.values[row]):
                self._failed[unit] = f"its value is {made.values[row]}"
                continue
            self._pictures[unit - self._units[0]] = pixels[row]
            self._values[unit] = float(made.values[row])
            if made.notes[row]:
                self._notes[unit] = made.notes[row]

    def write(self, array: Any) -> BatchResult:
        array[self._units[0] : self._units[-1] + 1] = self._pictures
        return BatchResult(self._units, self._values, self._notes, self._failed)
