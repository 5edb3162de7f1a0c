"""The range of numbers that an input takes, found by what becomes of 0..255, 0..1 and -1..1 at the first weights.

Each source of knowledge is a function that gives a Finding or `None`; the first that knows something decides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.preprocessing import statistics_layers
from cnnwidgets.model.preprocessing.families import Family, family_at
from cnnwidgets.model.preprocessing.front import Front
from cnnwidgets.model.preprocessing.modes import MODES, Affine, Preprocess, Scale

GRAYS = np.array([0.0, 64.0, 128.0, 192.0, 255.0])
NAMES = {"unit": "0..1", "tf": "-1..1", "none": "0..255"}  # the one that is preferred first
CLOSE = 0.02  # of the range of what arrives
USUAL = ((0, 1), (-1, 1), (-0.5, 0.5), (0, 255), (-127.5, 127.5), (-2.1, 2.4), (-110, 145))  # that weights learn from
ADVICE = "pass preprocess= if it was trained on other numbers"


@dataclass(frozen=True)
class Finding:
    """What an input takes, and how that is known.

    Attributes:
        preprocess: what makes it of 0..255.
        why: how it is known and how sure that is: part of a sentence.
        meaning: what the input takes, in words, where `preprocess` is not one of the named ones.
    """

    preprocess: Preprocess
    why: str
    meaning: str = ""


class Evidence:
    """What is known of one picture input: its front, and which family of backbones stands behind."""

    def __init__(self, front: Front, which: int, channels: int, layers: Mapping[str, Any]) -> None:
        """Nothing is computed yet."""
        self.front, self.which, self.channels = front, which, channels
        self.entry = front.entry(which)
        self.family: Family | None = family_at(self.entry, layers)
        self._known: dict[tuple[str, int], Array] = {}
        grays = np.repeat(GRAYS[:, None], channels, 1)
        self.palette = np.concatenate([grays, 255 * np.eye(channels)]).astype(np.float32)  # 0..255, [colors, channels]

    @property
    def modes(self) -> list[str]:
        """The preprocessings that exist for pictures of this many channels."""
        return [name for name, one in MODES.items() if self.channels == 3 or not isinstance(one, Affine)]

    def fed(self, name: str) -> Array:
        """What a named preprocessing makes of the palette: [colors, channels]."""
        return np.asarray(MODES[name](self.palette[:, None, None]))[:, 0, 0]

    def arriving(self, name: str, at: Any = None) -> Array:
        """What that becomes on the way to the first weights, or to another tensor: [colors, channels there]."""
        key = name, id(at)
        if key not in self._known:
            self._known[key] = self.front.arriving(self.which, self.fed(name), at)
        return self._known[key]

    def grays(self, name: str, at: Any = None) -> Array:
        """What becomes of five grays: [5, channels there]."""
        return self.arriving(name, at)[: len(GRAYS)]

    def range_of(self, name: str, at: Any = None) -> tuple[float, float]:
        """The least and the largest gray that arrive, in the median of the channels that depend on the picture."""
        found = self.grays(name, at)
        low, high, alive = found.min(0), found.max(0), depending(found)
        return float(np.median(low[alive])), float(np.median(high[alive]))

    @property
    def is_untouched(self) -> bool:
        """Whether grays arrive as they are fed, whatever happens to colors."""
        pairs = [(self.grays(name), self.fed(name)[: len(GRAYS), :1]) for name in NAMES]
        return all(np.abs(found - fed).max() < 2e-3 * np.ptp(fed) for found, fed in pairs)


def depending(grays: Array) -> Array:
    """Which channels change with the gray level; all of them where none does."""
    length = np.ptp(grays, 0)
    return np.asarray(length > 1e-3 * length.max()) if length.max() > 0 else np.ones(len(length), bool)


def decide(evidence: Evidence) -> Finding:
    """What one input takes."""
    return next(found for source in _SOURCES if (found := source(evidence)) is not None)


def _by_family(evidence: Evidence) -> Finding | None:
    """The preprocessing with which the first weights of a known backbone see what they were trained on."""
    family = evidence.family
    if family is None or family.mode not in evidence.modes:
        return None
    wanted = evidence.fed(family.mode)
    for name in evidence.modes:
        if _agree(evidence.arriving(name), wanted):
            return Finding(MODES[name], _why_of_family(evidence, name == family.mode))
    return None


def _agree(found: Array, wanted: Array) -> bool:
    """Whether the palette arrives as it should; where colors become gray, or gray three colors, its grays alone."""
    if found.shape != wanted.shape:
        found, wanted = found[: len(GRAYS)], wanted[: len(GRAYS)]
        if np.ptp(wanted, 1).max() > 0:
            return False
        wanted = wanted[:, :1]
    return bool(np.abs(found - wanted).max() < CLOSE * np.ptp(wanted))


def _why_of_family(evidence: Evidence, is_usual: bool) -> str:
    family = evidence.family
    assert family is not None
    if is_usual:
        return f"by the convention of {family.name}, recognized by its first layers; {ADVICE}"
    return f"found: the model itself makes of it what {family.name}, recognized by its first layers, was trained on"


def _by_statistics(evidence: Evidence) -> Finding | None:
    """The smallest range in which pictures can have the mean and variance that a first normalization has learned."""
    learned = statistics_layers.first(evidence.front, evidence.which)
    if learned is None:
        return None
    for name, words in NAMES.items():
        found = evidence.grays(name, learned.tensor)
        low, high = sorted((float(found[0].mean()), float(found[-1].mean())))
        if learned.fits(low, high):
            return Finding(
                MODES[name], f"found: the mean and variance in {learned.path!r} are those of pictures in {words}"
            )
    return None


def _by_adapting(evidence: Evidence) -> Finding | None:
    """A model that brings any range to the same numbers, such as one that standardizes each picture."""
    if evidence.is_untouched:
        return None
    picture = evidence.front.random_picture(evidence.which)
    one, other = (evidence.front.run(evidence.which, picture * factor) for factor in (1.0, 1 / 255))
    spread = float(np.ptp(one))
    if not np.isfinite(spread) or spread < 1e-6 or np.abs(one - other).max() > 1e-3 * spread:
        return None
    return Finding(MODES["none"], "found: the model itself brings 0..255 and 0..1 to the same numbers")


def _by_scaling(evidence: Evidence) -> Finding | None:
    """The range that the operations before the first weights bring to numbers from which weights learn."""
    if evidence.is_untouched:
        return None
    errors = {name: _error(evidence, name) for name in NAMES}
    best = min(errors, key=lambda name: errors[name])
    others = [error for name, error in errors.items() if name != best]
    if not np.isfinite(errors[best]) or (errors[best] >= 1 and min(others) - errors[best] < 1.5):
        return None
    low, high = evidence.range_of(best)
    sure = "found" if errors[best] < 1 else "probably"
    where = f" at {evidence.entry!r}" if evidence.entry else ""
    return Finding(
        MODES[best], f"{sure}: the model itself makes {low:.3g}..{high:.3g} of it before the first weights{where}"
    )


def _error(evidence: Evidence, name: str) -> float:
    """How far what arrives is from the numbers that weights learn from: below 1 where it is like them."""
    found = evidence.grays(name)
    if not np.isfinite(found).all() or np.ptp(found, 0).max() < 1e-9:
        return np.inf
    found = found[:, depending(found)]
    low, high = evidence.range_of(name)
    is_pointless = np.abs(found - evidence.fed(name)[: len(GRAYS), :1]).max() < 0.01 * (high - low)
    is_even = np.abs(np.diff(found, axis=0)).min() > 0.005 * (high - low)  # nothing is clipped
    zero = float(np.median(evidence.grays("none")[0][depending(evidence.grays("none"))]))
    is_signed_for_nothing = name == "tf" and zero < 0.01 * (high - low)  # what takes -1..1 brings 0 to the middle
    return np.inf if is_pointless or not is_even or is_signed_for_nothing else _distance(low, high)


def _distance(low: float, high: float) -> float:
    length, below = high - low, low / (high - low)
    if -0.74 < below < 0.02 and (0.7 <= length <= 10 or 200 <= length <= 300):
        return float(min(0.9, *(0.5 * (abs(low - a) + abs(high - b)) / (b - a) for a, b in USUAL)))
    return 1 + float(min(abs(np.log(length / usual)) for usual in (0.7, 10, 200, 300)))


def _by_augmentation(evidence: Evidence) -> Finding | None:
    """The `value_range` of an augmentation layer, which changes brightness or contrast within it while training."""
    if evidence.family is not None:
        return None
    for call in evidence.front.on_the_way(evidence.which):
        found = getattr(call.layer, "value_range", None)
        if not isinstance(found, Sequence) or len(found) != 2:
            continue
        for name in NAMES:
            low, high = evidence.range_of(name, call.tensor)
            if max(abs(low - found[0]), abs(high - found[1])) < CLOSE * (found[1] - found[0]):
                return Finding(
                    MODES[name], f"probably: the value_range of {call.path!r} is {found[0]:g}..{found[1]:g}; {ADVICE}"
                )
    return None


def _by_inverting(evidence: Evidence) -> Finding | None:
    """What a known backbone was trained on, behind operations that move colors and do not scale."""
    family = evidence.family
    if family is None or not evidence.is_untouched:
        return None
    known = f"assumed: by the convention of {family.name}, behind what the model itself does to colors; {ADVICE}"
    if family.mode not in evidence.modes:
        makes_colors = evidence.channels == 1 and evidence.arriving("none").shape[1] == 3
        return Finding(MODES["none"], known) if makes_colors else None
    solved = _solved(evidence, family.mode)
    return (
        None if solved is None else Finding(solved, known, f"what becomes {family.name}'s own range inside the model")
    )


def _solved(evidence: Evidence, mode: str) -> Preprocess | None:
    """The preprocessing with which the named numbers arrive, where what happens to colors can be turned back."""
    if isinstance(MODES[mode], Scale):
        return MODES[mode]
    arriving, wanted = evidence.arriving("none"), evidence.fed(mode)
    black, turned = arriving[0], (arriving[len(GRAYS) :] - arriving[0]) / 255  # [from, to]
    if turned.shape != (3, 3) or np.linalg.cond(turned) > 100:
        return None
    back = np.linalg.inv(turned)
    matrix = (wanted[len(GRAYS) :] - wanted[0]) / 255
    return Affine(_rows(matrix @ back), tuple(float(n) for n in (wanted[0] - black) @ back))


def _rows(matrix: Array) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(n) for n in row) for row in matrix)


def _by_guess(evidence: Evidence) -> Finding:
    return guess(
        f"a guess for {evidence.channels} channels" if evidence.family else "a guess: nothing in the model says"
    )


def guess(why: str) -> Finding:
    """0..1, and why it is not known."""
    return Finding(MODES["unit"], f"{why}; pass preprocess= if the pictures look wrong")


_SOURCES: tuple[Callable[[Evidence], Finding | None], ...] = (
    _by_family, _by_statistics, _by_adapting, _by_scaling, _by_augmentation, _by_inverting, _by_guess,
)  # fmt: skip
