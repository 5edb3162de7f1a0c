"""Accentuated photographs: what a unit or class sees in a photograph.

An accentuation is the loop of `ascend`; it starts from the photograph and is held near it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.arguments import check_call, now, number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, STEPS, Settings, setting
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.tracing.compiled import compiled, from_shapes
from cnnwidgets.model.unlocked_property import unlocked_property
from cnnwidgets.visualize import transforms as transforms_
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.canvas_choice import canvas_of_photograph
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.optimizers import Rate
from cnnwidgets.visualize.terms.objective_values import both, check_positions, checked, random_note
from cnnwidgets.visualize.terms.of_photographs import Distance, squared_distance

TRIAL = 4  # steps without the penalty, that show how much of the objective a distance buys
EARLY = 5  # the penalty reads the last layer whose map has more rows than this part of the photograph's
BALANCE = 1.5  # of the penalty at strength 1, so that the feature shows and the photograph is recognizable


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AccentuationFrame(Frame):
    """A Frame of an accentuation; its `values` are those of the objective alone, without the penalty.

    Attributes:
        original: [1, H, W, C] float32, 0..1, the photograph at the same size.
        early_layer: the layer whose activation is kept near the photograph's.
        distance_of: the distance of pictures [N, H, W, C].
    """

    original: Array
    early_layer: str
    distance_of: Callable[[Array], Array]

    @unlocked_property
    def distances(self) -> Array:
        """[N] float32, how far each picture is from the photograph in the early layer, relative to its length there.

        0 at the start; computed when it is first read.
        """
        return self.distance_of(self.pictures)


def accentuate(
    net: Network | Any,
    picture: object,
    objective: Objective,
    strength: Rate = 1.0,
    steps: int = 32,
    *,
    early_layer: str | None = None,
    transforms: Sequence[transforms_.Transform] | None = None,
    size: Size | None = None,
    seed: int = 0,
) -> Iterator[AccentuationFrame]:
    """Bring out in a photograph what an objective sees in it (feature accentuation, Hamblin et al., arXiv:2402.10039).

    The photograph's Fourier transform is optimized for the objective, against a penalty on the squared distance of an
    early layer's activation from that of the photograph. The penalty is weighed by what the objective gains along the
    first steps, so one strength suits units, classes and concepts of any network.

    Args:
        net: a Network or a bare Keras model.
        picture: a path, bytes, a PIL image or an array; for a model of several inputs a list or dict of them: the first
            one that the objective sees is changed.
        objective: from `cw.objectives`; one for several units makes a picture of each.
        strength: of the penalty, from 0, or a function that is called before each step. At 0 nothing holds the
            photograph, at 1 it is recognizable and the feature visible, at 4 little of it changes.
        steps: 1 to 2048.
        early_layer: the path of the layer that the penalty reads; if not given, the last one whose map has more than
            a fifth of the photograph's rows.
        transforms: from `cw.transforms`, applied to picture and photograph alike; a jitter of 8 pixels if not given.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.
        seed: the same seed, machine, versions and settings give the same bytes.

    Yields:
        AccentuationFrame: one for each step; its pictures have the photograph's aspect and the network's size.

    Raises:
        BadTarget: for an unknown layer, unit or class, or a number out of range; before any computing.
        BadPicture: for anything but a picture, or one that is too small for the network.
        JobFailed: when the run diverges; the last frame before that was finite.

    Example:
        >>> *_, frame = accentuate(net, "cat.jpg", objectives.channel("fire8_concat", 3))
    """
    return AccentuationSettings.given(locals()).check(net, picture).frames()


def _checked_strength(name: str, strength: object) -> Rate:
    return strength if callable(strength) else number(name, strength, 0)


@dataclass(frozen=True, eq=False)
class AccentuationSettings(Settings):
    """The settings of `accentuate`; a recipe has the layer and the unit instead of the objective."""

    objective: Objective = setting(recorded=False)
    strength: Rate = setting(1.0, _checked_strength)
    steps: int = setting(32, STEPS)
    early_layer: str | None = setting(None, recorded=False)
    transforms: Sequence[transforms_.Transform] | None = setting(None, recorded=False)
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, picture: object) -> AccentuationPlan:
        """Check an accentuation.

        Raises:
            BadTarget, BadPicture: what `accentuate` raises before any computing.
        """
        net = as_network(net)
        objective, found = checked(net, self.objective), self.checked()
        ascent = Ascent(transforms=transforms_.checked(self.transforms))
        canvas = canvas_of_photograph(net, objective, picture, self.size)
        check_positions(net, objective, canvas)
        early = early_layer(net, canvas) if self.early_layer is None else _called(net, self.early_layer)
        if canvas.which not in net.sees(early):
            raise BadTarget(f"The early layer {early!r} does not see the picture. Choose one near the input.")
        return AccentuationPlan(found, net, canvas, objective, early, ascent)


@dataclass(frozen=True, eq=False)
class AccentuationPlan:
    """A checked accentuation.

    Attributes:
        settings: as given, each in its range.
        net: the network.
        canvas: the input that is changed, with the photograph.
        objective: what is maximized, checked.
        early_layer: the path of the layer that the penalty reads.
        ascent: the parametrization and the transforms.
    """

    settings: AccentuationSettings
    net: Network
    canvas: Canvas
    objective: Objective
    early_layer: str
    ascent: Ascent

    def frames(self) -> Iterator[AccentuationFrame]:
        original = self.canvas.photograph.numpy()
        scales = self._scales()
        penalty = self._penalty(scales)

        def steered() -> Objective:
            return self.objective - now("strength", self.settings.strength) * penalty

        for frame in self._maximized(steered, self.settings.steps):
            yield AccentuationFrame(
                frame.picture_source,
                frame.step,
                frame.steps,
                frame.value_source,
                self._notes(scales) if frame.step == frame.steps else (),
                original=original,
                early_layer=self.early_layer,
                distance_of=self.distances,
            )

    def distances(self, pictures: Array) -> Array:
        """How far pictures [N, H, W, C] are from the photograph, [N]."""
        canvas = self.canvas
        graph = self.net.traces.get(functools.partial(_distances, self.net, canvas.structure, self.early_layer))
        squares: Array = graph(tf.constant(pictures), canvas.photograph, dict(canvas.held)).numpy()
        return np.sqrt(squares)

    def _maximized(self, objective: Callable[[], Objective], steps: int) -> Iterator[Frame]:
        start = self.canvas.photograph.numpy()
        return maximize(self.net, objective, self.canvas, steps, self.ascent, self.settings.seed, start)

    def _penalty(self, scales: Sequence[float]) -> Objective:
        return Objective((Distance(layer=self.early_layer, before_activation=False, scales=tuple(scales)),))

    def _scales(self) -> list[float]:
        """For each picture the gain of the objective for each unit of distance, along some steps without a penalty.

        They run in the same graph: its penalty is multiplied by zero.
        """
        free = self.objective - 0.0 * self._penalty([1.0] * self.objective.pictures)
        first, *_, before, last = self._maximized(lambda: free, TRIAL + 1)
        gains = np.abs(last.values - first.values)
        return list(map(float, BALANCE * gains / np.maximum(self.distances(before.pictures), 1e-6)))

    def _notes(self, scales: Sequence[float]) -> tuple[str, ...]:
        random = random_note(self.net, self.objective)
        still = "no gradient reaches the photograph, so it did not change: the network is saturated or inactive here"
        return tuple(both("" if scale > 0 else still, random) for scale in scales)


def _called(net: Network, layer: object) -> str:
    """The path of a layer that has an output."""
    info = net.layer(layer)
    check_call(info, 0)
    return info.path


def early_layer(net: Network, canvas: Canvas) -> str:
    """The last layer whose map has more than 1 / EARLY of the photograph's rows, or the first layer that sees it."""

    def rows() -> dict[str, int]:
        with net.record(net.layers_by_path) as recording:
            net.call(canvas.feed(net, tf.zeros([1, *canvas.shape]), None))
        spatial = {info.path for info in net.layers if info.is_spatial and info.units and info.kind != "model"}
        return {path: recording.made(path).shape[1] for path, _ in recording.order if path in spatial}

    found = from_shapes(rows)
    height = (canvas.fed or canvas.shape)[0]
    fine = [path for path, count in found.items() if count and count * EARLY > height]
    others = (info.path for info in net.layers if info.calls and info.units and info.kind not in ("input", "model"))
    for path in (*reversed(fine), *others):
        if canvas.which in net.sees(path):
            return path
    raise BadTarget(f"No layer of {net.name!r} sees the picture, so there is nothing to hold it by.")


def _distances(net: Network, canvas: Canvas, layer: str) -> Any:
    def activation(pictures: Any, held: Any) -> Any:
        with net.record([layer], until=[(layer, 0)]) as recording:
            net.call(canvas.feed(net, pictures, held))
        return recording.activation(layer)

    def distances(pictures: Any, photograph: Any, held: Any) -> Any:
        return squared_distance(activation(pictures, held), activation(photograph, held))

    return compiled(distances)
