"""Checked requests for an atlas; checked before anything is computed or written."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.atlas.attributes import MOST_UNITS, Settings, StoredLayer, slug_for
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import is_list, whole_number
from cnnwidgets.model.backend import device_kind
from cnnwidgets.model.layers import LayerInfo, convolutions_of_any_axes
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.tracing.cost import SIDE_BY_SIDE
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings

if TYPE_CHECKING:
    from cnnwidgets.atlas.render_atlas import AtlasSettings


@dataclass(frozen=True, eq=False)
class Request:
    """A checked request.

    Attributes:
        net: the network.
        plans: for each layer, the plan of all its units.
        units: the requested units, for every layer.
        settings: of all pictures; versions and device are those of this process.
    """

    net: Network
    plans: dict[str, UnitsPlan]
    units: Container[int]
    settings: Settings

    def stored_layers(self, there: Sequence[StoredLayer], where: str) -> tuple[StoredLayer, ...]:
        """The array of each layer, in the order of `plans`: an existing one or a new one."""
        paths = list(self.net.layers_by_path)
        known = {stored.path_in(paths): stored for stored in there}
        taken = {stored.path for stored in there}
        numbers = itertools.count(1 + max((int(stored.slug.partition("-")[0]) for stored in there), default=-1))
        stored_layers = []
        for path, plan in self.plans.items():
            stored = StoredLayer("", "", len(plan.units), side_by_side(plan), plan.canvas.shape, paths.index(path))
            old = known.get(path)
            if old is None:  # where another layer of that name is there, this one has another
                free = next(f"{path}{end}" for end in _endings() if f"{path}{end}" not in taken)
                old = replace(stored, path=free, slug=slug_for(free, next(numbers)))
                taken.add(free)
            if (old.units, old.batch, old.shape) != (stored.units, stored.batch, stored.shape):
                raise BadTarget(
                    f"The atlas {quoted(where)} has {quoted(path)} in batches of {old.batch} pictures of shape "
                    f"{list(old.shape)}, not {stored.batch} of {list(stored.shape)}. Choose another path."
                )
            stored_layers.append(old)
        return tuple(stored_layers)

    def plan_of(self, stored: StoredLayer) -> UnitsPlan:
        """The plan of the layer that lies there."""
        return self.plans[stored.path_in(list(self.net.layers_by_path))]

    def batches(self, stored: StoredLayer) -> Iterator[tuple[int, ...]]:
        """The batches of a layer that contain a requested unit.

        Always whole ones: a batch costs the same for any number of pictures, and is written at once.
        """
        for start in range(0, stored.units, stored.batch):
            units = tuple(range(start, min(start + stored.batch, stored.units)))
            if any(unit in self.units for unit in units):
                yield units


def _endings() -> Iterator[str]:
    return itertools.chain([""], (f"#{number}" for number in itertools.count(2)))


def side_by_side(plan: UnitsPlan) -> int:
    """The number of pictures in a layer's batch: those optimized in one graph."""
    return SIDE_BY_SIDE * plan.batch


def checked_request(net: Network | Any, asked: AtlasSettings) -> Request:
    """Check the settings of `render_atlas`.

    Raises:
        BadTarget, BadModel: the errors of `visualize_units`, for any of the layers.
    """
    net = as_network(net)
    wanted = _checked_units(asked.units)
    infos = _checked_layers(net, asked.layers)
    infos = [info for info in infos if any(unit in wanted for unit in range(info.units))]
    if not infos:
        raise BadTarget(f"None of the layers has one of the units {quoted(asked.units)}. Choose units that they have.")
    plans = {
        info.path: UnitsSettings.given({**vars(asked), "layer": info.path, "units": range(info.units)}).check(net)
        for info in infos
    }
    first = next(iter(plans.values()))
    settings = Settings(
        network=net.name,
        fingerprint=net.fingerprint(),
        recipe=first.settings.recipe,
        size=first.canvas.shape[:2],
        steps=first.settings.steps,
        seed=first.settings.seed,
        versions=installed_versions(),
        device=device_kind(),
    )
    return Request(net, plans, wanted, settings)


def _checked_layers(net: Network, layers: object) -> list[LayerInfo]:
    """The layers in the network's own order."""
    if layers is None:
        found = convolutions_of_any_axes(net)
        if not found:
            raise BadTarget(f"{net!r} has no convolution. Name the layers to render.")
        return found
    if not is_list(layers):
        raise BadTarget(f"layers must be a list of paths, such as ['conv1'], got {quoted(layers)}.")
    asked = {net.layer(path).path for path in layers}
    if not asked:
        raise BadTarget("layers must name at least one layer, got none. Leave it out for all convolutions.")
    without = next((info for info in net.layers if info.path in asked and not info.units), None)
    if without is not None:
        raise BadTarget(f"The layer {quoted(without.path)} has no units. Choose another layer.")
    return [info for info in net.layers if info.path in asked]


def _checked_units(units: object) -> Container[int]:
    if units is None:
        return range(MOST_UNITS)
    if not is_list(units):
        raise BadTarget(f"units must be a list of indices, such as [3, 14] or range(16), got {quoted(units)}.")
    if isinstance(units, range):  # may be too long for a set
        ends = [*units[:1], *units[-1:]]
        [whole_number("units", unit) for unit in ends]
        found: Container[int] = units
    else:
        ends = list(itertools.islice(units, MOST_UNITS))
        found = frozenset(whole_number("units", unit) for unit in ends)
    if not ends:
        raise BadTarget("units must name at least one unit, such as range(16), got none.")
    return found
