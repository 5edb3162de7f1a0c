"""Whether a heatmap can be trusted: what the network predicts while the pixels that it calls important are removed.

Deletion and insertion follow Petsiuk et al. (arXiv:1806.07421), ROAD follows Rong et al. (arXiv:2202.00449).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.methods import imputation
from cnnwidgets.explain.pass_cost import copies_of_pictures
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.probabilities import probabilities
from cnnwidgets.explain.regions import Region
from cnnwidgets.explain.targets import Target
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import SEED, OneOf, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size

METRICS = ("deletion", "insertion", "road")
FILLS = ("blur", "gray")
RANDOM_ORDERS = 5
PATCHES = 14  # random values along each side of the picture, about as many as a heatmap has cells
MOST_STEPS = 256
AT_ONCE = 4  # pictures in one device call at most: a panel shows the curve while it grows
MASK = 0x7FFFFFFF  # numpy takes seeds of at least 0


@dataclass(frozen=True, eq=False, repr=False)
class Curve:
    """What the network predicts while pixels are removed (or inserted) in the order of a heatmap.

    Attributes:
        fractions: [steps + 1] float32, 0..1, the share of the pixels that is removed or inserted.
        values: [steps + 1] float32, the probability of the target; the number itself where it is not a class.
        area: under the values, 0..1 for a probability. Of "deletion" and "road" lower is better, of "insertion" higher.
        random_area: the mean area of 5 random orders of the pixels, as smooth as those of a heatmap.
        metric: "deletion", "insertion" or "road".
        fill: what replaces removed pixels: "blur" or "gray"; "road" fills them from their neighbors.
        random_values: [steps + 1] float32, the mean of the values of the random orders.
    """

    fractions: Array
    values: Array
    area: float
    random_area: float
    metric: str
    fill: str
    random_values: Array

    def __repr__(self) -> str:
        """One line."""
        return f"Curve({self.metric}, area {self.area:.3f}, random {self.random_area:.3f})"


@dataclass(frozen=True, eq=False, repr=False)
class CurvesFrame:
    """The curves as far as they are computed.

    Attributes:
        curves: by name; values of steps that are still to come are NaN.
        step: 1, 2, ... `steps`.
        steps: how many there will be.
        pictures: [1, H, W, C] float32 0..1, the picture of the newest step.
    """

    curves: Mapping[Any, Curve]
    step: int
    steps: int
    pictures: Array


def faithfulness(
    net: Network | Any,
    picture: object,
    heat: Heatmap | Array | Mapping[Any, Heatmap | Array],
    target: int | str | Region | Callable[[Any], Any] | None = None,
    metric: str = "deletion",
    steps: int = 32,
    fill: str = "blur",
    *,
    output: int | str | None = None,
    size: Size | None = None,
    seed: int = 0,
) -> Curve | dict[Any, Curve]:
    """Remove the pixels of a picture, the most important ones first, and record what the network predicts.

    A map that is right lowers the probability faster than a random order of the pixels (`random_area`). Pixels with the
    same importance are ordered by the seed. The pixels are those of the picture as the network gets it.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for several inputs a list in the model's own order, or a dict.
        heat: a Heatmap, or an array [H, W] of the picture's size, larger where a pixel counts more; a dict of them
            gives a dict of curves.
        target: as in `class_activation_map`; the top class if not given.
        metric: "deletion" removes pixels from the picture, "insertion" adds them to the filled one (both
            arXiv:1806.07421), "road" removes them and fills them from their neighbors, with noise (arXiv:2202.00449).
        steps: 1 to 256; steps + 1 forward passes for each map, and as many for each of 5 random orders.
        fill: "blur" (a gaussian blur, standard deviation 1/20 of the shorter side) or "gray" (0.5).
        output: of a model with several, its index or name.
        size: at which the network looks, if not its own, as in `class_activation_map`.
        seed: of the random orders, of ties and of the noise.

    Returns:
        A Curve, or for a dict a dict of them.

    Raises:
        BadTarget: for a map of another size or with NaN, and an unknown metric, fill, class or output.
        BadPicture: for what is not a picture.

    Example:
        >>> curve = faithfulness(net, picture, class_activation_map(net, picture)[0])
        >>> curve.area < curve.random_area
        True
    """
    settings = FaithfulnessSettings.given(locals())
    maps = heat if isinstance(heat, Mapping) else {"": heat}
    curves = last_of(settings.check(Probe(net, picture, settings.size), maps).frames()).curves
    return dict(curves) if isinstance(heat, Mapping) else curves[""]


@dataclass(frozen=True, eq=False)
class FaithfulnessSettings(Settings):
    """The settings of `faithfulness`."""

    target: Any = None
    metric: str = setting("deletion", OneOf(METRICS))
    steps: int = setting(32, Whole(1, MOST_STEPS))
    fill: str = setting("blur", OneOf(FILLS))
    output: int | str | None = None
    size: Size | None = None
    seed: int = setting(0, SEED)

    def check(self, probe: Probe, maps: Mapping[Any, Heatmap | Array]) -> FaithfulnessPlan:
        """Check the settings and maps for a Probe, which was made with this `size` and can be used again.

        Raises:
            BadTarget, BadModel: the errors of `faithfulness`.
        """
        found = self.checked()
        if not maps:
            raise BadTarget("heat must hold at least one map, got an empty dict.")
        wanted = probe.named(self.target, self.output)
        which = _which(probe, maps)
        ranks = {name: _ranked(probe, name, heat, which, found.seed) for name, heat in maps.items()}
        return FaithfulnessPlan(_Removal(probe, targets.settled(wanted, probe.values(wanted)), which, found), ranks)


@dataclass(frozen=True, eq=False)
class FaithfulnessPlan:
    """A checked comparison of maps with random orders of the pixels.

    Attributes:
        removal: makes the pictures of all steps.
        ranks: by name of a map: [h * w] indices of the pixels, the most important first.
    """

    removal: _Removal
    ranks: Mapping[Any, Array]

    def frames(self) -> Iterator[CurvesFrame]:
        """A CurvesFrame after each batch of pictures."""
        return _run(self.removal, self.ranks)


def _which(probe: Probe, maps: Mapping[Any, Heatmap | Array]) -> int:
    """The picture input that the maps belong to; the first one where they do not say."""
    named = {heat.input for heat in maps.values() if isinstance(heat, Heatmap) and heat.input}
    if len(named) > 1:
        raise BadTarget(f"heat must hold maps of one picture, got maps of {', '.join(sorted(map(quoted, named)))}.")
    names = {probe.net.inputs[i].name: i for i in probe.net.picture_inputs}
    name = next(iter(named), None)
    if name is not None and name not in names:
        raise BadTarget(f"heat is a map of the input {quoted(name)}; this network's pictures are {', '.join(names)}.")
    return probe.net.picture_inputs[0] if name is None else names[name]


def _ranked(probe: Probe, name: Any, heat: Heatmap | Array, which: int, seed: int) -> Array:
    """[h * w] indices of the pixels as the network gets them, the most important first."""
    size = probe.sizes[which]
    try:
        values = np.asarray(heat.map if isinstance(heat, Heatmap) else heat, np.float32)
    except (TypeError, ValueError):
        values = np.zeros((), np.float32)
    called = f"heat[{name!r}]" if name else "heat"
    if values.shape != size:
        raise BadTarget(
            f"{called} must be a map of the picture's size, {size[0]} x {size[1]}, got the shape {values.shape}."
        )
    if not np.isfinite(values).all():
        raise BadTarget(f"{called} must hold finite numbers, got NaN or infinity.")
    fed = probe.pictures[which].shape[1:3]
    values = values if size == fed else pictures_.resize(values, fed)
    ties = np.random.default_rng(seed & MASK).random(values.size)
    return np.lexsort((ties, -values.ravel()))


class _Removal:
    """The pictures of all steps, for one order of the pixels after the other."""

    def __init__(self, probe: Probe, target: Target, which: int, settings: FaithfulnessSettings) -> None:
        self.probe, self.target, self.which = probe, target, which
        self.metric, self.steps, self.fill = settings.metric, settings.steps, settings.fill
        self.seed, self.batch = settings.seed, min(AT_ONCE, copies_of_pictures(probe))
        self.picture = probe.pictures[which][0]  # [H, W, C]
        self.fractions = np.linspace(0, 1, self.steps + 1, dtype=np.float32)
        self.filled = _blurred(self.picture) if self.fill == "blur" else np.full_like(self.picture, 0.5)

    def curve(self, order: Array) -> Iterator[tuple[int, Array, Array]]:
        """(first step, values, last picture) of each batch of steps."""
        for start in range(0, self.steps + 1, self.batch):
            part = self.fractions[start : start + self.batch]
            copies = np.stack([self._at(order, float(fraction)) for fraction in part])
            yield start, self._values(copies), copies[-1]

    def _at(self, order: Array, fraction: float) -> Array:
        """The picture where this share of the pixels is removed, or inserted."""
        touched = np.zeros(order.size, bool)
        touched[order[: round(fraction * order.size)]] = True
        touched = touched.reshape(self.picture.shape[:2])
        if self.metric == "road":
            return imputation.filled(self.picture, touched, self.seed)
        shows_picture = touched if self.metric == "insertion" else ~touched
        return np.where(shows_picture[..., None], self.picture, self.filled)

    def _values(self, copies: Array) -> Array:
        every = {i: np.repeat(picture, len(copies), 0) for i, picture in self.probe.pictures.items()}
        return probabilities(self.probe, self.target, {**every, self.which: copies})

    def random_orders(self) -> list[Array]:
        """Orders that do not depend on the picture, as smooth as those of a heatmap.

        Single random pixels would be noise, which alone changes most predictions: a wrong map would beat them.
        """
        height, width = self.picture.shape[:2]
        orders = []
        for k in range(RANDOM_ORDERS):
            numbers = np.random.default_rng([self.seed & MASK, k])
            patches = numbers.random((min(PATCHES, height), min(PATCHES, width))).astype(np.float32)
            orders.append(np.argsort(-pictures_.resize(patches, (height, width)).ravel(), kind="stable"))
        return orders


def _run(removal: _Removal, ranks: Mapping[Any, Array]) -> Iterator[CurvesFrame]:
    """Maps first, so that their curves are complete early; then the random orders that they are compared with."""
    batches = math.ceil((removal.steps + 1) / removal.batch)
    total, done = batches * (len(ranks) + RANDOM_ORDERS), 0
    values = {name: np.full(removal.steps + 1, np.nan, np.float32) for name in ranks}
    by_chance = np.full((RANDOM_ORDERS, removal.steps + 1), np.nan, np.float32)
    rows = [
        *((values[name], order) for name, order in ranks.items()),
        *zip(by_chance, removal.random_orders(), strict=True),
    ]
    for row, order in rows:
        for start, part, shown in removal.curve(order):
            row[start : start + len(part)] = part
            done += 1
            yield CurvesFrame(_curves(removal, values, by_chance), done, total, shown[None])


def _curves(removal: _Removal, values: Mapping[Any, Array], by_chance: Array) -> dict[Any, Curve]:
    fractions, metric, fill = removal.fractions, removal.metric, removal.fill
    complete = by_chance[~np.isnan(by_chance).any(1)]
    random_values = complete.mean(0) if len(complete) else np.full(removal.steps + 1, np.nan, np.float32)
    random_area = _area(random_values, fractions)
    return {
        name: Curve(fractions, row.copy(), _area(row, fractions), random_area, metric, fill, random_values)
        for name, row in values.items()
    }


def _area(values: Array, fractions: Array) -> float:
    heights = values.astype(np.float64)
    return float(np.diff(fractions) @ (heights[1:] + heights[:-1]) / 2)  # numpy.trapezoid is not in numpy 1


def _blurred(picture: Array) -> Array:
    """A gaussian blur whose standard deviation is a twentieth of the shorter side; edges are mirrored."""
    deviation = max(1.0, min(picture.shape[:2]) / 20)
    reach = max(1, round(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    weights /= weights.sum()
    for axis in (0, 1):
        padded = np.pad(picture, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
        windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis)
        picture = windows @ weights.astype(np.float32)
    return np.asarray(picture, np.float32)
