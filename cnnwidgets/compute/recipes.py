"""The named ways to paint a unit or a class: what `recipe="fourier"` and its siblings mean."""

from __future__ import annotations

from typing import Any

from cnnwidgets.compute import optimizers, parametrizations
from cnnwidgets.compute.ascent import Ascent
from cnnwidgets.compute.backend import tf
from cnnwidgets.errors import BadTarget, nearest, quoted


def _stretch_contrast(pictures: Any) -> Any:
    """The books' last step: a mean of one half and a standard deviation of a tenth, then clipped (Chollet 2016)."""
    mean, variance = tf.nn.moments(pictures, [1, 2, 3], keepdims=True)
    return tf.clip_by_value((pictures - mean) / (tf.sqrt(variance) + 1e-5 / 255) * 0.1 + 0.5, 0.0, 1.0)


# The books count in grey levels of 0..255: their gradient is 1/255 of ours, and so 255 times nearer to their 1e-5.
_BY_GREY_LEVELS = optimizers.NormalizedGradient(rate=1 / 255, epsilon=255 * 1e-5)

UNIT_RECIPES: dict[str, Ascent] = {
    "fourier": Ascent(),
    "textbook": Ascent(parametrizations.Pixels(), (), _BY_GREY_LEVELS, _stretch_contrast),
}

# Whether a recipe climbs what stands before the activation; the books climb the activation itself.
BEFORE_ACTIVATION = {"fourier": True, "textbook": False}


def named(recipe: object) -> Ascent:
    """The way of climbing that a name stands for.

    Raises:
        BadTarget: for an unknown name.
    """
    if isinstance(recipe, str) and recipe in UNIT_RECIPES:
        return UNIT_RECIPES[recipe]
    raise BadTarget(f"There is no recipe {quoted(recipe)}. Choose one ({nearest(recipe, UNIT_RECIPES)}).")
