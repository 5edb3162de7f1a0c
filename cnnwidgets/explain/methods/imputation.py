"""Removed pixels filled from their neighbors, so that the hole itself shows nothing: the imputation of ROAD.

Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods" (arXiv:2202.00449): each removed
pixel is the weighted mean of its eight neighbors, which is a linear system, plus a little noise.
"""

from __future__ import annotations

import numpy as np

from cnnwidgets.frame import Array

NOISE = 0.01  # standard deviation, in pictures of 0..1
TOLERANCE = 1e-3  # how far a pixel may be from the mean of its neighbors, well below the noise
MOST_ROUNDS = 200
SMALLEST = 4  # pixels: a side from which on a picture is not halved


def filled(picture: Array, removed: Array, seed: int) -> Array:
    """A picture [H, W, C] whose removed pixels [H, W] are filled from the others; a uniform gray where none is left."""
    if not removed.any():
        return picture
    noise = np.asarray(np.random.default_rng(seed & 0x7FFFFFFF).normal(0, NOISE, picture.shape), np.float32)
    smooth = solved(picture, removed) if not removed.all() else np.full_like(picture, 0.5)
    return np.asarray(np.where(removed[..., None], np.clip(smooth + noise, 0, 1), picture), np.float32)


def solved(picture: Array, removed: Array, tolerance: float = TOLERANCE) -> Array:
    """Each removed pixel as the mean of its neighbors, by conjugate gradients that start from half the size."""
    hole = removed[..., None]
    weight = _sum_of_neighbors(np.ones((*removed.shape, 1), np.float32))  # less than 1 at the picture's edges

    def error(values: Array) -> Array:
        return np.where(hole, weight * values - _sum_of_neighbors(values), 0)

    current = np.where(hole, _start(picture, removed), picture).astype(np.float32)
    residual = -error(current)
    direction = step = residual / weight
    power = float(np.vdot(residual, step))
    for _ in range(MOST_ROUNDS):
        if not power > 0 or np.abs(residual).max() <= tolerance:
            break
        slope = error(direction)
        length = np.float32(power / float(np.vdot(direction, slope)))
        current += length * direction
        residual = residual - length * slope
        step = residual / weight
        before, power = power, float(np.vdot(residual, step))
        direction = step + np.float32(power / before) * direction
    return current


def _start(picture: Array, removed: Array) -> Array:
    """A first guess: the solution at half the size."""
    if min(removed.shape) <= SMALLEST:
        known = picture[~removed]
        return np.broadcast_to(known.mean(0) if len(known) else np.float32(0.5), picture.shape)
    half = solved(*_halved(picture, removed))
    return half.repeat(2, 0).repeat(2, 1)[: removed.shape[0], : removed.shape[1]]


def _sum_of_neighbors(picture: Array) -> Array:
    """Weights 1/6 of the four nearest and 1/12 of the four diagonal neighbors; nothing beyond the picture's edges."""
    p = np.pad(picture, ((1, 1), (1, 1), (0, 0)))
    across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    return np.asarray((across[:-2] + 2 * across[1:-1] + across[2:] - 4 * picture) * np.float32(1 / 12), np.float32)


def _halved(picture: Array, removed: Array) -> tuple[Array, Array]:
    """At half the size: the mean of the known pixels of each block, removed where none is known."""
    height, width = (-(-side // 2) * 2 for side in removed.shape)
    room = ((0, height - removed.shape[0]), (0, width - removed.shape[1]))
    known = np.pad(~removed, room).astype(np.float32)[..., None]
    values = np.pad(picture, (*room, (0, 0))) * known
    count = known.reshape(height // 2, 2, width // 2, 2, 1).sum((1, 3))
    total = values.reshape(height // 2, 2, width // 2, 2, -1).sum((1, 3))
    return total / np.maximum(count, 1), count[..., 0] == 0
