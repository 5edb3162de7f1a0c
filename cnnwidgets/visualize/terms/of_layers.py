"""Terms that read a layer: a channel, a unit, one position of a map, a direction, a whole layer, or variety."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.visualize.terms.term import Activation, LayerTerm, Numbers

CENTER = -1  # a row or column that stands for the middle of the map
LEAST_COSINE = 0.1  # so that positions that point elsewhere keep a gradient, as in Lucid


class Unit(LayerTerm):
    """The mean of a channel where the layer has rows and columns, else a single number."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        return _own(activation.means, numbers.units)


class Channel(Unit):
    """The mean of a channel."""

    def check_layer(self, info: LayerInfo) -> None:
        _check_spatial(info)


@dataclass(frozen=True, kw_only=True)
class Neuron(LayerTerm):
    """A channel at one position of the map.

    Attributes:
        position: (row, column), CENTER for the middle.
    """

    position: tuple[int, int] = (CENTER, CENTER)

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        seen = activation.map
        height, width = tf.shape(seen)[1], tf.shape(seen)[2]
        row, column = tf.unstack(numbers.own[0])
        y = tf.where(row < 0, height // 2, tf.minimum(row, height - 1))
        x = tf.where(column < 0, width // 2, tf.minimum(column, width - 1))
        return _own(seen[:, y, x, :], numbers.units)

    def check_layer(self, info: LayerInfo) -> None:
        """Only where there are positions."""
        _check_spatial(info)

    @property
    def structure(self) -> Self:
        """The position is a tensor."""
        return replace(super().structure, position=(CENTER, CENTER))

    def own_numbers(self) -> tuple[Any, ...]:
        return (tf.constant(self.position, tf.int32),)


def _own(values: Any, units: Any) -> Any:  # [N, C], [N] -> [N]
    """The value of each picture's own unit; a gather with batches has a gradient of ten times as many operations."""
    return tf.gather_nd(values, tf.stack([tf.range(tf.shape(units)[0]), units], 1))


class Layer(LayerTerm):
    """The mean square of all numbers of a layer."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        seen = activation.map
        return tf.reduce_mean(tf.square(seen), list(range(1, seen.shape.rank)))


@dataclass(frozen=True, kw_only=True)
class Direction(LayerTerm):
    """The mean of the map along a direction among its channels.

    Attributes:
        vector: of length 1, one number for each channel.
    """

    vector: tuple[float, ...]

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        return tf.linalg.matvec(activation.means, numbers.own[0])

    def check_layer(self, info: LayerInfo) -> None:
        """Only where there are as many channels."""
        if len(self.vector) != info.units:
            raise BadTarget(
                f"The direction has {len(self.vector)} numbers, and the layer {quoted(info.path)} {info.units} "
                "channels. Give one for each channel."
            )

    @property
    def structure(self) -> Self:
        """The direction is a tensor."""
        return replace(super().structure, vector=())

    def own_numbers(self) -> tuple[Any, ...]:
        return (tf.constant(self.vector, tf.float32),)


@dataclass(frozen=True, kw_only=True)
class Alignment(Direction):
    """The map along a direction, at each position times a power of the cosine of the two (Lucid).

    Attributes:
        power: of the cosine.
    """

    power: float

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        vector, power = numbers.own
        return tf.reduce_mean(alignment(activation.map, vector, power), _positions(activation.map))

    @property
    def structure(self) -> Self:
        """The direction and the power are tensors."""
        return replace(super().structure, power=0.0)

    def own_numbers(self) -> tuple[Any, ...]:
        """The direction, [C], and the power, []."""
        return (*super().own_numbers(), tf.constant(self.power, tf.float32))


def alignment(seen: Any, toward: Any, power: Any) -> Any:  # [N, h, w, C], [..., C] -> [N, h, w]
    """The dot product of two activations, or of one with a direction, times a power of their cosine."""
    dots = tf.reduce_sum(seen * toward, -1)
    cosines = dots / (_length(seen) * _length(toward) + 1e-6)
    return dots * tf.pow(tf.maximum(cosines, LEAST_COSINE), power)


def _length(vectors: Any) -> Any:  # [..., C] -> [...]
    return tf.sqrt(tf.reduce_sum(tf.square(vectors), -1) + 1e-12)  # a gradient of 0 where all channels are 0, not NaN


def _positions(seen: Any) -> list[int]:
    """The axes of rows and columns."""
    return list(range(1, seen.shape.rank - 1))


class Diversity(LayerTerm):
    """How unlike the pictures of a batch are, 0 to -1: the mean cosine of their channels' correlations, negative."""

    def value(self, activation: Activation, numbers: Numbers) -> Any:
        seen = activation.map  # [N, h, w, C]
        flat = tf.reshape(seen, [tf.shape(seen)[0], -1, seen.shape[-1]])  # [N, h * w, C]
        grams = tf.linalg.matmul(flat, flat, transpose_a=True)  # [N, C, C]
        unit = tf.math.l2_normalize(tf.reshape(grams, [tf.shape(grams)[0], -1]), -1, epsilon=1e-10)
        cosines = tf.linalg.matmul(unit, unit, transpose_b=True)  # [N, N]
        others = tf.cast(tf.maximum(tf.shape(cosines)[0] - 1, 1), tf.float32)
        return -(tf.reduce_sum(cosines, -1) - tf.linalg.diag_part(cosines)) / others

    def check_layer(self, info: LayerInfo) -> None:
        _check_spatial(info)


def _check_spatial(info: LayerInfo) -> None:
    if not info.is_spatial:
        raise BadTarget(
            f"The layer {quoted(info.path)} has no rows and columns, so it has no channels. Use objectives.unit for it."
        )
