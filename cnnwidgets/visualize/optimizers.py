"""Optimizers as pure functions of tensors, so that a run carries its own state and shares nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import number
from cnnwidgets.model.backend import tf

Rate = float | Callable[[], float]
RUN = 16  # neighboring pixels that pass as channels


@runtime_checkable
class Optimizer(Protocol):
    """Gradient ascent on variables [N, ...]; each picture by itself.

    Attributes:
        rate: how far a step goes: a number, or a function that is called before each step. It reaches the graph as a
            tensor, so another rate needs no other graph.
    """

    @property
    def rate(self) -> Rate:
        """The learning rate: a number, or one for each step."""

    def begin(self, variables: Any) -> tuple[Any, ...]:
        """The state before the first step."""

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        """The variables and the state after a step uphill; `count` is 1 at the first."""


@dataclass(frozen=True)
class Adam:
    """Adam, uphill (Kingma & Ba, arXiv:1412.6980)."""

    rate: Rate = field(default=0.05, compare=False)
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def begin(self, variables: Any) -> tuple[Any, ...]:
        """Two moments of zero."""
        return tf.zeros_like(variables), tf.zeros_like(variables)

    def moments(self, state: tuple[Any, ...], gradient: Any) -> tuple[Any, Any]:
        """The running means of the gradient and of its square."""
        first, second = state
        first = self.beta_1 * first + (1 - self.beta_1) * gradient
        second = self.beta_2 * second + (1 - self.beta_2) * tf.square(gradient)
        return first, second

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        first, second = self.moments(state, gradient)
        count = tf.cast(count, tf.float32)
        rate = rate * tf.sqrt(1 - tf.pow(self.beta_2, count)) / (1 - tf.pow(self.beta_1, count))
        return variables + rate * first / (tf.sqrt(second) + self.epsilon), (first, second)


@dataclass(frozen=True)
class Nadam(Adam):
    """Adam with Nesterov's momentum, uphill (Dozat 2016)."""

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        first, second = self.moments(state, gradient)
        count = tf.cast(count, tf.float32)
        ahead = self.beta_1 * first / (1 - tf.pow(self.beta_1, count + 1))
        ahead += (1 - self.beta_1) * gradient / (1 - tf.pow(self.beta_1, count))
        spread = tf.sqrt(second / (1 - tf.pow(self.beta_2, count)))
        return variables + rate * ahead / (spread + self.epsilon), (first, second)


@dataclass(frozen=True)
class NormalizedGradient:
    """A step of fixed length along the gradient: `rate * g / (rms(g) + epsilon)`, as in the books (Chollet 2016)."""

    rate: Rate = field(default=1 / 255, compare=False)
    epsilon: float = 1e-5

    def begin(self, variables: Any) -> tuple[Any, ...]:
        return ()

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        axes = list(range(1, gradient.shape.rank))
        length = tf.sqrt(tf.reduce_mean(tf.square(gradient), axes, keepdims=True))
        return variables + rate * gradient / (length + self.epsilon), state


@dataclass(frozen=True)
class BlurredGradient:
    """DeepDream's step: `rate * g / rms(g)`, with g the mean of Gaussian blurs of the gradient; pixels stay in 0..1.

    The blurs keep new details at the scale of the octave; without them the picture fills with
    grain (Mordvintsev, Olah & Tyka, "Inceptionism", 2015). Where others divide by the standard deviation, a network
    that just likes brightness would burn the picture in one step.

    Attributes:
        rate: how far a step goes, in units of 0..1.
        deviations: of the Gaussians, in pixels.
    """

    rate: Rate = field(default=0.02, compare=False)
    deviations: tuple[float, ...] = (0.5, 1.0, 2.0)

    def begin(self, variables: Any) -> tuple[Any, ...]:
        return ()

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        blurred = mean_of_blurs(gradient, self.deviations)
        length = tf.sqrt(tf.reduce_mean(tf.square(blurred), [1, 2, 3], keepdims=True))
        return tf.clip_by_value(variables + rate * tf.math.divide_no_nan(blurred, length), 0.0, 1.0), state


@dataclass(frozen=True)
class MomentumSign:
    """Steps of the sign of a gathered gradient, inside a ball: no pixel leaves the start by more than the radius.

    The momentum iterative fast gradient sign method (Dong et al., arXiv:1710.06081); with a share of 1 and one step the
    fast gradient sign method (Goodfellow et al., arXiv:1412.6572). Pixels stay in 0..1.

    Attributes:
        rate: the ball's radius in the largest norm, in units of 0..1.
        share: how much of the radius one step goes.
        decay: how much of the gradients so far is kept.
    """

    rate: Rate = field(default=2 / 255, compare=False)
    share: float = 0.5
    decay: float = 1.0

    def begin(self, variables: Any) -> tuple[Any, ...]:
        """No momentum yet, and the ball's center."""
        return tf.zeros_like(variables), variables

    def step(
        self, variables: Any, state: tuple[Any, ...], gradient: Any, count: Any, rate: Any
    ) -> tuple[Any, tuple[Any, ...]]:
        momentum, center = state
        size = tf.reduce_mean(tf.abs(gradient), list(range(1, gradient.shape.rank)), keepdims=True)
        momentum = self.decay * momentum + tf.math.divide_no_nan(gradient, size)
        moved = variables + self.share * rate * tf.sign(momentum)
        moved = tf.clip_by_value(moved, center - rate, center + rate)
        return tf.clip_by_value(moved, 0.0, 1.0), (momentum, center)


