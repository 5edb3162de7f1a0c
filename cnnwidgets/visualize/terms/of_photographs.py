"""Terms that compare a layer's activation with that of a photograph, under the same random transforms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from cnnwidgets.model.backend import tf
from cnnwidgets.visualize.terms.of_layers import alignment
from cnnwidgets.visualize.terms.term import Activation, LayerTerm, Numbers


class Comparison(LayerTerm):
    """A term that reads the photograph's activation, `Activation.beside`, as well."""


@dataclass(frozen=True, kw_only=True)
class Distance(Comparison):
    """The squared relative distance from the photograph's activation, to be subtracted as a penalty.

    Its value is 0 and only its gradient counts, so that the values of a run are those of the objective alone.

    Attributes:
        scales: a factor for each picture.
    """

    scales: tuple[float, ...]

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        far = numbers.own[0] * squared_distance(activation.map, activation.beside)
        return far - tf.stop_gradient(far)

    @property
    def structure(self) -> Self:
        """The factors are a tensor."""
        return replace(super().structure, scales=())

    def own_numbers(self) -> tuple[Any, ...]:
        """The factors, [N]."""
        return (tf.constant(self.scales, tf.float32),)


@dataclass(frozen=True, kw_only=True)
class Resemblance(Comparison):
    """The dot product with the photograph's activation times a power of their cosine, averaged over positions (Lucid).

    It is divided by the photograph's mean square, so that 1 is the photograph itself.

    Attributes:
        power: of the cosine.
    """

    power: float

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        seen, beside = activation.map, activation.beside  # [N, h, w, k] or [N, k]
        alike = alignment(seen, beside, numbers.own[0])
        axes = list(range(1, seen.shape.rank - 1))
        return tf.reduce_mean(alike, axes) / (tf.reduce_mean(tf.reduce_sum(tf.square(beside), -1), axes) + 1e-6)

    @property
    def structure(self) -> Self:
        """The power is a tensor."""
        return replace(super().structure, power=0.0)

    def own_numbers(self) -> tuple[Any, ...]:
        return (tf.constant(self.power, tf.float32),)


def squared_distance(activation: Any, beside: Any) -> Any:  # [N, ...], [N or 1, ...] -> [N]
    """The squared distance of two activations, relative to the second's squared length."""
    axes = list(range(1, activation.shape.rank))
    far = tf.reduce_sum(tf.square(activation - beside), axes)
    return far / (tf.reduce_sum(tf.square(beside), axes) + 1e-6)
