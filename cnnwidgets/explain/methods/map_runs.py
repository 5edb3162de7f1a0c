"""Class activation maps of one call of a layer, run with the passes of a picture: a map after each step, and notes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.heatmap import MapNotes
from cnnwidgets.explain.methods import class_activation_maps as cams
from cnnwidgets.explain.pass_cost import copies_of_layer, copies_of_pictures
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.targets import Reading, Target
from cnnwidgets.frame import Array


class MapRun(NamedTuple):
    """An unfinished map: the number of its steps, a map after each step, the value explained, and notes."""

    steps: int
    maps: Iterator[Array]
    value: float
    map_notes: MapNotes


def _by_rule(method: str, probe: Probe, path: str, call: int, target: Target, _channels: int) -> MapRun | None:
    """A map by a gradient rule; `None` if no gradient reaches this call."""
    backward = probe.backward_to(path, call, target)
    (gradients,) = backward.gradients
    if gradients is None:
        return None
    activation = _activation(probe, path, call)  # [h, w, C]
    gradient = np.asarray(gradients[0], np.float64)

    def maps() -> Iterator[Array]:
        yield cams.RULES[method](activation, gradient)

    run = _map_run(probe, target, backward.reading, 1, maps(), activation)
    return run._replace(map_notes=run.map_notes._replace(if_zero=_why_zero(method, run, activation * gradient)))


def _why_zero(method: str, run: MapRun, parts: Array) -> str:
    """The note of a map that is zero everywhere: methods that keep positive evidence only may leave nothing."""
    if not parts.any():
        return run.map_notes.if_zero
    if parts.max() > 0:
        return f"zero: {method} keeps nothing here, although some evidence is positive; hirescam shows it"
    about = run.map_notes.about
    return f"no positive evidence: all evidence is negative for {about}; hirescam shows it in `raw`"


def _activation(probe: Probe, path: str, call: int) -> Array:
    return np.asarray(probe.activations(path)[call].numpy()[0], np.float64)


def _by_masks(probe: Probe, path: str, call: int, target: Target, channels: int) -> MapRun | None:
    if not reachability.leads_to(probe.net, target, path, call):
        return None
    activation, batch = _activation(probe, path, call), copies_of_pictures(probe)
    reading = probe.values(target)
    explained = targets.settled(target, reading)

    def value_behind(masks: Array) -> Array:  # [N, h, w] -> [N]
        first, *others = probe.sees(path, call)
        laid = probe.location(path, call).placement(probe.pictures[first].shape[1:3]).lay(masks)
        covers = {first: laid, **dict.fromkeys(others, masks)}
        return np.asarray(probe.values(explained, probe.behind(covers)).value)

    chosen, note = cams.most_varied(activation, channels)
    maps = cams.score_cam(activation, chosen, batch, value_behind)
    run = _map_run(probe, target, reading, -(-len(chosen) // batch) or 1, maps, activation)
    notes = (*run.map_notes.notes, *filter(None, [note]))
    return run._replace(map_notes=run.map_notes._replace(notes=notes))


def _by_ablation(probe: Probe, path: str, call: int, target: Target, _channels: int) -> MapRun | None:
    if not reachability.leads_to(probe.net, target, path, call):
        return None
    activation, part = _activation(probe, path, call), copies_of_layer(probe, path)
    reading = probe.values(target)
    without = functools.partial(probe.without, path, call, targets.settled(target, reading))
    maps = cams.ablation_cam(activation, part, float(reading.value[0]), without)
    steps = -(-len(cams.live_channels(activation)) // part) or 1
    return _map_run(probe, target, reading, steps, maps, activation)


def _by_component(probe: Probe, path: str, call: int, _target: Target, _channels: int) -> MapRun:
    activation = _activation(probe, path, call)

    def maps() -> Iterator[Array]:
        yield cams.eigen_cam(activation)

    note = "not class-specific: it shows what stands out at the layer, for any class"
    notes = (note, *filter(None, [probe.net.random_note(path)]))
    return MapRun(1, maps(), float("nan"), MapNotes(notes, note_if_zero(activation), "any class"))


METHODS: dict[str, Callable[[Probe, str, int, Target, int], MapRun | None]] = {
    **{method: functools.partial(_by_rule, method) for method in cams.RULES},
    "score_cam": _by_masks,
    "ablation_cam": _by_ablation,
    "eigen_cam": _by_component,
}


def _map_run(
    probe: Probe, target: Target, reading: Reading, steps: int, maps: Iterator[Array], activation: Array
) -> MapRun:
    about = targets.describe(probe.net, target, int(reading.unit[0]))
    notes, other = targets.notes(probe.net, target, reading), targets.other(probe.net, target)
    return MapRun(steps, maps, float(reading.value[0]), MapNotes(notes, note_if_zero(activation), about, other))


def nothing(probe: Probe, path: str) -> MapRun:
    """A map of zeros, for a call that does not lead to the target when another call does."""
    shape = probe.activations(path)[0].shape[1:3]
    if_zero = "off the path: this call of the layer does not lead to the target"
    return MapRun(1, iter([np.zeros(shape, np.float32)]), float("nan"), MapNotes((), if_zero, "the target"))


def note_if_zero(activation: Array) -> str:
    """Why a layer has no evidence at all: it is zero, or nothing depends on it."""
    if not activation.any():
        return "dead: the layer is zero everywhere for this picture; choose another layer"
    return "zero: nothing at this layer changes the target, whose gradient here is zero; choose a later layer"
