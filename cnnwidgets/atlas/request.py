"""What is asked of an atlas, checked before anything is computed or written."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnwidgets.atlas.attributes import MOST_UNITS, Place, Settings, slug_for
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import is_list, whole_number
from cnnwidgets.model.device import device_kind
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.tracing.cost import SIDE_BY_SIDE
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.visualize.units import UnitsPlan, plan_units


@dataclass(frozen=True, eq=False)
class Request:
    """A checked request.

    Attributes:
        net: the network.
        plans: for each layer, the plan of all its units.
        units: those that are asked for, of any layer.
        settings: what all pictures have in common; versions and device are those of this process.
    """

    net: Network
    plans: dict[str, UnitsPlan]
    units: Container[int]
    settings: Settings

    def places(self, there: Sequence[Place], where: str) -> tuple[Place, ...]:
        """Where each layer lies, in the order of `plans`: where it is already, or at a place of its own.

        Raises:
            BadTarget: where a layer lies there in another shape.
        """
        paths = list(self.net.layers_by_path)
        known = {place.path_in(paths): place for place in there}
        taken = {place.path for place in there}
        numbers = itertools.count(1 + max((int(place.slug.partition("-")[0]) for place in there), default=-1))
        places = []
        for path, plan in self.plans.items():
            place = Place("", "", len(plan.units), side_by_side(plan), plan.canvas.shape, paths.index(path))
            old = known.get(path)
            if old is None:  # where another layer of that name is there, this one has another
                free = next(f"{path}{end}" for end in _endings() if f"{path}{end}" not in taken)
                old = replace(place, path=free, slug=slug_for(free, next(numbers)))
                taken.add(free)
            if (old.units, old.batch, old.shape) != (place.units, place.batch, place.shape):
                raise BadTarget(
                    f"The atlas {quoted(where)} has {quoted(path)} in batches of {old.batch} pictures of shape "
                    f"{list(old.shape)}, not {place.batch} of {list(place.shape)}. Choose another path."
                )
            places.append(old)
        return tuple(places)

    def plan_of(self, place: Place) -> UnitsPlan:
        """The plan of the layer that lies there."""
        return self.plans[place.path_in(list(self.net.layers_by_path))]

    def batches(self, place: Place) -> Iterator[tuple[int, ...]]:
        """The batches of a layer that hold a unit that is asked for.

        Always whole ones: a batch costs the same however many of its pictures are wanted, and is written at once.
        """
        for start in range(0, place.units, place.batch):
            units = tuple(range(start, min(start + place.batch, place.units)))
            if any(unit in self.units for unit in units):
                yield units


def _endings() -> Iterator[str]:
    return itertools.chain([""], (f"#{number}" for number in itertools.count(2)))


def side_by_side(plan: UnitsPlan) -> int:
    """How many pictures a layer's task paints: what is climbed in one graph."""
    return SIDE_BY_SIDE * plan.batch


def checked_request(
    net: Network | Any, layers: object, units: object, size: object, steps: int, recipe: str, seed: int
) -> Request:
    """Check what `render_atlas` was asked for.

    Raises:
        BadTarget, BadModel: what `visualize_units` would raise, for any of the layers.
    """
    net = as_network(net)
    wanted = _checked_units(units)
    infos = _checked_layers(net, layers)
    infos = [info for info in infos if any(unit in wanted for unit in range(info.units))]
    if not infos:
        raise BadTarget(f"None of the layers has one of the units {quoted(units)}. Give units that they have.")
    plans = {
        info.path: plan_units(net, info.path, range(info.units), size, steps, recipe, seed=seed)  # type: ignore[arg-type]
        for info in infos
    }
    first = next(iter(plans.values()))
    settings = Settings(
        network=net.name,
        fingerprint=net.fingerprint(),
        recipe=recipe,
        size=first.canvas.shape[:2],
        steps=first.steps,
        seed=first.seed,
        versions=installed_versions(),
        device=device_kind(),
    )
    return Request(net, plans, wanted, settings)


def _checked_layers(net: Network, layers: object) -> list[LayerInfo]:
    """The layers in the network's own order."""
    if layers is None:
        convolutions = [info for info in net.layers if info.kind == "conv" and info.units and info.calls]
        if not convolutions:
            raise BadTarget(f"{net!r} has no convolution. Name the layers to render.")
        return convolutions
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
    if isinstance(units, range):  # which may be long, and knows what is in it
        ends = [*units[:1], *units[-1:]]
        [whole_number("units", unit) for unit in ends]
        found: Container[int] = units
    else:
        ends = list(itertools.islice(units, MOST_UNITS))
        found = frozenset(whole_number("units", unit) for unit in ends)
    if not ends:
        raise BadTarget("units must name at least one unit, such as range(16), got none.")
    return found
