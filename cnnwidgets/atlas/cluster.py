"""A Dask cluster: local workers, checks of a client, and the network on the workers.

Whoever reaches a plain TCP scheduler can run code on its workers: https://distributed.dask.org/en/stable/tls.html
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing import resource_tracker
from typing import Any
from urllib.parse import urlsplit

from distributed import Client, LocalCluster, WorkerPlugin

from cnnwidgets.atlas.payload import Payload
from cnnwidgets.atlas.worker_task import environment, forget_network, keep_network
from cnnwidgets.errors import BadTarget, JobFailed, quoted

SAFE_SCHEMES = {"inproc", "tls", "wss"}


def local_cluster(workers: int) -> LocalCluster:
    """Workers on this machine, one process each, that nobody else can reach; no dashboard.

    Only this process receives a Ctrl-C in the terminal: it shuts the workers down.
    """
    with _block_interrupts():
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
def _block_interrupts() -> Iterator[None]:
    """Block SIGINT in threads and processes started in this context and in their children; not on Windows."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    resource_tracker.ensure_running()  # started later, it would unblock the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_client(client: object, allow_plain_tcp: bool) -> None:
    """Refuse anything but a client, and a scheduler that strangers can reach."""
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
    """Whether strangers cannot reach a scheduler: it is encrypted, or local to this machine."""
    parts = urlsplit(address)
    if parts.scheme in SAFE_SCHEMES:
        return True
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def common_environment(client: Client) -> tuple[str, dict[str, str]]:
    """The device and versions that all workers have in common.

    Raises:
        BadTarget: if they differ: so would their pictures.
    """
    workers: Sequence[Any] = list(client.nthreads()) or [None]  # none yet: the first to come
    asked = [client.submit(environment, workers=worker, allow_other_workers=True, pure=False) for worker in workers]
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


class NetworkPlugin(WorkerPlugin):
    """Sends a network to every worker, including those that join later."""

    def __init__(self, payload: Payload) -> None:
        self.payload = payload
        self.name = f"cnnwidgets-{payload.fingerprint}"

    def setup(self, worker: Any) -> None:
        keep_network(self.payload)

    def teardown(self, worker: Any) -> None:
        forget_network(self.payload.fingerprint)


@contextlib.contextmanager
def network_on_workers(client: Client, payload: Payload) -> Iterator[None]:
    """Keep the network on the workers during the context."""
    plugin = NetworkPlugin(payload)
    _register(client, plugin)
    try:
        yield
    finally:
        with contextlib.suppress(Exception):  # a cluster that is gone has forgotten it
            client.unregister_worker_plugin(plugin.name)


def _register(client: Client, plugin: NetworkPlugin, attempts: int = 5) -> None:
    """Register with retries: a worker that dies meanwhile makes it fail until the scheduler has noticed."""
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
