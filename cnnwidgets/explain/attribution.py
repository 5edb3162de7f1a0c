"""Which pixels a number depends on: attribution to the pictures themselves, for any model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain import gradient_attribution, perturbation_attribution, reachability, targets
from cnnwidgets.explain.attribution_request import Partial, Question, by_picture
from cnnwidgets.explain.class_activation_map import check_method, noted
from cnnwidgets.explain.heatmap import Heatmap, HeatmapFrame, Kind, Sight, Verdict, finish
from cnnwidgets.explain.passes import Probe, Slopes
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.arguments import checked_seed, number, whole_number
from cnnwidgets.model.geometry.placement import PART, Placement
from cnnwidgets.model.network import Network
from cnnwidgets.model.picture_size import Size

MOST_SAMPLES = 8192


class Method(NamedTuple):
    """A method and how it is asked.

    Attributes:
        find: the generator.
        samples: how many, if the user does not say; 0 where nothing is counted.
        by_gradient: whether a gradient must come back to the pictures. Such maps are shares of one sum, which stays the
            same when a map is stretched.
        kind: what its numbers are.
    """

    find: Callable[[Question], Iterator[Partial]]
    samples: int = 0
    by_gradient: bool = True
    kind: Kind = "evidence"


METHODS = {
    "gradient": Method(gradient_attribution.gradient, kind="slopes"),
    "gradient_x_input": Method(gradient_attribution.gradient_x_input, kind="parts"),
    "smoothgrad": Method(gradient_attribution.smoothgrad, 16, kind="slopes"),
    "integrated_gradients": Method(gradient_attribution.integrated_gradients, 64, kind="parts"),
    "guided_backprop": Method(gradient_attribution.guided_backprop, kind="slopes"),
    "occlusion": Method(perturbation_attribution.occlusion, by_gradient=False),
    "rise": Method(perturbation_attribution.rise, 512, by_gradient=False),
}


def attribution(
    net: Network | Any,
    picture: object,
    target: int | str | Callable[[Any], Any] | None = None,
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
    """Map which pixels a class depends on, one Heatmap for each picture input.

    A class is explained by its logit, wherever the softmax or sigmoid hides it.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        target: a class index or name; the top class (of one sigmoid: the decision taken) if not given. Or a function
            of the model's output that returns one number for each picture, or one number where there is one picture
            (`lambda y: y[0, 3]`). It gets what the model itself returns, a tensor or a list or dict of them; with
            `output` only that one. It runs inside a graph, so it must consist of TensorFlow operations.
        method: "gradient" "gradient_x_input" "smoothgrad" "integrated_gradients" "guided_backprop" "occlusion"
            "rise"; the paper is named at each in `cnnwidgets.explain.gradient_attribution` and `.coverings`.
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
            picture, with the place where it is cut.
        BadPicture: for what is no picture.
        BadModel: for a network whose numbers are not finite.
        JobFailed: where only the gradient is not finite.

    Example:
        >>> heat = attribution(net, picture, "Egyptian cat", "occlusion")[0]
    """
    probe = Probe(net, picture, size)
    frames = attribution_frames(
        probe, target, method, of=of, against=against, output=output, samples=samples, noise=noise, seed=seed
    )
    return noted(last_of(frames).result(), probe)


def attribution_frames(
    probe: Probe,
    target: int | str | Callable[[Any], Any] | None = None,
    method: str = "smoothgrad",
    *,
    of: str = "logit",
    against: object = None,
    output: int | str | None = None,
    samples: int | None = None,
    noise: float = 0.1,
    seed: int = 0,
) -> Iterator[HeatmapFrame]:
    """As `attribution`, but of a Probe, which may be asked again, and yield a HeatmapFrame at each step."""
    check_method(method, tuple(METHODS), "attribution")
    wanted = probe.named(target, output, of, against)
    how = METHODS[method]
    count = how.samples if samples is None else whole_number("samples", samples, 1, MOST_SAMPLES)
    noise, seed = number("noise", noise, 0, 1), checked_seed(seed)
    slopes = probe.slopes(wanted) if how.by_gradient else None
    if slopes and all(g is None for g in slopes.gradients):
        raise BadTarget(reachability.why_no_gradient(probe.net, wanted))
    reading = slopes.reading if slopes else probe.values(wanted)
    ask = Question(
        probe,
        targets.settled(wanted, reading),
        float(reading.value[0]),
        by_picture(probe.pictures, slopes.gradients) if slopes else {},
        count,
        noise,
        seed,
    )
    about = targets.describe(probe.net, wanted, int(reading.unit[0]))
    seen = _seen(probe, wanted, slopes)
    unseen = {i for i, g in zip(probe.pictures, slopes.gradients, strict=True) if g is None} if slopes else set()
    notes, other = targets.notes(probe.net, wanted, reading), targets.other(probe.net, wanted)
    verdict = Verdict(notes, _SILENT, about, other, how.kind)
    return _run(ask, how, verdict, unseen, seen)


def _seen(probe: Probe, target: targets.Target, slopes: Slopes | None) -> dict[int, Placement]:
    """The pixels of each picture on which the target can depend; not looked for where a gradient reaches each side."""
    found = {}
    for place, (i, size) in enumerate(probe.sizes.items()):
        found[i] = Placement.plain(size, size)
        gradient = slopes.gradients[place] if slopes else None
        if slopes is None or (gradient is not None and not _reaches_each_side(gradient[0])):
            found[i] = replace(found[i], seen=probe.seen_by(target, i))
    return found


def _reaches_each_side(gradient: Array) -> bool:  # [H, W, C]
    strips = [max(1, round((1 - PART) * length)) for length in gradient.shape[:2]]
    sides = [gradient[: strips[0]], gradient[-strips[0] :], gradient[:, : strips[1]], gradient[:, -strips[1] :]]
    return all(bool(side.any()) for side in sides)


def _run(
    ask: Question, how: Method, verdict: Verdict, unseen: set[int], seen: dict[int, Placement]
) -> Iterator[HeatmapFrame]:
    steps = _steps(ask, how)
    values = np.full(len(ask.pictures), ask.value, np.float32)
    for step, partial in enumerate(how.find(ask), 1):
        heatmaps = []
        for i, raw in partial.maps.items():
            size, placement = ask.probe.sizes[i], seen[i]
            off = f"off the path: {verdict.about} does not depend on this picture"
            silence = off if i in unseen else verdict.silence
            sight = Sight(placement, "", 0, ask.probe.net.inputs[i].name)
            notes = (*partial.notes, *verdict.notes)
            laid = placement.lay(_stretched(raw, size, how.by_gradient))
            heatmaps.append(finish(laid, verdict._replace(notes=notes, silence=silence), sight))
        yield HeatmapFrame(tuple(heatmaps), step, steps, values)


_SILENT = "zero: no pixel changes the target; try occlusion or rise, which do not need its gradient"


def _steps(ask: Question, how: Method) -> int:
    batch = ask.probe.batch(gradient=how.by_gradient)
    if how.find is perturbation_attribution.occlusion:
        return sum(
            -(-len(perturbation_attribution.places(picture.shape[1:3])) // batch) for picture in ask.pictures.values()
        )
    return max(1, -(-ask.samples // batch))


def _stretched(raw: Array, size: tuple[int, int], keeps_sum: bool) -> Array:  # [h, w] -> [H, W]
    if raw.shape == size:
        return raw
    return pictures_.resize(raw, size) * (raw.size / (size[0] * size[1]) if keeps_sum else 1.0)
