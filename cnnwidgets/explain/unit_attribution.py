"""Which units of a layer carried a decision: each unit's activation times the target's gradient, summed over positions.

The channel attribution of Olah et al., "The Building Blocks of Interpretability" (Distill 2018). The sum over units is
that of HiResCAM (arXiv:2011.08891).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.class_activation_map import source_of
from cnnwidgets.explain.heatmap import ROUNDING, Heatmap, MapNotes, MapSource, finish, with_picture_notes
from cnnwidgets.explain.methods.map_runs import note_if_zero
from cnnwidgets.explain.passes import BackwardPass, Probe
from cnnwidgets.explain.regions import Region
from cnnwidgets.explain.targets import Reading, Target
from cnnwidgets.explain.traced.traced_passes import why_no_map
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_unit
from cnnwidgets.model.backend import keras
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, Settings, setting
from cnnwidgets.model.sizes.picture_size import Size

SCORES = "scores: this layer's units are the class scores after the softmax or sigmoid; choose an earlier layer"
MOST_ALIKE = 0.98  # correlation of the shares of two classes from which on they hardly differ


@dataclass(frozen=True, eq=False, repr=False)
class UnitAttribution:
    """The part of each unit of a layer in a decision.

    Attributes:
        path: of the layer.
        call: which call of the layer, in the order Keras runs them.
        input: the picture input that this call sees; `None` where it sees several.
        target: the class index that is explained; the function where the target is one.
        units: [k] int, 0 to k - 1.
        shares: [k] float32, signed: the sum over positions of activation * gradient.
        total: the sum of the shares. Where only linear layers follow, total plus their bias is `value`.
        value: the target, such as the class's logit.
        note: "" or a remark about these shares, beginning with a keyword: "dead: ...".
        parts: [h, w, k] float32, each position's activation * gradient; h = w = 1 for a layer without positions.
    """

    path: str
    call: int
    input: str | None
    target: int | Callable[[Any], Any]
    units: Array
    shares: Array
    total: float
    value: float
    note: str
    parts: Array = field(repr=False)
    _info: LayerInfo = field(repr=False)
    _source: MapSource | None = field(repr=False)
    _about: str = field(repr=False)
    _why_no_map: str = field(repr=False)

    def top(self, count: int = 8) -> Array:
        """[count] unit indices by the size of the share, the largest first; all of them where there are fewer."""
        return np.asarray(self.units[np.argsort(-np.abs(self.shares), kind="stable")[: max(0, count)]])

    def at(self, row: int, column: int) -> Array:
        """[k] float32, the share of each unit at a pixel of the picture; zeros where the layer does not see it.

        Raises:
            BadTarget: for a layer without rows and columns.
        """
        cell = self._placed().placement.cell(row, column)
        return np.zeros_like(self.shares) if cell is None else self.parts[cell]

    def map(self, unit: int) -> Heatmap:
        """The evidence of a unit for the target: a Heatmap whose `raw` is its activation * gradient, [h, w].

        Raises:
            BadTarget: for a unit that does not exist, or a layer without rows and columns.
        """
        unit = check_unit(self._info, unit)
        map_notes = MapNotes((), f"zero: unit {unit} has no part in {self._about}", self._about)
        return finish(self.parts[..., unit].astype(np.float64), map_notes, self._placed())

    def _placed(self) -> MapSource:
        if self._source is None:
            raise BadTarget(self._why_no_map)
        return self._source

    def __repr__(self) -> str:
        """One line, with the strongest units."""
        top = ", ".join(f"{unit}: {self.shares[unit]:+.3g}" for unit in self.top(3))
        more = ", ..." if len(self.units) > 3 else ""
        return f"UnitAttribution({self.path!r}, call {self.call}, input {self.input!r}, {self._about}, {top}{more})"


def unit_attribution(
    net: Network | Any,
    picture: object,
    layer: str | None = None,
    target: int | str | Region | Callable[[Any], Any] | None = None,
    against: object = None,
    *,
    output: int | str | None = None,
    call: int | None = None,
    of: str = "logit",
    size: Size | None = None,
    seed: int = 0,
) -> list[UnitAttribution]:
    """Share a decision out among the units of a layer, one UnitAttribution for each call of the layer.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        layer: a path of any layer with units, also one without rows and columns; the last layer before the class
            scores that still has them, if not given.
        target: a class index or name; the top class (of one sigmoid: the decision taken) if not given. Or a region, or
            a function of the model's output, as in `class_activation_map`.
        against: why the target rather than this class, or these: their mean logit is subtracted.
        output: of a model with several, its index or name.
        call: only this call of the layer.
        of: what of a class is explained: "logit", or "log_odds", the logit less the log-sum-exp of the other logits.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        seed: taken by every function that computes; nothing here is random.

    Raises:
        BadTarget: for a layer, class, output or call that does not exist; for a layer without units, one that does not
            lead to the output, or to which no gradient comes back (and where it is cut).
        BadPicture: for what is not a picture.
        BadModel: for a network whose numbers are not finite.
        JobFailed: where only the gradient is not finite.

    Example:
        >>> found = unit_attribution(net, picture, target="tabby", against="Egyptian cat")[0]
        >>> [(unit, found.shares[unit]) for unit in found.top(8)]
    """
    settings = UnitAttributionSettings.given(locals())
    return settings.check(Probe(net, picture, settings.size)).result()


@dataclass(frozen=True, eq=False)
class UnitAttributionSettings(Settings):
    """The settings of `unit_attribution`."""

    layer: str | None = None
    target: Any = None
    against: Any = None
    output: int | str | None = None
    call: int | None = None
    of: str = "logit"
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, probe: Probe) -> UnitAttributionPlan:
        """Check the settings for a Probe, which was made with this `size` and can be used again.

        Raises:
            BadTarget, BadModel, JobFailed: the errors of `unit_attribution`.
        """
        found, net = self.checked(), probe.net
        wanted = probe.named(self.target, self.output, self.of, self.against)
        path = default_layer(net, wanted) if self.layer is None else net.layer(self.layer).path
        calls = reachability.calls_of(net, path, self.call)
        if not net.layer(path).units:
            raise BadTarget(f"The layer {quoted(path)} has no units. Choose another layer.")
        is_compared = targets.has_runner_up(net, wanted)
        passes = {call: probe.backward_to_units(path, call, wanted, is_compared) for call in calls}
        if all(one.gradients[0] is None for one in passes.values()):
            raise BadTarget(reachability.why_no_gradient(net, wanted, path, self.call or 0))
        return UnitAttributionPlan(found, probe, wanted, path, passes)


@dataclass(frozen=True, eq=False)
class UnitAttributionPlan:
    """A checked unit attribution.

    Attributes:
        settings: as given, each in its range.
        probe: cached passes for the picture.
        target: the number that is shared out.
        path: of the layer.
        passes: the target and its gradient by the layer's output, for each call.
    """

    settings: UnitAttributionSettings
    probe: Probe
    target: Target
    path: str
    passes: Mapping[int, BackwardPass]

    def result(self) -> list[UnitAttribution]:
        return with_picture_notes([self._of_call(call) for call in self.passes], self.probe)

    def _of_call(self, call: int) -> UnitAttribution:
        probe, path = self.probe, self.path
        reading, info, has_rows = self.passes[call].reading, probe.net.layer(path), probe.has_rows(path)
        if np.isnan(reading.probability[0]):  # of a layer's own pass, which may not know the scores behind it
            reading = probe.values(self.target)
        parts = self._parts(call, self.passes[call].gradients[0])
        shares = parts.sum((0, 1)).astype(np.float32)  # [h, w, k] -> [k]
        unit, seen = int(reading.unit[0]), reachability.pictures_seen(probe.net, self.target, path, call)
        return UnitAttribution(
            path=path,
            call=call,
            input=probe.net.inputs[seen[0]].name if len(seen) == 1 else None,
            target=unit if self.target.function is None else self.target.function,
            units=np.arange(len(shares)),
            shares=shares,
            total=float(shares.sum()),
            value=float(reading.value[0]),
            note="; ".join(self._notes(call, reading, parts)),
            parts=parts.astype(np.float32),
            _info=info,
            _source=source_of(probe, path, call, self.target) if has_rows else None,
            _about=targets.describe(probe.net, self.target, unit),
            _why_no_map="" if has_rows else why_no_map(probe.net, path, info.output_shape),
        )

    def _parts(self, call: int, gradient: Array | None) -> Array:
        """[h, w, k] float64: activation times gradient; zeros if the call does not lead to the target."""
        activation = np.asarray(self.probe.unit_activations(self.path)[call])[0].astype(np.float64)
        return np.zeros_like(activation) if gradient is None else activation * gradient[0]

    def _notes(self, call: int, reading: Reading, parts: Array) -> Iterator[str]:
        """Remarks about the shares of one call."""
        probe, path, backward = self.probe, self.path, self.passes[call]
        if np.isnan(backward.reading.probability[0]) != np.isnan(reading.probability[0]):
            yield SCORES
        if backward.gradients[0] is None:
            yield "off the path: this call of the layer does not lead to the target"
        else:
            yield from self._about_shares(call, reading, parts.sum((0, 1)))
        if self.settings.layer is None and probe.has_rows(path):
            yield from filter(None, [reachability.branch_note(probe.net, self.target)])

    def _about_shares(self, call: int, reading: Reading, shares: Array) -> Iterator[str]:
        probe, path = self.probe, self.path
        if not shares.any():
            yield note_if_zero(np.asarray(probe.unit_activations(path)[call]))
        elif len(shares) > 1 and np.ptp(shares) <= ROUNDING * np.abs(shares).max():
            yield "flat: every unit has the same share"
        else:
            yield from filter(None, [self._likeness(call, shares)])
        yield from targets.notes(probe.net, self.target, reading)
        if probe.has_rows(path):
            source = source_of(probe, path, call, self.target)
            yield from filter(None, (*source.notes, source.placement.note))

    def _likeness(self, call: int, shares: Array) -> str:
        """A note if the runner-up has nearly the same shares, so that they do not show why it is this class."""
        if (runner_up := self.passes[call].runner_up) is None:
            return ""
        others = self._parts(call, runner_up.gradient).sum((0, 1))
        lengths = np.linalg.norm(shares) * np.linalg.norm(others)
        if not lengths or shares @ others < MOST_ALIKE * lengths:
            return ""
        name = self.probe.net.class_name(runner_up.unit, self.target.output)
        return (
            f"not class-specific: the runner-up {name!r} has nearly the same shares (cosine "
            f"{shares @ others / lengths:.3f}); against={name!r} shows the difference"
        )


def default_layer(net: Network, target: Target) -> str:
    """The default layer of a heatmap; where none has rows and columns, the last dense one before the class scores.

    Raises:
        BadTarget: where there is no such layer either.
    """
    try:
        return reachability.default_layer(net, target)
    except BadTarget:
        dense = [info for info in net.layers if info.kind == "dense" and info.units and info.calls]
        leading = [info.path for info in dense if reachability.leads_to(net, target, info.path, 0)]
        if leading and _is_the_scores(net, target, leading[-1]):
            leading.pop()
        if not leading:
            raise
        return leading[-1]


def _is_the_scores(net: Network, target: Target, path: str) -> bool:
    """Whether a dense layer's output is the logits; one with its own softmax comes after its logits."""
    is_linear = getattr(net.layers_by_path[path], "activation", None) is keras.activations.linear
    return is_linear and net.layer(path).units == (net.outputs[target.output].shape[-1:] or (1,))[0]
