"""Small grids of signed numbers as pictures, and numbers rounded so that they still add up."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.pictures import colormaps

OUTSIDE = (150, 150, 150)  # of a cell that lies in padding


def signed_grid(
    values: NDArray[np.floating], largest: float, outside: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """A pixel for each number: red above 0, blue below, white at 0, gray for padding.

    Args:
        values: [h, w], finite.
        largest: the absolute value that gets the full color.
        outside: [h, w], where there is padding.

    Returns:
        uint8 [h, w, 3].
    """
    share = np.clip(values / largest if largest > 0 else np.zeros_like(values), -1, 1)
    colors = colormaps.colormap("RdBu_r")[np.rint((share / 2 + 0.5) * 255).astype(np.intp)]
    grid = np.rint(colors * 255).astype(np.uint8)
    if outside is not None:
        grid[outside] = OUTSIDE
    return grid


def rounded_terms(terms: Sequence[float], digits: int = 4) -> tuple[list[float], int]:
    """Terms rounded so that they add up to their rounded sum (the largest remainders give way).

    Args:
        terms: finite numbers.
        digits: how many significant ones the largest term keeps.

    Returns:
        The rounded terms, and the number of decimals that they are written with.
    """
    largest = max([abs(term) for term in terms] + [abs(sum(terms))])
    decimals = max(0, digits - 1 - math.floor(math.log10(largest))) if largest > 0 else 0
    scale = 10.0**decimals
    wanted = round(math.fsum(terms) * scale)
    units = [round(term * scale) for term in terms]
    while (missing := wanted - sum(units)) != 0:
        step = 1 if missing > 0 else -1
        errors = [step * (term * scale - unit) for term, unit in zip(terms, units, strict=True)]
        units[errors.index(max(errors))] += step
    return [unit / scale for unit in units], decimals
