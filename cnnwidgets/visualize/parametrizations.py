"""Parametrizations of a picture: the free variables that are optimized in place of its pixels.

A parametrization has two directions: `begin` makes the variables (from noise, or from a picture), `render` turns them
into pictures. Which one is used changes the picture more than the optimizer does (Olah, Mordvintsev & Schubert,
"Feature Visualization", Distill 2017).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import number
from cnnwidgets.model.backend import tf
from cnnwidgets.visualize import randomness
from cnnwidgets.visualize.spectrum import Spectrum, correlated, natural_spectrum, planes_of, spectrum_of

MOST_DECAY = 4.0


@runtime_checkable
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
        return pictures

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        return variables


@dataclass(frozen=True)
class Fourier:
    """The real Fourier transform of a picture in decorrelated colors, behind a sigmoid.

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
        height, width, _ = pictures.shape[1:]
        spectrum = spectrum_of(pictures) * 4.0
        scale = tf.constant(_spectrum_scale(height, width, self.decay))
        return tf.stack([tf.math.real(spectrum) / scale, tf.math.imag(spectrum) / scale], 1)

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        """Inverse transform, correlate the colors, sigmoid."""
        height, width, _ = shape
        scale = _spectrum_scale(height, width, self.decay) / np.float32(4.0)
        return tf.sigmoid(correlated(planes_of(variables, scale, height, width)))


@functools.lru_cache(maxsize=64)
def _spectrum_scale(height: int, width: int, decay: float) -> np.ndarray[Any, Any]:
    """`sqrt(H * W) / max(f, 1 / longest side)^decay` for each frequency, [H, W // 2 + 1]."""
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    frequency = np.maximum(np.hypot(rows, columns), 1.0 / max(height, width))
    return np.asarray(np.sqrt(height * width) / frequency**decay, np.float32)


@dataclass(frozen=True)
class FixedMagnitude:
    """Only the phases are free; how strong each frequency is stays as it is in photographs (MACO, arXiv:2306.06805).

    The variables are the phases, [N, C, H, W // 2 + 1].

    Attributes:
        spectrum: the mean size of each frequency in photographs, as `natural_spectrum` gives it.
    """

    spectrum: Spectrum

    def begin(self, shape: tuple[int, int, int], seeds: Any) -> Any:
        """Phases drawn evenly from the whole circle."""
        height, width, channels = shape
        return randomness.uniform(seeds, (channels, height, width // 2 + 1), -np.pi, np.pi)

    def fit(self, pictures: Any) -> Any:
        """The phases of the pictures."""
        return tf.math.angle(spectrum_of(pictures))

    def render(self, variables: Any, shape: tuple[int, int, int]) -> Any:
        """Inverse transform, correlate the colors, bring to the usual contrast, sigmoid."""
        height, width, channels = shape
        waves = tf.stack([tf.cos(variables), tf.sin(variables)], 1)
        logits = correlated(planes_of(waves, self.spectrum.resized(height, width, channels), height, width))
        mean, variance = tf.nn.moments(logits, [1, 2, 3], keepdims=True)
        return tf.sigmoid((logits - mean) / tf.sqrt(variance + 1e-8))


def pixels() -> Pixels:
    """Each pixel a variable: the books' way, full of high frequencies."""
    return Pixels()


def natural(pictures: Sequence[object] | None = None) -> FixedMagnitude:
    """Free phases, fixed magnitudes (MACO, Fel et al., arXiv:2306.06805): the most natural colors, a flat contrast.

    Args:
        pictures: photographs to take the magnitudes from, in any form that `load_picture` takes; a spectrum that
            comes with the package if not given.
    """
    return FixedMagnitude(natural_spectrum(pictures))


def fourier(decay: float = 1.0) -> Fourier:
    """Frequencies in decorrelated colors (Olah et al. 2017).

    Args:
        decay: the exponent of 1 / f, 0 to 4; 1.0 suits channels, 1.25 classes, a higher one gives larger shapes.
    """
    return Fourier(decay=number("decay", decay, 0, MOST_DECAY))


USUAL = Fourier()


def checked(parametrization: object) -> Parametrization:
    """What was given, or the usual one for `None`.

    Raises:
        BadTarget: for what is not a parametrization.
    """
    given = USUAL if parametrization is None else parametrization
    if isinstance(given, type) or not isinstance(given, Parametrization):
        raise BadTarget(
            f"parametrization must come from cw.parametrizations (pixels(), fourier(), natural()), got {quoted(given)}."
        )
    return given
