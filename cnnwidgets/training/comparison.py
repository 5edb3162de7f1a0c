"""Two networks side by side: the same units at the same seed, the same heatmap, predictions, and what moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.activations.compare import Moments, partners, responses
from cnnwidgets.errors import BadTarget, CnnWidgetsError, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.class_activation_map import class_activation_map
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import pictures_in
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.visualize.batches import UnitPictures
from cnnwidgets.visualize.units import UnitsPlan, UnitsSettings

COUNT = 8  # units that are shown where none are named
PAPER = 0.5  # brightness of what is not rendered yet


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two networks, compared.

    Attributes:
        layer: its path in the network before.
        layer_after: its path in the network after.
        units: those that are shown, the one that moved most first where none were named.
        before: their pictures, `None` until they are made.
        after: their pictures in the other network, at the same seed.
        moved: [k] for all units of the layer, 0..2, as `compare_units` returns; `None` without pictures to compare by.
        heat_before: heatmaps of the picture, one for each call of the layer; empty without one.
        heat_after: those of the other network.
        predictions_before: of the picture, best first; empty without one.
        predictions_after: those of the other network.
        only_before: paths of layers without a partner in the other network.
        only_after: paths of the other network's layers without a partner.
        notes: on what could not be compared.
    """

    layer: str
    layer_after: str
    units: tuple[int, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    before: UnitPictures | None = None
    after: UnitPictures | None = None
    moved: Array | None = None
    heat_before: Sequence[Heatmap] = ()
    heat_after: Sequence[Heatmap] = ()
    predictions_before: Sequence[Prediction] = ()
    predictions_after: Sequence[Prediction] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class ComparisonFrame(Frame):
    """A step of a comparison: `pictures` are those of the network before, then those of the network after."""

    comparison: Comparison | None = None


@dataclass(frozen=True, eq=False)
class ComparisonSettings(Settings):
    """The settings of a comparison."""

    layer: str | None = None
    units: Iterable[int] | None = None
    size: int | tuple[int, int] | None = None
    steps: int = setting(32, STEPS)
    recipe: str = "fourier"
    seed: int = setting(0, SEED)

    def check(self, before: Network, after: Network, picture: object, pictures: object) -> ComparisonPlan:
        """Check a comparison.

        Raises:
            BadTarget: for a layer that one of the networks does not have, and for a unit, size, number of steps or
                preset that does not exist.
            BadPicture: for what is not a picture, or not a list of them.
        """
        found = self.checked()
        matched, only_before, only_after = partners(before, after)
        if not matched:
            raise BadTarget(
                f"{quoted(before.name)} and {quoted(after.name)} have no layer in common, of one path and as many "
                "units. Compare networks of one architecture, or one with the backbone inside it."
            )
        path = _default_layer(before, matched) if found.layer is None else _known(before, found.layer, matched)
        count = before.layer(path).units
        units = tuple(range(min(COUNT, count))) if found.units is None else found.units
        plans = [
            UnitsSettings(layer, units, found.size, found.steps, found.recipe, seed=found.seed).check(net)
            for net, layer in ((before, path), (after, matched[path]))
        ]
        given = [] if pictures is None else list(pictures_in(pictures))
        for net in (before, after):
            for one in (*given, *([] if picture is None else [picture])):
                net.fitted(net.opened(one))
        if not given and picture is not None:
            given = [picture]
        settings = replace(found, layer=path, units=None if found.units is None else plans[0].units)
        start = Comparison(path, matched[path], plans[0].units, only_before, only_after)
        return ComparisonPlan(settings, (before, after), plans, picture, given, start, matched)


def _default_layer(before: Network, matched: dict[str, str]) -> str:
    """The layer of heatmaps where both have it, or else the last with rows and columns, or the last of all."""
    try:
        path = reachability.default_layer(before, targets.named(before, None, None))
    except BadTarget:
        path = ""
    spatial = [one for one in matched if before.layer(one).is_spatial]
    return path if path in matched else (spatial or list(matched))[-1]


def _known(before: Network, layer: object, matched: dict[str, str]) -> str:
    backwards = {after: path for path, after in matched.items()}
    if isinstance(layer, str) and layer in backwards:
        return backwards[layer]
    path = before.layer(layer).path
    if path in matched:
        return path
    raise BadTarget(
        f"The layer {quoted(path)} has no partner of as many units in the network after. Choose one of: "
        f"{', '.join(list(matched)[-10:])}."
    )


@dataclass(frozen=True, eq=False)
class ComparisonPlan:
    """A checked comparison.

    Attributes:
        settings: as given, each in its range, the layer in full.
        networks: before and after.
        plans: the pictures of units of either.
        picture: that heatmaps and predictions are of; `None` for none.
        pictures: by which units are compared.
        start: what is known beforehand.
        matched: the layers that both have, by path before.
    """

    settings: ComparisonSettings
    networks: tuple[Network, Network]
    plans: Sequence[UnitsPlan]
    picture: object
    pictures: Sequence[object]
    start: Comparison
    matched: Mapping[str, str]

    @property
    def steps(self) -> int:
        """Of the whole run: a step for each picture, those of both galleries, and one for heatmaps and predictions."""
        return len(self.pictures) + 2 * self.settings.steps + 1

    def frames(self) -> Iterator[ComparisonFrame]:
        """Compare responses, then visualize the units that moved most, then look at the picture."""
        known, step = self.start, 0
        moments = Moments()
        blank = np.full((2 * len(known.units), *self.plans[0].canvas.shape), PAPER, np.float32)
        for picture in self.pictures:
            try:
                moments.add(*responses(self.networks, (known.layer, known.layer_after), picture))
            except CnnWidgetsError as error:
                known = replace(known, notes=(*known.notes, f"not ranked: {error}"))
                break
            step += 1
            yield self._frame(blank, step, known)
        if step and not known.notes:
            known = self._ranked(known, moments.distances())
        plans = [self._plan_of(which, known.units) for which in (0, 1)]
        shown = blank.copy()
        for which, plan in enumerate(plans):
            rows = slice(which * len(known.units), (which + 1) * len(known.units))
            for frame in plan.frames():
                shown = shown.copy()
                shown[rows] = frame.pictures
                done = len(self.pictures) + which * self.settings.steps + min(frame.step, self.settings.steps)
                yield self._frame(shown, done, known, frame.values, frame.is_step)
            made = frame.result()
            known = replace(known, after=made) if which else replace(known, before=made)
        known = self._looked(known)
        yield self._frame(shown, self.steps, known, is_step=False)

    def _frame(
        self, shown: Array, step: int, known: Comparison, values: Any = None, is_step: bool = False
    ) -> ComparisonFrame:
        numbers = np.zeros(1, np.float32) if values is None else values
        return ComparisonFrame(shown, step, self.steps, numbers, is_step=is_step, comparison=known)

    def _ranked(self, known: Comparison, moved: Array) -> Comparison:
        """The units that moved most, where none were named."""
        known = replace(known, moved=moved)
        if self.settings.units is not None:
            return known
        order = np.argsort(-moved, kind="stable")[: len(known.units)]
        return replace(known, units=tuple(int(unit) for unit in order))

    def _plan_of(self, which: int, units: tuple[int, ...]) -> UnitsPlan:
        plan = self.plans[which]
        return plan if units == plan.units else replace(plan.settings, units=units).check(plan.net)

    def _looked(self, known: Comparison) -> Comparison:
        """Heatmaps and predictions of the picture; what one of the networks cannot do is noted."""
        if self.picture is None:
            return known
        notes = list(known.notes)

        def made(what: str, make: Callable[[], Sequence[Any]]) -> Sequence[Any]:
            try:
                return make()
            except CnnWidgetsError as error:
                notes.append(f"no {what}: {error}")
                return ()

        before, after = self.networks
        return replace(
            known,
            heat_before=made("heatmap before", lambda: class_activation_map(before, self.picture, known.layer)),
            heat_after=made("heatmap after", lambda: class_activation_map(after, self.picture, known.layer_after)),
            predictions_before=made("predictions before", lambda: before.predict(self.picture)),
            predictions_after=made("predictions after", lambda: after.predict(self.picture)),
            notes=tuple(notes),
        )
