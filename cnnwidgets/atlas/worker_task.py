"""The tasks of a worker: render batches and write them into the atlas, or run pictures through the network."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cnnwidgets.atlas.attributes import Settings, StoredLayer, from_attributes
from cnnwidgets.atlas.examples.part_responses import PartResponses, PartTask, read_part, responses_to
from cnnwidgets.atlas.payload import Payload
from cnnwidgets.atlas.records import BatchResult
from cnnwidgets.atlas.rendering import BatchRun
from cnnwidgets.atlas.request import side_by_side
from cnnwidgets.atlas.store import array_of, open_group
from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import device_kind
from cnnwidgets.model.network import Network
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.visualize.units import UnitsSettings

_DEVICE = threading.Lock()  # a process renders one batch at a time, regardless of its worker's threads
_UNPACKING = threading.Lock()
_payloads: dict[str, Payload] = {}
_networks: dict[str, Network] = {}


@dataclass(frozen=True)
class BatchTask:
    """A batch to render."""

    where: str
    settings: Settings
    stored: StoredLayer
    units: tuple[int, ...]


def keep_network(payload: Payload) -> None:
    """Keep a network in this process; it is unpacked at first use."""
    _payloads[payload.fingerprint] = payload


def forget_network(fingerprint: str) -> None:
    """Forget a network."""
    _payloads.pop(fingerprint, None)
    _networks.pop(fingerprint, None)


def environment() -> tuple[str, dict[str, str]]:
    """The kind of device and the versions of this process, which affect the bytes of pictures."""
    return device_kind(), installed_versions()


def render_batch(task: BatchTask) -> BatchResult:
    """Render a batch and write it; an error becomes the reason of each unit."""
    try:
        with _DEVICE:
            run = _batch_run(task)
            for _ in run:
                pass
        group = open_group(task.where, "r+")
        if from_attributes(group.attrs, task.where)[0] != task.settings:
            raise JobFailed("The atlas was replaced by another one meanwhile. Start again.")
        return run.write(array_of(group, task.stored, task.where))
    except Exception as error:  # must not end other batches
        return BatchResult.failure(task.units, Failure.of(error).line)


def _batch_run(task: BatchTask) -> BatchRun:
    settings, stored = task.settings, task.stored
    if environment() != (settings.device, settings.versions):
        raise JobFailed(
            f"This worker's device or versions differ ({environment()}), so its pictures would not match. "
            "Install the same versions everywhere."
        )
    net = _network(settings.fingerprint)
    path, shape = stored.path_in(list(net.layers_by_path)), stored.shape[:2]
    asked = UnitsSettings(path, range(stored.units), shape, settings.steps, settings.recipe, seed=settings.seed)
    plan = asked.check(net)
    if side_by_side(plan) != stored.batch:
        raise JobFailed(
            f"This worker does not render {stored.batch} pictures side by side, so they would not match. "
            "Install the same versions everywhere."
        )
    return BatchRun(plan, task.units)


def find_responses(task: PartTask) -> PartResponses:
    """Read some pictures, and find the responses to them; reading needs no device."""
    net = _network(task.fingerprint)
    part = read_part(net, task.pictures, task.start)
    with _DEVICE:
        return responses_to(net, task.paths, part, task.worst)


def _network(fingerprint: str) -> Network:
    with _UNPACKING:
        if fingerprint not in _networks:
            _networks[fingerprint] = _payloads[fingerprint].unpack()
        return _networks[fingerprint]
