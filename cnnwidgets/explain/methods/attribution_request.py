"""Inputs and partial results of an attribution method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.targets import Target
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf

Maps = dict[int, Array]  # [h, w], signed, at the size that is fed, by the index of the picture input


@dataclass(frozen=True)
class AttributionRequest:
    """Inputs of an attribution method.

    Attributes:
        probe: cached passes for the pictures.
        target: the number to explain, with a fixed class.
        value: that number for the unchanged pictures.
        gradient: its gradient there, [1, H, W, C] for each picture; empty for methods without gradients.
        samples: number of noisy copies, steps or masks.
        noise: standard deviation of the noise, in pictures of 0..1.
        seed: of the noise or the masks.
    """

    probe: Probe
    target: Target
    value: float
    gradient: Maps
    samples: int
    noise: float
    seed: int

    @property
    def pictures(self) -> Maps:
        """[1, H, W, C], 0..1, by the index of their input."""
        return self.probe.pictures

    def gradients(self, copies: Maps) -> Maps:
        """The target's gradients for copies, [N, H, W, C]."""
        return by_picture(copies, self.probe.backward(self.target, copies).gradients)

    def values(self, copies: Maps) -> Array:
        return np.asarray(self.probe.values(self.target, copies).value)


class PartialMaps(NamedTuple):
    """Partial result of a method: signed evidence, and notes about it."""

    maps: Maps
    notes: tuple[str, ...] = ()


def by_picture(copies: Maps, gradients: list[Array | None]) -> Maps:
    """Gradients by picture input; zeros for a picture that does not affect the target."""
    pairs = zip(copies.items(), gradients, strict=True)
    return {i: np.zeros_like(copy) if g is None else g for (i, copy), g in pairs}


def batches(count: int, size: int) -> Iterator[range]:
    """The indices of the samples, in batches of at most `size`."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def sample_seeds(seed: int, which: int, part: range) -> list[Any]:
    """A stateless seed for each sample, from (seed, input, number of the sample) alone."""
    whole = tf.constant([seed & 0x7FFFFFFF, which], tf.int32)
    return [tf.random.experimental.stateless_fold_in(whole, k) for k in part]
