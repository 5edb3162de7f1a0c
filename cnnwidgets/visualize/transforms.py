"""Small random changes before each step, so that the picture does not depend on single pixels.

A transform takes the rendered pictures and fresh seeds of this step, and gives changed pictures. It stands inside the
differentiated forward pass: the stored picture itself never moves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import number, whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing.user_function import tensor_of
from cnnwidgets.visualize import randomness

MOST_SCALE = 4.0
_TAKE = "Take pictures, seeds and shared, and return the pictures [N, H, W, C]."


class Transform(Protocol):
    """Pictures [N, H, W, C] -> pictures [N, H, W, C]."""

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        """Change the pictures; `seeds` [N, 2] differ for each picture, `shared` [2] is one for the whole batch."""


@dataclass(frozen=True)
class Jitter:
    """Roll all pictures by the same random offset: as good as one each, and one operation instead of N."""

    pixels: int

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        offset = tf.random.stateless_uniform([2], shared, -self.pixels, self.pixels + 1, tf.int32)
        return tf.roll(pictures, offset, [1, 2])


@dataclass(frozen=True)
class Crop:
    """A random square part, each picture its own, resized back to the whole size."""

    smallest: float
    largest: float

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        """Cut out, and resize."""
        side, top, left = tf.unstack(randomness.uniform(seeds, (3,)), axis=1)  # [N] each, 0..1
        side = self.smallest + side * (self.largest - self.smallest)
        top, left = top * (1 - side), left * (1 - side)
        boxes = tf.stack([top, left, top + side, left + side], 1)  # [N, 4], 0..1
        return tf.image.crop_and_resize(pictures, boxes, tf.range(tf.shape(pictures)[0]), tf.shape(pictures)[1:3])


@dataclass(frozen=True)
class Noise:
    """Gaussian noise of a standard deviation in units of 0..1: at each step another one, the same for all pictures."""

    deviation: float

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        return pictures + self.deviation * tf.random.stateless_normal(tf.shape(pictures)[1:], shared)


@dataclass(frozen=True)
class Scale:
    """Enlarge or shrink about the middle by a random factor, each picture its own; what is missing is mirrored."""

    smallest: float
    largest: float

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        """Scale about the middle."""
        factor = randomness.uniform(seeds, (), self.smallest, self.largest)
        return _affine(pictures, 1 / factor, tf.zeros_like(factor))


@dataclass(frozen=True)
class Rotate:
    """Turn about the middle by up to `degrees` either way, each picture its own."""

    degrees: float

    def __call__(self, pictures: Any, seeds: Any, shared: Any) -> Any:
        """Turn about the middle."""
        angle = randomness.uniform(seeds, (), -self.degrees, self.degrees) * (3.14159265 / 180)
        return _affine(pictures, tf.cos(angle), tf.sin(angle))


def _affine(pictures: Any, along: Any, across: Any) -> Any:
    """Sample at `[[along, -across], [across, along]] @ position`, about the middle, mirrored at the border."""
    height, width = tf.unstack(tf.cast(tf.shape(pictures)[1:3], tf.float32))
    y, x = (height - 1) / 2, (width - 1) / 2
    zero = tf.zeros_like(along)
    matrix = [along, -across, x - along * x + across * y, across, along, y - across * x - along * y, zero, zero]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack(matrix, 1),
        output_shape=tf.shape(pictures)[1:3],
        interpolation="BILINEAR",
        fill_mode="REFLECT",
        fill_value=0.0,
    )


def compose(pictures: Any, transforms: Sequence[Transform], seeds: Any, shared: Any) -> Any:
    """Apply the transforms in order, each with seeds of its own."""
    for index, transform in enumerate(transforms):
        own = randomness.at_step(seeds, index + 1)
        alike = tf.random.experimental.stateless_fold_in(shared, index + 1)
        pictures = tensor_of("The transform", _with_seeds(transform, own, alike), pictures, _TAKE)
    return pictures


def _with_seeds(transform: Transform, seeds: Any, shared: Any) -> Callable[[Any], Any]:
    return lambda pictures: transform(pictures, seeds, shared)


def _range(smallest: float, largest: float, most: float) -> tuple[float, float]:
    """Two shares of the whole, the smaller one first."""
    largest = number("largest", largest, 0, most, above=True)
    return number("smallest", smallest, 0, largest, above=True), largest


def jitter(pixels: int) -> Jitter:
    """Roll by up to `pixels` either way."""
    return Jitter(whole_number("pixels", pixels))


def crop(smallest: float = 0.55, largest: float = 0.95) -> Crop:
    """A random square part whose side is between these shares of the whole, resized back."""
    return Crop(*_range(smallest, largest, 1.0))


def noise(deviation: float = 0.05) -> Noise:
    """Gaussian noise; `deviation` in units of 0..1."""
    return Noise(number("deviation", deviation, 0, 1))


def scale(smallest: float = 0.9, largest: float = 1.1) -> Scale:
    """Enlarge by a random factor between these."""
    return Scale(*_range(smallest, largest, MOST_SCALE))


def rotate(degrees: float = 10) -> Rotate:
    """Turn by up to `degrees` either way."""
    return Rotate(number("degrees", degrees, 0, 180))


USUAL: tuple[Transform, ...] = (Jitter(8),)


def checked(transforms: object) -> tuple[Transform, ...]:
    """What was given, or the usual ones for `None`.

    Raises:
        BadTarget: for what is not a list of transforms.
    """
    given = USUAL if transforms is None else transforms
    if not isinstance(given, (list, tuple)) or not all(map(callable, given)):
        raise BadTarget(f"transforms must be a list from cw.transforms, such as [jitter(8)], got {quoted(given)}.")
    return tuple(given)
