"""Pictures of what the units of a layer respond to, with notes on inactive ones."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import last_of
from cnnwidgets.model.arguments import check_call, check_unit, is_list
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.tracing.cost import batch_size
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.batches import Tiles, UnitPictures, UnitsFrame, optimize, optimize_and_retry
from cnnwidgets.visualize.canvas_choice import canvas_for
from cnnwidgets.visualize.dead_units.retries import LabeledUnits, measured_once
from cnnwidgets.visualize.presets import BEFORE_ACTIVATION, named


def visualize_units(
    net: Network | Any,
    layer: str,
    units: Iterable[int],
    size: int | tuple[int, int] | None = None,
    steps: int = 32,
    recipe: str = "fourier",
    *,
    call: int = 0,
    held: Mapping[str, Any] | None = None,
    resize: bool = False,
    seed: int = 0,
) -> UnitPictures:
    """Pictures that maximize each unit of a layer, from noise (Olah et al., "Feature Visualization", Distill 2017).

    A unit that stays inactive is retried for 96 steps and with a second seed; the note of one that never fires says
    why. A unit's picture is the same bytes whichever other units are requested.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; an unambiguous last part is enough.
        units: their indices.
        size: pixels, or (height, width); 64, or a fixed network's own size, if not given.
        steps: 1 to 2048; readable at 32, best at 64.
        recipe: "fourier", "natural" or "textbook".
        call: which call of a shared layer.
        held: for a model with several inputs, the values of the others, by name; gray pictures and zeros if not given.
        resize: optimize at `size` although the network takes one other size only; the picture is resized on its way in.
        seed: the same seed, machine, versions and settings give the same bytes.

    Raises:
        BadTarget: for a layer, unit, size, number of steps or recipe that does not exist; before any computing.
        JobFailed: when the run diverges.

    Example:
        >>> pics = visualize_units(net, "fire5_concat", units=range(16), size=64, steps=32)
    """
    return last_of(UnitsSettings.given(locals()).check(net).frames()).result()


@dataclass(frozen=True, eq=False)
class UnitsSettings(Settings):
    """The settings of `visualize_units`."""

    layer: str
    units: Iterable[int]
    size: int | tuple[int, int] | None = None
    steps: int = setting(32, STEPS)
    recipe: str = "fourier"
    call: int = 0
    held: Mapping[str, Any] | None = setting(None, recorded=False)
    resize: bool = setting(False, recorded=False)
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any) -> UnitsPlan:
        """Check a request for pictures of units."""
        net = as_network(net)
        info = net.layer(self.layer)
        call = check_call(info, self.call)
        if not is_list(self.units):
            raise BadTarget(f"units must be a list of indices, such as [3, 14] or range(16), got {quoted(self.units)}.")
        units = tuple([check_unit(info, unit) for unit in self.units])
        if not units:
            raise BadTarget("units must name at least one unit, such as range(16), got none.")
        ascent = named(self.recipe)
        found = replace(self.checked(), layer=info.path, units=units, call=call)
        canvas = canvas_for(net, objectives.unit(info.path, units, call=call), self.size, 64, self.held, self.resize)
        return UnitsPlan(found, net, units, canvas, ascent, batch_size(net, info.path, canvas), info)


@dataclass(frozen=True, eq=False)
class UnitsPlan(Tiles):
    """A checked request for pictures of units.

    Attributes:
        settings: as given, each in its range.
        layer: their layer.
    """

    settings: UnitsSettings
    layer: LayerInfo

    @property
    def call(self) -> int:
        """Which call of the layer."""
        return self.settings.call

    def objective(self, units: Sequence[int]) -> objectives.Objective:
        """The units, before their activation where the preset says so."""
        return objectives.unit(
            self.layer.path, units, call=self.call, before_activation=BEFORE_ACTIVATION[self.settings.recipe]
        )

    def without_retries(self) -> UnitPictures:
        """Optimize all units from the same noise and leave the dead ones: pictures that differ by the weights alone."""
        return measured_once(self, last_of(optimize(self)))

    def whole_run(self) -> Iterator[UnitsFrame]:
        """Optimize all units, then retry the dead ones."""
        return optimize_and_retry(self, functools.partial(LabeledUnits, self))
