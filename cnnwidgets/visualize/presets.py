"""Presets for pictures of units and classes: the values of `recipe=`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.backend import tf
from cnnwidgets.visualize import optimizers, parametrizations, transforms
from cnnwidgets.visualize.gradient_step import Ascent


def _stretch_contrast(pictures: Any) -> Any:
    """The books' last step: a mean of one half and a standard deviation of a tenth, then clipped (Chollet 2016)."""
    mean, variance = tf.nn.moments(pictures, [1, 2, 3], keepdims=True)
    return tf.clip_by_value((pictures - mean) / (tf.sqrt(variance) + 1e-5 / 255) * 0.1 + 0.5, 0.0, 1.0)


# The books count in gray levels of 0..255: their gradient is 1/255 of ours, and so 255 times nearer to their 1e-5.
_BY_GRAY_LEVELS = optimizers.NormalizedGradient(rate=1 / 255, epsilon=255 * 1e-5)

_TEXTBOOK = Ascent(parametrizations.Pixels(), (), _BY_GRAY_LEVELS, finish=_stretch_contrast)

# A picture that still shows its subject when it is cut, resized and a little noisy has it large and in the middle.
_SUBJECT = (transforms.Crop(0.55, 0.95), transforms.Noise(0.03))

# At half this rate 32 steps leave the contrast low: shallow units respond only 1.8 times as much as to photographs.
_STRONG = optimizers.Adam(0.1)


@functools.cache
def _natural() -> Ascent:
    return Ascent(parametrizations.natural(), _SUBJECT, optimizers.Nadam(0.1))


UNIT_RECIPES: dict[str, Callable[[], Ascent]] = {
    "fourier": lambda: Ascent(optimizer=_STRONG),
    "natural": _natural,
    "textbook": lambda: _TEXTBOOK,
}
CLASS_RECIPES: dict[str, Callable[[], Ascent]] = {
    "fourier": lambda: Ascent(parametrizations.Fourier(decay=1.25), _SUBJECT, _STRONG),
    "natural": _natural,
    "textbook": lambda: _TEXTBOOK,
}

# Whether a recipe maximizes the values before the activation; the books maximize the activation itself.
BEFORE_ACTIVATION = {"fourier": True, "natural": True, "textbook": False}


def named(recipe: object, recipes: Mapping[str, Callable[[], Ascent]] = UNIT_RECIPES) -> Ascent:
    """The gradient ascent that a name stands for."""
    if isinstance(recipe, str) and recipe in recipes:
        return recipes[recipe]()
    raise BadTarget(f"There is no recipe {quoted(recipe)}. Choose one ({nearest(recipe, recipes)}).")
