"""Pictures of what the units of a layer respond to, with notes on inactive ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array, Frame, last_of
from cnnwidgets.model.arguments import check_call, check_unit, is_list
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.tracing.cost import batch_size
from cnnwidgets.visualize import dead_units, objectives
from cnnwidgets.visualize.ascent import climb
from cnnwidgets.visualize.batches import Tiles, UnitPictures, UnitsFrame, paint
from cnnwidgets.visualize.canvas_choice import canvas_for
from cnnwidgets.visualize.presets import BEFORE_ACTIVATION, named
from cnnwidgets.visualize.terms.objective_values import both


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
    """Paint what each unit of a layer looks for, from noise (Olah et al., "Feature Visualization", Distill 2017).

    A unit that stays silent is tried again for 96 steps and with a second seed; one that never fires says so in its
    note. A unit's picture is the same bytes whichever other units are asked for.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; an unambiguous last part is enough.
        units: their indices.
        size: pixels, or (height, width); 64, or a fixed network's own size, if not given.
        steps: 1 to 2048; readable at 32, best at 64.
        recipe: "fourier" or "textbook".
        call: which call of a shared layer.
        held: for a model of several inputs, what the others get, by name; gray pictures and zeros if not given.
        resize: paint at `size` although the network takes one other size only; the picture is resized on its way in.
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
        """Check a request for pictures of units.

        Raises:
            BadTarget: what `visualize_units` raises before any computing.
        """
        net = as_network(net)
        info = net.layer(self.layer)
        call = check_call(info, self.call)
        if not is_list(self.units):
            raise BadTarget(f"units must be a list of indices, such as [3, 14] or range(16), got {quoted(self.units)}.")
        units = tuple(check_unit(info, unit) for unit in self.units)
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
        """The units, before their activation where the recipe says so."""
        return objectives.unit(
            self.layer.path, units, call=self.call, before_activation=BEFORE_ACTIVATION[self.settings.recipe]
        )

    def whole_run(self) -> Iterator[UnitsFrame]:
        """Paint, then try the silent units again."""
        for frame in paint(self):
            if frame.step < frame.steps:
                yield frame
        yield from _with_notes(self, frame)


def _with_notes(plan: UnitsPlan, painted: UnitsFrame) -> Iterator[UnitsFrame]:
    """The last frame: values re-measured on the 8-bit pictures, silent units tried again, notes on the hopeless."""

    def answer(pictures: Array, units: Sequence[int]) -> list[dead_units.Answer]:
        return dead_units.measure(plan.net, plan.layer, pictures, units, plan.batch, plan.call, plan.canvas)

    def again(units: Sequence[int], extra_seed: int) -> Iterator[Frame]:
        objective, ascent = objectives.unit(plan.layer.path, units, call=plan.call), named("fourier")
        if extra_seed:  # one place, and nothing moves: an edge has no mean, and a dense unit knows each pixel's place
            ascent = replace(ascent, transforms=())
            if plan.layer.is_spatial:
                objective = objectives.neuron(plan.layer.path, units, call=plan.call)
        return climb(plan.net, objective, plan.canvas, dead_units.STEPS, ascent, plan.settings.seed + extra_seed)

    pictures, notes = painted.pictures.copy(), [""] * len(plan.units)
    answers = answer(pictures, plan.units)
    silent = list(dict.fromkeys(unit for unit, a in zip(plan.units, answers, strict=True) if not a.highest > 0))
    rescued: dict[int, dead_units.Rescued] = {}
    total = painted.steps
    if silent:
        parts = -(-len(silent) // dead_units.BATCH)
        total += dead_units.SEEDS * dead_units.STEPS * parts + 1
        phase = f"retrying {len(silent)} inactive {'unit' if len(silent) == 1 else 'units'}"
        for done, so_far in enumerate(dead_units.rescue(silent, again, answer), painted.step):
            rescued = so_far
            yield UnitsFrame(pictures, min(done, total - 1), total, painted.values, units=plan.units, phase=phase)
    constant = dead_units.constants(answers, lambda change: answer(change(pictures), plan.units))
    for i, unit in enumerate(plan.units):
        found = rescued.get(unit, dead_units.Rescued())
        notes[i] = found.note or ("" if unit in rescued else constant[i])
        if found.picture is not None and found.answer is not None and BEFORE_ACTIVATION[plan.settings.recipe]:
            pictures[i], answers[i] = found.picture, found.answer
        elif found.picture is not None:
            notes[i] = (
                f"no gradient from this starting noise with recipe={plan.settings.recipe!r}; "
                "recipe='fourier' does activate the unit"
            )
    values = [a.mean_before if BEFORE_ACTIVATION[plan.settings.recipe] else a.mean for a in answers]
    noted = tuple(both(note, plan.random_note) for note in notes)
    yield UnitsFrame(pictures, total, total, np.array(values, np.float32), noted, plan.units)
