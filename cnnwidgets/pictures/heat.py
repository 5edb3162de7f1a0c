"""Numbers as colors: heatmaps, and heatmaps laid over a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.errors import BadPicture, BadTarget, quoted
from cnnwidgets.pictures import colormaps
from cnnwidgets.pictures.pixels import resize
from cnnwidgets.pictures.reading.load import load_picture


def paint(heat: NDArray[Any], colormap: str = "viridis", largest: float | None = None) -> NDArray[np.float32]:
    """A map in false colors, after division by its largest value (an empty map stays empty).

    Args:
        heat: [H, W], finite. Sequential color maps show 0..max and clip what is negative; "RdBu_r" shows
            -max..max, white at 0.
        colormap: one of `COLORMAPS`.
        largest: the value that gets the full color, so that maps can share a scale; the map's own, if not given.

    Returns:
        float32 [H, W, 3] in 0..1.
    """
    share = _share(heat, colormap, largest)
    shade = share / 2 + 0.5 if colormap in colormaps.DIVERGING else share
    return colormaps.colormap(colormap)[np.rint(shade * 255).astype(np.intp)]


def overlay(
    picture: object,
    heat: NDArray[Any],
    colormap: str = "viridis",
    opacity: float = 0.7,
    largest: float | None = None,
) -> NDArray[np.float32]:
    """A heatmap laid over a picture, so that the picture stays bright where there is no heat.

    The map is stretched to the picture (bilinear, so no blocks are seen), divided by its largest value, and painted
    with the opacity `opacity * heat ** 0.6`: a constant one would darken the whole picture.

    Args:
        picture: any picture, [H, W, 3] once loaded.
        heat: [h, w], finite, any size; all zero leaves the picture as it is.
        colormap: one of `COLORMAPS`; a diverging one shows negative values too.
        opacity: 0 to 1, where the map is at its largest.
        largest: the value that gets the full color, so that maps can share a scale; the map's own, if not given.

    Returns:
        float32 [H, W, 3] in 0..1.

    Raises:
        BadPicture: a picture that cannot be read, or a map that is not [h, w] and finite.
        BadTarget: an unknown color map, or an opacity outside 0..1.
    """
    if not 0 <= opacity <= 1:
        raise BadTarget(f"opacity must be a number from 0 (only the picture) to 1, got {quoted(opacity)}.")
    below = load_picture(picture)
    heat = resize(_checked(heat), below.shape[:2])  # [h, w] -> [H, W]
    alpha = opacity * np.abs(_share(heat, colormap, largest))[..., None] ** np.float32(0.6)  # [H, W, 1]
    return below + (paint(heat, colormap, largest) - below) * alpha


def _share(heat: NDArray[Any], colormap: str, largest: float | None) -> NDArray[np.float32]:
    """The map as shares of its largest value: 0..1, or -1..1 for a diverging color map."""
    heat = _checked(heat)
    signed = colormap in colormaps.DIVERGING
    heat = heat if signed else np.maximum(heat, 0)
    top = np.abs(heat).max() if largest is None else np.float32(largest)
    return np.clip(heat / top, -1, 1) if top > 0 else np.zeros_like(heat)


def _checked(heat: NDArray[Any]) -> NDArray[np.float32]:
    heat = np.asarray(heat, np.float32)
    if heat.ndim != 2 or not heat.size or not np.isfinite(heat).all():
        raise BadPicture(f"A map of shape {list(heat.shape)} cannot be shown. Expected [H, W], not empty, without NaN.")
    return heat
