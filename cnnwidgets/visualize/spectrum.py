"""Frequencies and colors of photographs: how they vary together, and how strong each frequency is.

The colors are used by every Fourier parametrization; the strengths are what the "natural" recipe holds fixed. The
spectrum that comes with the package was made once, by `scripts/natural_spectrum.py`, from photographs under CC0, so
that pictures do not depend on what else is installed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadPicture
from cnnwidgets.model.arguments import pictures_in
from cnnwidgets.model.backend import tf

SIZE = 96  # of the crops, and of the spectrum that is kept: [3, 96, 49]
CROPS = 24


# Lucid's matrix: how red, green and blue vary together in natural pictures, as its columns' square root of covariance.
_COLOR = np.array([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]], np.float32)
COLOR_CORRELATION = _COLOR / np.linalg.norm(_COLOR, axis=0).max()


def correlated(planes: Any) -> Any:  # [N, C, H, W] -> [N, H, W, C]
    """From decorrelated colors to red, green and blue; other numbers of channels stay as they are."""
    logits = tf.transpose(planes, [0, 2, 3, 1])
    return tf.tensordot(logits, tf.constant(COLOR_CORRELATION.T.copy()), 1) if logits.shape[-1] == 3 else logits


def planes_of(parts: Any, scale: Any, height: int, width: int) -> Any:  # [N, 2, C, H, W // 2 + 1] -> [N, C, H, W]
    """The inverse of the real Fourier transform, of real and imaginary parts that are scaled first.

    Its gradient is the transform itself, in which a frequency with a twin counts twice. Written so, scale and twins are
    one product; TensorFlow's own takes two more products of complex numbers and thirty operations.
    """
    twice = np.full(width // 2 + 1, 2.0, np.float32)
    twice[0] = 1.0
    if width % 2 == 0:
        twice[-1] = 1.0

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def planes(parts: Any) -> Any:
        def gradient(upstream: Any) -> Any:
            spectrum = tf.signal.rfft2d(upstream)
            shares = tf.constant(scale * twice / np.float32(height * width))
            return tf.stack([tf.math.real(spectrum), tf.math.imag(spectrum)], 1) * shares

        real, imaginary = tf.unstack(parts * tf.constant(scale), axis=1)
        return tf.signal.irfft2d(tf.complex(real, imaginary), [height, width]), gradient

    return planes(parts)


def spectrum_of(pictures: Any) -> Any:  # [N, H, W, C] -> [N, C, H, W // 2 + 1]
    """The real Fourier transform of pictures before the sigmoid, in decorrelated colors."""
    safe = tf.clip_by_value(pictures, 0.01, 0.99)
    logits = tf.math.log(safe / (1 - safe))
    if logits.shape[-1] == 3:
        logits = tf.tensordot(logits, tf.constant(np.linalg.inv(COLOR_CORRELATION).T.astype(np.float32)), 1)
    return tf.signal.rfft2d(tf.transpose(logits, [0, 3, 1, 2]))


@dataclass(frozen=True)
class Spectrum:
    """The mean size of each frequency.

    Attributes:
        data: float32 bytes of [3, SIZE, SIZE // 2 + 1], so that a spectrum is a value like any other setting.
    """

    data: bytes

    def resized(self, height: int, width: int, channels: int) -> np.ndarray[Any, Any]:
        """The spectrum for pictures of another size, [C, H, W // 2 + 1]; more than three channels share brightness."""
        return _resized(self.data, height, width, channels)


@functools.lru_cache(maxsize=32)
def _resized(data: bytes, height: int, width: int, channels: int) -> np.ndarray[Any, Any]:
    kept = np.frombuffer(data, np.float32).reshape(3, SIZE, SIZE // 2 + 1)
    centered = np.moveaxis(np.fft.fftshift(kept, 1), 0, -1)  # [SIZE, SIZE // 2 + 1, 3]
    rows = _between(centered, height, SIZE / height * (np.arange(height) - height // 2) + SIZE // 2, 0)
    both = _between(rows, width // 2 + 1, SIZE / width * np.arange(width // 2 + 1), 1)
    planes = np.fft.ifftshift(np.moveaxis(both, -1, 0), 1)  # [3, H, W // 2 + 1]
    return np.asarray(planes if channels == 3 else np.repeat(planes[:1], channels, 0), np.float32)


def _between(
    values: np.ndarray[Any, Any], count: int, positions: np.ndarray[Any, Any], axis: int
) -> np.ndarray[Any, Any]:
    """Linear interpolation along an axis."""
    positions = np.clip(positions, 0, values.shape[axis] - 1)
    low = np.floor(positions).astype(int)
    high = np.minimum(low + 1, values.shape[axis] - 1)
    share = (positions - low).reshape([count if i == axis else 1 for i in range(values.ndim)])
    return np.asarray(np.take(values, low, axis) * (1 - share) + np.take(values, high, axis) * share)


def natural_spectrum(pictures: Sequence[object] | None = None) -> Spectrum:
    """The spectrum of photographs.

    Args:
        pictures: photographs of at least 96 x 96 pixels; the one that comes with the package if not given.

    Raises:
        BadPicture: for what is not a picture, or too small.
    """
    if pictures is None:
        return Spectrum((resources.files("cnnwidgets.visualize") / "natural_spectrum.f32").read_bytes())
    photographs = [pictures_.load_picture(picture) for picture in pictures_in(pictures)]
    return measured(np.stack([crop for photograph in photographs for crop in _crops(photograph, len(photographs))]))


def _crops(picture: np.ndarray[Any, Any], count: int) -> list[np.ndarray[Any, Any]]:
    height, width = picture.shape[:2]
    if min(height, width) < SIZE:
        raise BadPicture(f"A picture of {height} x {width} is too small. Give pictures of {SIZE} x {SIZE} or more.")
    positions = np.random.default_rng(0).random((max(1, CROPS // count), 2))
    corners = [(int(y * (height - SIZE)), int(x * (width - SIZE))) for y, x in positions]
    return [picture[y : y + SIZE, x : x + SIZE] for y, x in corners]


def measured(crops: np.ndarray[Any, Any]) -> Spectrum:  # [N, SIZE, SIZE, 3]
    """The mean size of each frequency of crops, in decorrelated colors, before the sigmoid."""
    window = np.hanning(SIZE + 1)[:-1]  # a crop is not periodic: without a window its borders would show as a cross
    faded = 0.5 + (crops - crops.mean((1, 2), keepdims=True)) * np.outer(window, window)[..., None]
    sizes = np.abs(np.asarray(spectrum_of(faded.astype(np.float32)))).mean(0)  # [3, SIZE, SIZE // 2 + 1]
    sizes[:, 0, 0] = 0.0  # the mean brightness is not a pattern
    return Spectrum(np.asarray(sizes, np.float32).tobytes())
