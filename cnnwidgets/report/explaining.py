"""The verb `explain`: predictions, heatmaps with their faithfulness, and the units that carried the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.regions import Region
from cnnwidgets.frame import last_of
from cnnwidgets.model.arguments import is_list
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, STEPS, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.report.explained_maps import ExplainedMaps
from cnnwidgets.report.explained_units import ExplainedUnits
from cnnwidgets.report.explanation import Drawing, Explanation
from cnnwidgets.report.subject import Subject

METHODS = ("grad_cam", "integrated_gradients", "occlusion")  # of a layer; by gradients of pixels; without a gradient
MOST_UNITS = 64
TOP = 5  # classes in the list of predictions


def explain(
    net: Network | Any,
    picture: object,
    target: int | str | Region | Callable[[Any], Any] | None = None,
    *,
    output: int | str | None = None,
    of: str = "logit",
    against: object = None,
    layer: str | None = None,
    methods: Sequence[str] = METHODS,
    units: int = 6,
    steps: int = 32,
    size: Size | None = None,
    seed: int = 0,
) -> Explanation:
    """Explain one prediction, to be kept: heatmaps and what they are worth, and the units that carried it.

    Where a part cannot be made, such as a heatmap of a layer in a network that has none with rows and columns, its note
    says why, and the other parts are made.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        target: a class index or name; the top class (of one sigmoid: the decision taken) if not given. Or a region, or
            a function of the model's output, as in `class_activation_map`.
        output: of a model with several, its index or name; the first one if not given. Predictions of all are listed.
        of: what of a class is explained: "logit", or "log_odds".
        against: why the target rather than this class, or these: their mean logit is subtracted.
        layer: of class activation maps and units; the last one before the class scores that has rows and columns, if
            not given.
        methods: names of heatmap methods, as in `class_activation_map` and `attribution`.
        units: how many of the strongest units are shown, 0 to 64.
        steps: of gradient ascent for the picture of each unit, 1 to 2048.
        size: at which the network looks, if not its own, as in `class_activation_map`.
        seed: the same seed, machine, versions and settings give the same bytes.

    Returns:
        An Explanation; its `save(folder)` writes it as pictures and a page. Each heatmap has its "deletion" and its
        "insertion" curve (arXiv:1806.07421), in 32 steps, with 5 random orders to compare with.

    Raises:
        BadTarget: for a class, output, layer, method or number that does not exist.
        BadPicture: for anything but a picture.
        BadModel: for a network whose numbers are not finite.

    Example:
        >>> cw.explain(net, "cat.jpg").save("why-tabby")
    """
    return last_of(ExplainSettings.given(locals()).check(net, picture).frames()).result()


def _checked_methods(_name: str, methods: object) -> tuple[str, ...]:
    given = [methods] if isinstance(methods, str) else list(methods) if is_list(methods) else []
    if not given:
        raise BadTarget(f"methods must be a list of heatmap methods, such as {list(METHODS)}, got {quoted(methods)}.")
    return tuple(dict.fromkeys(map(method_guide.check, given)))


@dataclass(frozen=True, eq=False)
class ExplainSettings(Settings):
    """The settings of `explain`."""

    target: Any = None
    output: int | str | None = None
    of: str = "logit"
    against: Any = None
    layer: str | None = None
    methods: Sequence[str] = setting(METHODS, _checked_methods)
    units: int = setting(6, Whole(0, MOST_UNITS))
    steps: int = setting(32, STEPS)
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, picture: object) -> ExplainPlan:
        """Check a request to explain a prediction.

        Raises:
            BadTarget, BadPicture, BadModel: the errors of `explain`.
        """
        found = self.checked()
        probe = Probe(net, picture, found.size)
        held = HeldPicture(probe.net, picture, found.size)
        if found.layer is not None:
            found = replace(found, layer=probe.net.layer(found.layer).path)
        wanted = probe.named(found.target, found.output, found.of, found.against)
        reading = probe.values(wanted)
        if wanted.function is None and wanted.region is None:
            found = replace(found, target=int(reading.unit[0]))
        found = replace(found, against=list(wanted.against) or None)
        return ExplainPlan(found, Subject(probe, held, wanted, reading, found))


@dataclass(frozen=True, eq=False, repr=False)
class ExplanationFrame:
    """How far an explanation is."""

    step: int
    steps: int
    doing: str
    explanation: Explanation | None = None

    def result(self) -> Explanation:
        """The explanation, once it is complete."""
        assert self.explanation is not None
        return self.explanation


@dataclass(frozen=True, eq=False)
class ExplainPlan:
    """A checked request to explain a prediction.

    Attributes:
        settings: as given, each in its range, the target as a class index.
        subject: network, picture and target.
    """

    settings: ExplainSettings
    subject: Subject

    def frames(self) -> Iterator[ExplanationFrame]:
        """One part after the other: an ExplanationFrame at each step."""
        maps, units = ExplainedMaps(self.subject), ExplainedUnits(self.subject)
        parts = [*maps.parts(), *units.parts()]
        steps = 100 * len(parts)
        for number, (doing, run) in enumerate(parts):
            for share in run():
                yield ExplanationFrame(max(1, round(100 * (number + min(share, 1.0)))), steps, doing)
        yield ExplanationFrame(steps, steps, "done", self._explanation(maps, units))

    def _explanation(self, maps: ExplainedMaps, units: ExplainedUnits) -> Explanation:
        subject, settings = self.subject, self.settings
        net, reading = subject.net, subject.reading
        info = net.outputs[subject.target.output]
        fed = [np.asarray(tensor) for tensor in subject.probe.feed]
        outputs = {one.name: tuple(net.predictions(fed, TOP, i)) for i, one in enumerate(net.outputs)}
        names = [net.inputs[i].name for i in net.picture_inputs]
        unit = int(reading.unit[0])
        return Explanation(
            network=net.name,
            target=settings.target if callable(settings.target) else unit,
            about=targets.describe(net, subject.target, unit),
            output=info.name,
            value=float(reading.value[0]),
            probability=subject.probability(),
            predictions=outputs[info.name],
            outputs=outputs,
            photographs=dict(zip(names, map(Drawing, map(subject.drawn, subject.photos)), strict=True)),
            heatmaps=tuple(maps.found),
            units=tuple(units.found),
            evidence=tuple(units.evidence),
            recipe=subject.facts(),
            notes=tuple(dict.fromkeys([*subject.notes(), *maps.notes, *units.notes])),
            class_outputs=frozenset(one.name for one in net.outputs if one.is_class_scores),
        )
