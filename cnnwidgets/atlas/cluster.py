"""The work shared out to the workers of a Dask cluster: a task for each batch, in bounded numbers.

Whoever reaches a plain TCP scheduler can run code on its workers: https://distributed.dask.org/en/stable/tls.html
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import resource_tracker
from typing import Any
from urllib.parse import urlsplit

from distributed import CancelledError, Client, KilledWorker, LocalCluster, WorkerPlugin, as_completed

from cnnwidgets.atlas.payload import Parcel
from cnnwidgets.atlas.records import Outcome
from cnnwidgets.atlas.worker_task import Order, conditions, deliver, fulfil, take_back
from cnnwidgets.errors import BadTarget, JobFailed, quoted

WAITING = 2  # tasks at the scheduler for each thread of a worker: one is painted while the next one waits
SAFE_SCHEMES = {"inproc", "tls", "wss"}


def local_cluster(workers: int) -> LocalCluster:
    """Workers on this machine, a process each, that nobody else can reach; no dashboard.

    A Ctrl-C in the terminal is heard by this process alone: it ends the workers in good order.
    """
    with _deaf_to_interrupts():
        return LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=0,  # an equal share may be less than TensorFlow takes, and then a worker pauses for ever
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
            silence_logs=logging.CRITICAL,
        )


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Threads and processes that are begun in here, and by those, do not hear SIGINT; Windows has no such mask."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # begun later, it would lift the mask again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_client(client: object, allow_plain_tcp: bool) -> None:
    """Refuse what is no client, and a scheduler that strangers can reach.

    Raises:
        BadTarget: with what to do instead.
    """
    if not isinstance(client, Client) or client.asynchronous:
        raise BadTarget(f"client must be a synchronous dask.distributed.Client or None, got {quoted(client)}.")
    if client.scheduler is None or client.status != "running":
        raise BadTarget("This client is closed. Connect a new one: dask.distributed.Client(...).")
    address = str(client.scheduler.address)
    if not (allow_plain_tcp or is_safe(address)):
        raise BadTarget(
            f"The scheduler at {quoted(address)} is not encrypted, so anyone who reaches it can run code on its "
            "workers. Use TLS (dask.distributed.Security), or pass allow_plain_tcp=True in a network you trust."
        )


def is_safe(address: str) -> bool:
    """Whether no stranger can reach a scheduler: it is encrypted, or does not leave this machine."""
    parts = urlsplit(address)
    if parts.scheme in SAFE_SCHEMES:
        return True
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def conditions_of(client: Client) -> tuple[str, dict[str, str]]:
    """The device and versions that all workers have in common.

    Raises:
        BadTarget: where they have not: their pictures would differ.
    """
    workers: Sequence[Any] = list(client.nthreads()) or [None]  # none yet: whichever comes first
    asked = [client.submit(conditions, workers=worker, allow_other_workers=True, pure=False) for worker in workers]
    try:
        found = client.gather(asked)
    except Exception as error:  # a worker that cannot even import the package, or died of it
        raise JobFailed(
            f"A worker cannot render: {quoted(str(error), 160)}. Install cnnwidgets and TensorFlow on each."
        ) from error
    other = next((one for one in found if one != found[0]), None)
    if other is not None:
        differing = sorted(set(found[0][1].items()) ^ set(other[1].items())) or [found[0][0], other[0]]
        raise BadTarget(
            f"The workers would render different bytes: {quoted(differing, 160)}. Use one kind of device and the same "
            "versions on all of them."
        )
    device, versions = found[0]
    return device, versions


class Delivery(WorkerPlugin):
    """Brings a network to every worker, those that come later too."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.name = f"cnnwidgets-{parcel.fingerprint}"

    def setup(self, worker: Any) -> None:
        """Hand it over."""
        deliver(self.parcel)

    def teardown(self, worker: Any) -> None:
        """Take it back."""
        take_back(self.parcel.fingerprint)


@contextlib.contextmanager
def delivered(client: Client, parcel: Parcel) -> Iterator[None]:
    """The network is on the workers while the body runs."""
    plugin = Delivery(parcel)
    _register(client, plugin)
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # a cluster that is gone has forgotten it
            client.unregister_worker_plugin(plugin.name)


def _register(client: Client, plugin: Delivery, attempts: int = 5) -> None:
    """Register it; a worker that dies meanwhile makes that fail, and a moment later it is forgotten."""
    for attempt in range(1, attempts + 1):
        try:
            client.register_plugin(plugin)
            return
        except OSError as error:
            if attempt == attempts:
                raise JobFailed(
                    f"The workers cannot be reached: {quoted(str(error), 160)}. Restart the cluster."
                ) from error
        time.sleep(attempt)


def outcomes(
    client: Client, orders: Sequence[Order], work: Callable[[Order], Outcome] = fulfil
) -> Iterator[tuple[Order, Outcome]]:
    """What became of each order, as it becomes known.

    An order whose workers were killed again and again may be to blame, or an innocent neighbour of one that is: it is
    tried once more at the end, alone.

    Raises:
        JobFailed: when the cluster is lost.
    """
    suspects: list[Order] = []
    yield from _shared_out(client, orders, work, suspects, _Room(client))
    guilty: list[Order] = []
    yield from _shared_out(client, suspects, work, guilty, lambda: 1)
    for order in guilty:
        yield order, Outcome.failure(order.units, "the workers that rendered it were killed; is there enough memory?")


def _shared_out(
    client: Client,
    orders: Sequence[Order],
    work: Callable[[Order], Outcome],
    killers: list[Order],
    room: Callable[[], int],
) -> Iterator[tuple[Order, Outcome]]:
    """Keep the cluster busy with a few orders at a time; those that kill their workers are put aside."""
    waiting, running = iter(orders), {}
    completed = as_completed()

    def submit(count: int) -> None:
        for _, order in zip(range(count), waiting, strict=False):
            future = client.submit(work, order, pure=False)
            running[future] = order
            completed.add(future)

    try:
        submit(room())
        while running:
            future = next(completed)
            order = running.pop(future)
            outcome = _outcome(future, order, killers)
            submit(room() - len(running))
            if outcome is not None:
                yield order, outcome
    finally:
        with contextlib.suppress(Exception):  # a cluster that is gone has nothing to cancel
            client.cancel(list(running))


class _Room:
    """How many tasks may be at the scheduler at once; workers come and go, so it is asked again every second."""

    def __init__(self, client: Client) -> None:
        self._client, self._asked, self._room = client, float("-inf"), 1

    def __call__(self) -> int:
        now = time.monotonic()
        if now - self._asked >= 1:
            self._asked, self._room = now, max(1, WAITING * sum(self._client.nthreads().values()))
        return self._room


def _outcome(future: Any, order: Order, killers: list[Order]) -> Outcome | None:
    try:
        outcome: Outcome = future.result()
        return outcome
    except KilledWorker:
        killers.append(order)
        return None
    except CancelledError as error:
        raise JobFailed(
            "The cluster was lost. What is done is kept; the same call goes on where it stopped."
        ) from error
    except Exception as error:  # not of the painting, whose errors are outcomes: of the journey there and back
        return Outcome.failure(order.units, quoted(str(error), 200))
