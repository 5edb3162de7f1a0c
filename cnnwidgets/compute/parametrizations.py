"""The picture as free variables: what is climbed is not the pixels themselves.

A parametrization has two directions: `begin` makes the variables (from noise, or from a picture), `render` turns them
into pictures. Which one is used changes the picture more than the optimiser does (Olah, Mordvintsev & Schubert,
"Feature Visualization", Distill 2017).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from cnnwidgets.compute import randomness
from cnnwidgets.compute.backend import tf

# Lucid's matrix: how red, green and blue vary together in natural pictures, as its columns' square root of covariance.
_COLOR = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLOR_CORRELATION = _COLOR / np.linalg.norm(_COLOR, axis=0).max()


class Parametrization(Protocol):
    """Variables [N, ...] -> pictures [N, H, W, C], 0..1."""

    def begin(self, shape: tuple[int, int, int], seeds: Any) -> Any:
        """Variables for N pictures [H, W, C] of noise, one from each seed."""

    def fit(self, pictures: Any) -> Any:
        """Variables that render given pictures [N, H, W, C] 0..1, as nearly as the parametrization can."""

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        """Pictures [N, H, W, C], 0..1."""


@dataclass(frozen=True)
class Pixels:
    """Each pixel is a variable of its own, 0..1; clipped only when shown, as in the books."""

    mean: float = 128 / 255
    spread: float = 20 / 255

    def begin(self, shape: tuple[int, int, int], seeds: Any) -> Any:
        """`mean + U(0, spread)`."""
        return self.mean + randomness.uniform(seeds, shape, 0.0, self.spread)

    def fit(self, pictures: Any) -> Any:
        """The pictures themselves."""
        return pictures

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        """The variables themselves."""
        return variables


@dataclass(frozen=True)
class Fourier:
    """The real Fourier transform of a picture in decorrelated colours, behind a sigmoid.

    Every frequency is scaled by 1 / f^decay, as in natural pictures, so that a step moves large shapes as easily as
    fine grain. The variables are the real and imaginary parts, [N, H, W // 2 + 1, C, 2].
    """

    decay: float = 1.0
    spread: float = 0.01

    def begin(self, shape: tuple[int, int, int], seeds: Any) -> Any:
        """Normal numbers of standard deviation `spread`."""
        height, width, channels = shape
        return self.spread * randomness.normal(seeds, (2, channels, height, width // 2 + 1))

    def fit(self, pictures: Any) -> Any:
        """The spectrum of the pictures, kept off pure black and white, where a sigmoid has no end."""
        height, width, channels = pictures.shape[1:]
        safe = tf.clip_by_value(pictures, 0.01, 0.99)
        logits = tf.math.log(safe / (1 - safe))  # [N, H, W, C]
        if channels == 3:
            logits = tf.tensordot(logits, tf.constant(np.linalg.inv(COLOR_CORRELATION).T.astype(np.float32)), 1)
        spectrum = tf.signal.rfft2d(tf.transpose(logits, [0, 3, 1, 2])) * 4.0  # [N, C, H, W // 2 + 1]
        scale = tf.constant(_spectrum_scale(height, width, self.decay))
        return tf.stack([tf.math.real(spectrum) / scale, tf.math.imag(spectrum) / scale], 1)

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        """Inverse transform, correlate the colours, sigmoid."""
        height, width, channels = shape
        real, imaginary = tf.unstack(variables * tf.constant(_spectrum_scale(height, width, self.decay)), axis=1)
        planes = tf.signal.irfft2d(tf.complex(real, imaginary), [height, width]) / 4.0  # [N, C, H, W]
        logits = tf.transpose(planes, [0, 2, 3, 1])  # [N, H, W, C]
        if channels == 3:
            logits = tf.tensordot(logits, tf.constant(COLOR_CORRELATION.T.copy()), 1)
        return tf.sigmoid(logits)


@functools.lru_cache(maxsize=64)
def _spectrum_scale(height: int, width: int, decay: float) -> np.ndarray[Any, Any]:
    """`sqrt(H * W) / max(f, 1 / longest side)^decay` for each frequency, [H, W // 2 + 1]."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / max(height, width))
    return np.asarray(np.sqrt(height * width) / frequency**decay, np.float32)


def pixels() -> Pixels:
    """Each pixel a variable: the books' way, full of high frequencies."""
    return Pixels()


def fourier(decay: float = 1.0) -> Fourier:
    """Frequencies in decorrelated colours (Olah et al. 2017).

    Args:
        decay: the exponent of 1 / f; 1.0 suits channels, 1.25 classes, a higher one gives larger shapes.
    """
    return Fourier(decay=float(decay))
