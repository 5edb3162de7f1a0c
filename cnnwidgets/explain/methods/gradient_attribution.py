"""Attribution by gradients: one small generator for each method; each step yields a better map."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cnnwidgets.explain.methods.attribution_request import (
    AttributionRequest,
    Maps,
    PartialMaps,
    batches,
    by_picture,
    sample_seeds,
)
from cnnwidgets.explain.pass_cost import copies_of_pictures
from cnnwidgets.explain.traced.guided_relu import Guidance
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf

INCOMPLETE = 0.05  # of integrated gradients: a larger error is noted
ENOUGH = 512  # steps of integrated gradients; more are not advised


def gradient(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The change of the target for a brighter pixel (Simonyan et al., arXiv:1312.6034)."""
    yield PartialMaps({i: g[0].sum(-1) for i, g in request.gradient.items()})


def gradient_x_input(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The gradient times the pixel: the summands of a linear model (Shrikumar et al., arXiv:1605.01713)."""
    yield PartialMaps({i: (g[0] * request.pictures[i][0]).sum(-1) for i, g in request.gradient.items()})


def smoothgrad(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The mean gradient of noisy copies (Smilkov et al., arXiv:1706.03825)."""
    total = {i: np.zeros(p.shape[1:3], np.float32) for i, p in request.pictures.items()}
    for part in batches(request.samples, copies_of_pictures(request.probe, gradient=True)):
        copies = {
            i: p + request.noise * _noise(request.seed, i, part, p.shape[1:]) for i, p in request.pictures.items()
        }
        for i, g in request.gradients(copies).items():
            total[i] += g.sum((0, -1))
        yield PartialMaps({i: t / (part[-1] + 1) for i, t in total.items()})


def integrated_gradients(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The gradient along the path from black to the picture (Sundararajan et al., arXiv:1703.01365).

    The values of all pixels add up to the target's rise from black to the picture. If steps were too coarse for
    that, the note gives the error of the sum. Targets rise most in the dark, so the share of the picture grows as a
    cube, and each step weighs its length. With 64 steps the sum was off by at most 2.3 % for two sample photographs of
    224 pixels and the bundled networks (a square: 7.7 %, even steps: 34 %); for other networks and pictures read the
    note.
    """
    total = {i: np.zeros(p.shape[1:], np.float64) for i, p in request.pictures.items()}
    black = request.values({i: np.zeros_like(p) for i, p in request.pictures.items()})[0]
    for part in batches(request.samples, copies_of_pictures(request.probe, gradient=True)):
        edges = np.arange(part[0], part[-1] + 2)[:, None, None, None] / request.samples  # [N + 1, 1, 1, 1]
        middles, lengths = ((edges[:-1] + edges[1:]) / 2).astype(np.float32), np.diff(edges**3, axis=0)
        for i, g in request.gradients({i: middles**3 * p for i, p in request.pictures.items()}).items():
            total[i] += (lengths * g).sum(0)
        maps = {i: (request.pictures[i][0] * t).sum(-1) for i, t in total.items()}
        is_last = part[-1] + 1 == request.samples
        yield PartialMaps(maps, _incompleteness(maps, request.value - black, request.samples) if is_last else ())


def _incompleteness(maps: Maps, rise: float, samples: int) -> tuple[str, ...]:
    """A note if the sum is off by a share of the rise; if parts cancel almost fully, of the size of the parts."""
    added = float(sum(m.sum(dtype=np.float64) for m in maps.values()))
    size = float(sum(np.abs(m).sum(dtype=np.float64) for m in maps.values()))
    if abs(added - rise) <= INCOMPLETE * max(abs(rise), INCOMPLETE * size, 1e-12):
        return ()
    advice = f"samples={min(4 * samples, ENOUGH)} may bring them closer"
    if samples >= ENOUGH:
        advice = "more samples will hardly help, because the gradient jumps along the path; compare with occlusion"
    return (f"incomplete: the parts add up to {added:.3g} and the target rises by {rise:.3g}; {advice}",)


def guided_backprop(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The gradient through ReLUs that let only positive gradients pass (Springenberg et al., arXiv:1412.6806).

    ReLUs, leaky ones, ELU and SELU are guided; gates and other activations (swish, GELU) keep their gradient.
    """
    found = request.probe.backward(request.target, guided=True)
    gradients = by_picture(request.pictures, found.gradients)
    yield PartialMaps({i: g[0].sum(-1) for i, g in gradients.items()}, _guided_notes(found.guidance))


def _guided_notes(guidance: Guidance) -> tuple[str, ...]:
    relus, gates, is_bypassed = guidance
    if not relus:
        where = "the ReLUs of this network are all parts of gates" if gates else "this network has no ReLU"
        return (f"not guided: {where}, so this is the plain gradient",)
    notes = ["not class-specific: it redraws what the network sees, much the same for every class"]
    if is_bypassed:
        count = "one ReLU off that path is" if relus == 1 else f"{relus} ReLUs off that path are"
        notes.insert(0, f"partly guided: the main path from the picture to the target has no ReLU, only {count} guided")
    if gates:
        notes.append(f"{gates} ReLUs are parts of gates, such as hard swish, and keep their plain gradient")
    return tuple(notes)


def _noise(seed: int, which: int, part: range, shape: tuple[int, ...]) -> Array:
    return np.stack([tf.random.stateless_normal(shape, s).numpy() for s in sample_seeds(seed, which, part)])
