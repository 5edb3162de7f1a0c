"""Attribution to pixels, for any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.heatmap import Heatmap, HeatmapFrame, Kind, MapNotes, MapSource, finish, with_picture_notes
from cnnwidgets.explain.methods import gradient_attribution, perturbation_attribution
from cnnwidgets.explain.methods.attribution_request import AttributionRequest, PartialMaps, by_picture
from cnnwidgets.explain.pass_cost import copies_of_pictures
from cnnwidgets.explain.passes import BackwardPass, Probe
from cnnwidgets.explain.regions import Region
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.geometry.placement import PART, Placement
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, Method, Number, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size

MOST_SAMPLES = 8192


class Rule(NamedTuple):
    """A method and its defaults.

    Attributes:
        find: the generator.
        samples: default number; 0 for methods without samples.
        by_gradient: whether a gradient must reach the pictures. Such maps are shares of one sum, which stays the
            same when a map is stretched.
        kind: the meaning of its numbers.
    """

    find: Callable[[AttributionRequest], Iterator[PartialMaps]]
    samples: int = 0
    by_gradient: bool = True
    kind: Kind = "evidence"


METHODS = {
    "gradient": Rule(gradient_attribution.gradient, kind="gradients"),
    "gradient_x_input": Rule(gradient_attribution.gradient_x_input, kind="parts"),
    "smoothgrad": Rule(gradient_attribution.smoothgrad, 16, kind="gradients"),
    "integrated_gradients": Rule(gradient_attribution.integrated_gradients, 64, kind="parts"),
    "guided_backprop": Rule(gradient_attribution.guided_backprop, kind="gradients"),
    "occlusion": Rule(perturbation_attribution.occlusion, by_gradient=False),
    "rise": Rule(perturbation_attribution.rise, 512, by_gradient=False),
}


def attribution(
    net: Network | Any,
    picture: object,
    target: int | str | Region | Callable[[Any], Any] | None = None,
    method: str = "smoothgrad",
    *,
    of: str = "logit",
    against: object = None,
    output: int | str | None = None,
    samples: int | None = None,
    noise: float = 0.1,
    size: Size | None = None,
    seed: int = 0,
) -> list[Heatmap]:
    """Map the pixels that a class depends on, one Heatmap for each picture input.

    A class is explained by its logit, also behind a softmax or sigmoid.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        target: a class index or name; the top class (of one sigmoid: the decision taken) if not given. Or a function
            of the model's output that returns one number for each picture, or one number where there is one picture
            (`lambda y: y[0, 3]`). It gets what the model itself returns, a tensor or a list or dict of them; with
            `output` only that one. It runs inside a graph, so it must consist of TensorFlow operations.
        method: "gradient" "gradient_x_input" "smoothgrad" "integrated_gradients" "guided_backprop" "occlusion"
            "rise"; papers are cited in `gradient_attribution` and `perturbation_attribution` of
            `cnnwidgets.explain.methods`.
        of: what of a class is explained: "logit", or "log_odds", the logit less the log-sum-exp of the other logits.
            For sigmoids the two are the same.
        against: why the target rather than this class, or these: their mean logit is subtracted.
        output: of a model with several, its index or name.
        samples: how many noisy copies (16), steps from black (64) or random masks (512), up to 8192.
        noise: of "smoothgrad": its standard deviation, in pictures of 0..1.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        seed: the same seed, machine, versions and settings give the same bytes.

    Returns:
        Heatmaps whose `raw` is [H, W] at the picture's size, signed, summed over channels. The `map` of methods by
        gradients is the magnitude of `raw`, as the papers show it: the sign of a gradient says whether a pixel should
        be brighter or darker, not whether it matters. The `map` of "occlusion" and "rise" is the positive evidence.

    Raises:
        BadTarget: for a class, output, method or number that does not exist; where no gradient comes back to any
            picture, with the layer where it is blocked.
        BadPicture: for anything but a picture.
        BadModel: for a network whose numbers are not finite.
        JobFailed: if only the gradient is not finite.

    Example:
        >>> heat = attribution(net, picture, "Egyptian cat", "occlusion")[0]
    """
    settings = AttributionSettings.given(locals())
    probe = Probe(net, picture, settings.size)
    return with_picture_notes(last_of(settings.check(probe).frames()).result(), probe)


@dataclass(frozen=True, eq=False)
class AttributionSettings(Settings):
    """The settings of `attribution`."""

    target: Any = None
    method: str = setting("smoothgrad", Method("attribution", tuple(METHODS)))
    of: str = "logit"
    against: Any = None
    output: int | str | None = None
    samples: int | None = setting(None, Whole(1, MOST_SAMPLES, optional=True), recorded=False)
    noise: float = setting(0.1, Number(0, 1), recorded=False)
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, probe: Probe) -> AttributionPlan:
        """Check an attribution to the pictures of a Probe, which was made with this `size` and can be used again.

        Raises:
            BadTarget, BadModel, JobFailed: what `attribution` raises.
        """
        found = self.checked()
        wanted = probe.named(self.target, self.output, self.of, self.against)
        how = METHODS[self.method]
        backward = probe.backward(wanted) if how.by_gradient else None
        if backward and all(g is None for g in backward.gradients):
            raise BadTarget(reachability.why_no_gradient(probe.net, wanted))
        reading = backward.reading if backward else probe.values(wanted)
        request = AttributionRequest(
            probe,
            targets.settled(wanted, reading),
            float(reading.value[0]),
            by_picture(probe.pictures, backward.gradients) if backward else {},
            how.samples if found.samples is None else found.samples,
            found.noise,
            found.seed,
        )
        about = targets.describe(probe.net, wanted, int(reading.unit[0]))
        seen = _seen(probe, wanted, backward)
        unseen = (
            {i for i, g in zip(probe.pictures, backward.gradients, strict=True) if g is None} if backward else set()
        )
        notes, other = targets.notes(probe.net, wanted, reading), targets.other(probe.net, wanted)
        map_notes = MapNotes(notes, _IF_ZERO, about, other, how.kind)
        return AttributionPlan(found, request, how, map_notes, unseen, seen)


@dataclass(frozen=True, eq=False)
class AttributionPlan:
    """A checked attribution.

    Attributes:
        settings: as given, each in its range.
        request: what the method is given.
        how: the method.
        map_notes: of each map.
        unseen: pictures that the target does not depend on.
        seen: the pixels of each picture on which it can depend.
    """

    settings: AttributionSettings
    request: AttributionRequest
    how: Rule
    map_notes: MapNotes
    unseen: set[int]
    seen: dict[int, Placement]

    def frames(self) -> Iterator[HeatmapFrame]:
        """A HeatmapFrame at each step of the method."""
        return _run(self.request, self.how, self.map_notes, self.unseen, self.seen)


def _seen(probe: Probe, target: targets.Target, backward: BackwardPass | None) -> dict[int, Placement]:
    """The pixels of each picture that can affect the target; all of them if a gradient reaches each side."""
    found = {}
    for index, (i, size) in enumerate(probe.sizes.items()):
        found[i] = Placement.plain(size, size)
        gradient = backward.gradients[index] if backward else None
        if backward is None or (gradient is not None and not _reaches_each_side(gradient[0])):
            found[i] = replace(found[i], seen=probe.seen_by(target, i))
    return found


def _reaches_each_side(gradient: Array) -> bool:  # [H, W, C]
    strips = [max(1, round((1 - PART) * length)) for length in gradient.shape[:2]]
    sides = [gradient[: strips[0]], gradient[-strips[0] :], gradient[:, : strips[1]], gradient[:, -strips[1] :]]
    return all(bool(side.any()) for side in sides)


def _run(
    request: AttributionRequest, how: Rule, map_notes: MapNotes, unseen: set[int], seen: dict[int, Placement]
) -> Iterator[HeatmapFrame]:
    steps = _steps(request, how)
    values = np.full(len(request.pictures), request.value, np.float32)
    for step, partial in enumerate(how.find(request), 1):
        heatmaps = []
        for i, raw in partial.maps.items():
            size, placement = request.probe.sizes[i], seen[i]
            off = f"off the path: {map_notes.about} does not depend on this picture"
            if_zero = off if i in unseen else map_notes.if_zero
            source = MapSource(placement, "", 0, request.probe.net.inputs[i].name)
            notes = (*partial.notes, *map_notes.notes)
            laid = placement.lay(_stretched(raw, size, how.by_gradient))
            heatmaps.append(finish(laid, map_notes._replace(notes=notes, if_zero=if_zero), source))
        yield HeatmapFrame(tuple(heatmaps), step, steps, values)


_IF_ZERO = "zero: no pixel changes the target; try occlusion or rise, which do not need its gradient"


def _steps(request: AttributionRequest, how: Rule) -> int:
    batch = copies_of_pictures(request.probe, how.by_gradient)
    if how.find is perturbation_attribution.occlusion:
        return sum(
            -(-len(perturbation_attribution.places(picture.shape[1:3])) // batch)
            for picture in request.pictures.values()
        )
    return max(1, -(-request.samples // batch))


def _stretched(raw: Array, size: tuple[int, int], keeps_sum: bool) -> Array:  # [h, w] -> [H, W]
    if raw.shape == size:
        return raw
    return pictures_.resize(raw, size) * (raw.size / (size[0] * size[1]) if keeps_sum else 1.0)
