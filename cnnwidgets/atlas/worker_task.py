"""What a worker does: take a network out of its parcel once, then paint batch after batch into the atlas."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from cnnwidgets.atlas.attributes import Place, Settings, from_attributes
from cnnwidgets.atlas.batch import Making
from cnnwidgets.atlas.payload import Parcel
from cnnwidgets.atlas.records import Outcome
from cnnwidgets.atlas.request import side_by_side
from cnnwidgets.atlas.store import array_of, open_group
from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.device import device_kind
from cnnwidgets.model.network import Network
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.visualize.units import plan_units

_DEVICE = threading.Lock()  # a process paints one batch at a time, however many threads its worker has
_parcels: dict[str, Parcel] = {}
_networks: dict[str, Network] = {}


@dataclass(frozen=True)
class Order:
    """A batch to be painted.

    Attributes:
        where: the address of the atlas.
        settings: of the atlas.
        place: where the layer lies in it.
        units: the batch.
    """

    where: str
    settings: Settings
    place: Place
    units: tuple[int, ...]


def deliver(parcel: Parcel) -> None:
    """Keep a network for this process; it is unpacked when it is first needed."""
    _parcels[parcel.fingerprint] = parcel


def take_back(fingerprint: str) -> None:
    """Forget a network."""
    _parcels.pop(fingerprint, None)
    _networks.pop(fingerprint, None)


def conditions() -> tuple[str, dict[str, str]]:
    """What, beside the settings, decides the bytes that this process makes: the kind of device, and versions."""
    return device_kind(), installed_versions()


def fulfil(order: Order) -> Outcome:
    """Paint a batch and write it; whatever goes wrong becomes a reason for each of its units."""
    try:
        with _DEVICE:
            making = _making(order)
            for _ in making:
                pass
        group = open_group(order.where, "r+")
        if from_attributes(group.attrs, order.where)[0] != order.settings:
            raise JobFailed("The atlas was replaced by another one meanwhile. Start again.")
        return making.write(array_of(group, order.place, order.where))
    except Exception as error:  # it must not end the others' work
        return Outcome.failure(order.units, Failure.of(error).line)


def _making(order: Order) -> Making:
    settings, place = order.settings, order.place
    if conditions() != (settings.device, settings.versions):
        raise JobFailed(
            f"This worker's device or versions differ ({conditions()}), so its pictures would not match. "
            "Install the same versions everywhere."
        )
    if settings.fingerprint not in _networks:
        _networks[settings.fingerprint] = _parcels[settings.fingerprint].unpack()
    net = _networks[settings.fingerprint]
    path, shape = place.path_in(list(net.layers_by_path)), place.shape[:2]
    plan = plan_units(net, path, range(place.units), shape, settings.steps, settings.recipe, seed=settings.seed)
    if side_by_side(plan) != place.batch:
        raise JobFailed(
            f"This worker does not render {place.batch} pictures side by side, so they would not match. "
            "Install the same versions everywhere."
        )
    return Making(plan, order.units)
