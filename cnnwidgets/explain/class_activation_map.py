"""Class activation maps of any layer of any model, one for each call of the layer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.heatmap import Heatmap, HeatmapFrame, MapSource, finish, with_picture_notes
from cnnwidgets.explain.methods import map_runs
from cnnwidgets.explain.methods.class_activation_maps import MASKS
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.regions import Region
from cnnwidgets.frame import last_of
from cnnwidgets.model.geometry.locations import leads_from_tokens
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, Method, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size

MAP_METHODS = tuple(map_runs.METHODS)


def class_activation_map(
    net: Network | Any,
    picture: object,
    layer: str | None = None,
    target: int | str | Region | Callable[[Any], Any] | None = None,
    method: str = "grad_cam",
    *,
    of: str = "logit",
    against: object = None,
    output: int | str | None = None,
    call: int | None = None,
    size: Size | None = None,
    channels: int = MASKS,
    seed: int = 0,
) -> list[Heatmap]:
    """Map the positions of a layer that are evidence for a class, one Heatmap for each call of the layer.

    A class is explained by its logit, also behind a softmax or sigmoid. Every method is right for the last layer; use
    "layer_cam" for earlier ones. "eigen_cam" shows what stands out, for any class.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        layer: a path; the last layer before the class scores that still has rows and columns, if not given.
        target: a class index or name; the top class (of one sigmoid: the decision taken) if not given. Or a function
            of the model's output that returns one number for each picture, or one number where there is one picture
            (`lambda y: y[0, 3]`). It gets what the model itself returns, a tensor or a list or dict of them; with
            `output` only that one. It runs inside a graph, so it must consist of TensorFlow operations.
        method: "grad_cam" "grad_cam_plus_plus" "hirescam" "xgrad_cam" "layer_cam" "score_cam" "ablation_cam"
            "eigen_cam"; the paper is named at each in `cnnwidgets.explain.methods.class_activation_maps`.
        of: what of a class is explained: "logit", or "log_odds", the logit less the log-sum-exp of the other logits.
            The logits of some networks share a large offset, which softmax ignores and the log-odds do not contain. For
            sigmoids the two are the same.
        against: why the target rather than this class, or these: their mean logit is subtracted.
        output: of a model with several, its index or name.
        call: only this call of the layer.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        channels: of "score_cam": how many channels are tried, those that vary most first. Each costs a forward pass;
            fewer than all is an approximation, and the note says what share of the layer's variation they hold.
        seed: taken by every function that computes; no map is random.

    Raises:
        BadTarget: for a layer, class, output, call or method that does not exist; for a layer that does not lead to
            the output, or to which no gradient flows (and the layer that blocks it).
        BadPicture: for anything but a picture.
        BadModel: for a network whose numbers are not finite.
        JobFailed: if only the gradient is not finite.

    Example:
        >>> heat = class_activation_map(net, picture, "fire9_concat", "Egyptian cat")[0]
    """
    settings = MapSettings.given(locals())
    probe = Probe(net, picture, settings.size)
    return with_picture_notes(last_of(settings.check(probe).frames()).result(), probe)


@dataclass(frozen=True, eq=False)
class MapSettings(Settings):
    """The settings of `class_activation_map`."""

    layer: str | None = None
    target: Any = None
    method: str = setting("grad_cam", Method("class activation map", MAP_METHODS))
    of: str = "logit"
    against: Any = None
    output: int | str | None = None
    call: int | None = setting(None, recorded=False)
    channels: int = setting(MASKS, Whole(1))
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, probe: Probe) -> MapPlan:
        """Check a map of a Probe, which was made with this `size` and can be used again.

        Raises:
            BadTarget, BadModel, JobFailed: what `class_activation_map` raises.
        """
        found, net = self.checked(), probe.net
        target = probe.named(self.target, self.output, self.of, self.against)
        path = reachability.default_layer(net, target) if self.layer is None else net.layer(self.layer).path
        calls = reachability.calls_of(net, path, self.call)
        begin = map_runs.METHODS[self.method]
        runs = [begin(probe, path, call, target, found.channels) for call in calls]
        if all(run is None for run in runs):  # one call that leads to the target is enough
            raise BadTarget(reachability.why_no_gradient(net, target, path, self.call or 0))
        sources = [source_of(probe, path, call, target) for call in calls]
        if self.layer is None and (note := reachability.branch_note(net, target)):
            sources = [source._replace(notes=(*source.notes, note)) for source in sources]
        return MapPlan(found, [run or map_runs.nothing(probe, path) for run in runs], sources)


@dataclass(frozen=True, eq=False)
class MapPlan:
    """A checked map.

    Attributes:
        settings: as given, each in its range.
        runs: the maps of each call of the layer, not yet computed.
        sources: where each of them comes from.
    """

    settings: MapSettings
    runs: Sequence[map_runs.MapRun]
    sources: Sequence[MapSource]

    def frames(self) -> Iterator[HeatmapFrame]:
        """One call of the layer after the other: a frame at each step, with the maps so far."""
        steps = itertools.count(1)
        total = sum(run.steps for run in self.runs)
        values = np.array([run.value for run in self.runs], np.float32)
        finished: list[Heatmap] = []
        for run, source in zip(self.runs, self.sources, strict=True):
            for raw in run.maps:
                heat = finish(raw, run.map_notes, source)
                yield HeatmapFrame((*finished, heat), next(steps), total, values[: len(finished) + 1])
            finished.append(heat)


def source_of(probe: Probe, path: str, call: int, target: targets.Target) -> MapSource:
    """What a heatmap of a layer's call is of."""
    seen = probe.sees(path, call)
    name = probe.net.inputs[seen[0]].name if len(seen) == 1 else None
    location = probe.location(path, call)
    notes = location.notes
    if location.others and not leads_from_tokens(probe.net, target.output, path, call, seen[0], location):
        better = reachability.default_layer(probe.net, target)
        notes = (f"zero: only another token of this layer leads to the output; choose {quoted(better)}", *notes)
    return MapSource(location.placement(probe.sizes[seen[0]]), path, call, name, notes)