def _checked_rate(rate: object, name: str = "rate") -> Rate:
    return rate if callable(rate) else number(name, rate, 0)


def adam(rate: Rate = 0.05) -> Adam:
    """Adam with this learning rate."""
    return Adam(_checked_rate(rate))


def nadam(rate: Rate = 0.1) -> Nadam:
    """Nadam with this learning rate."""
    return Nadam(_checked_rate(rate))


def normalized_gradient(rate: Rate = 1 / 255) -> NormalizedGradient:
    """Steps of `rate` (in units of 0..1 for pixels) along the gradient, whatever its size."""
    return NormalizedGradient(_checked_rate(rate))


def blurred_gradient(rate: Rate = 0.02) -> BlurredGradient:
    """DeepDream's steps, `rate` in units of 0..1; for pixels."""
    return BlurredGradient(_checked_rate(rate))


def momentum_sign(radius: Rate = 2 / 255) -> MomentumSign:
    """Steps that stay within `radius` of the start in every pixel, in units of 0..1; for pixels."""
    return MomentumSign(_checked_rate(radius, "radius"))


USUAL = Adam()


def checked(optimizer: object) -> Optimizer:
    """What was given, or the usual one for `None`.

    Raises:
        BadTarget: for what is not an optimizer.
    """
    given = USUAL if optimizer is None else optimizer
    if isinstance(given, type) or not isinstance(given, Optimizer):
        raise BadTarget(f"optimizer must come from cw.optimizers, such as adam(0.05), got {quoted(given)}.")
    return given


def mean_of_blurs(pictures: Any, deviations: Sequence[float]) -> Any:  # [N, H, W, C] -> [N, H, W, C]
    """The mean of Gaussian blurs of these standard deviations, in pixels; black beyond the border.

    As one kernel, 13 x 13 pixels for 3 channels, it is slow on a CPU: each pixel takes 169 products, and 3 channels
    leave most of a processor's lanes empty. A Gaussian is a product of two lines, so 13 products down and 13 across do,
    and down the columns whole runs of neighboring pixels can pass as channels. The picture is turned to do the other
    axis in the same way. The numbers are the same up to rounding.
    """
    channels = pictures.shape[3]
    count, height, width = tf.unstack(tf.shape(pictures)[:3])
    whole = tf.pad(pictures, [[0, 0], [0, -height % RUN], [0, -width % RUN], [0, 0]])
    rows, columns = tf.unstack(tf.shape(whole)[1:3])
    turned = _turned(tf.reshape(whole, [count, rows, columns * channels]))  # [N, W * C, H]
    across = tf.reshape(turned, [count, columns, channels * rows])

    def blurred(line: Array) -> Any:
        smooth = tf.reshape(_blurred_down(across, line, RUN * channels), [count, columns * channels, rows])
        return _blurred_down(_turned(smooth), line / len(deviations), RUN * channels)

    reach = 3 * max(deviations)
    total = tf.add_n([blurred(gaussian(deviation, reach)) for deviation in deviations])
    return tf.reshape(total, tf.shape(whole))[:, :height, :width]


def gaussian(deviation: float, reach: float) -> Array:
    """A Gaussian of one dimension, `2 * ceil(reach) + 1` long, whose sum is 1."""
    line = np.exp(-0.5 * (np.arange(-np.ceil(reach), np.ceil(reach) + 1) / deviation) ** 2)
    return np.asarray(line / line.sum())


def _turned(x: Any) -> Any:  # [N, a, b] -> [N, b, a]
    return tf.transpose(x, [0, 2, 1])


def _blurred_down(x: Any, line: Array, together: int) -> Any:  # [N, h, w] -> [N, h, w]
    """Each column by itself; w is a multiple of `together`, the columns that are one pixel's channels."""
    shape = tf.shape(x)
    each = tf.constant(np.tile(line[:, None, None, None], [1, 1, together, 1]), tf.float32)  # [k, 1, together, 1]
    pixels = tf.reshape(x, [shape[0], shape[1], shape[2] // together, together])
    return tf.reshape(tf.nn.depthwise_conv2d(pixels, each, [1, 1, 1, 1], "SAME"), shape)
