"""Attribution by masking parts of the pictures, without gradients: one small generator for each method."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cnnwidgets.explain.methods.attribution_request import AttributionRequest, PartialMaps, batches, sample_seeds
from cnnwidgets.explain.pass_cost import copies_of_pictures
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf

PATCH, STRIDE = 48 / 224, 16 / 224  # of occlusion: shares of the picture's shorter side
GRID, OPEN = 7, 0.5  # of RISE: cells a side, and how many of them are open


def occlusion(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The fall of the target when a gray square covers a region (Zeiler and Fergus, arXiv:1311.2901).

    A pixel gets the mean of all squares that cover it, those around it most: so the map shows no blocks.
    """
    maps = {i: np.zeros(p.shape[1:3], np.float32) for i, p in request.pictures.items()}
    for i, picture in request.pictures.items():
        size = picture.shape[1:3]
        falls, covered = np.zeros(size, np.float32), np.zeros(size, np.float32)
        holes = places(size)
        for part in batches(len(holes), copies_of_pictures(request.probe)):
            masks = np.stack([_with_hole(size, holes[k]) for k in part])  # [N, H, W]
            for k, value in zip(part, request.values(request.probe.behind({i: masks})), strict=True):
                tent = _tent(falls[holes[k]].shape[0])
                falls[holes[k]] += (request.value - value) * tent
                covered[holes[k]] += tent
            maps = {**maps, i: np.divide(falls, covered, out=np.zeros_like(falls), where=covered > 0)}
            yield PartialMaps(maps)


def _tent(side: int) -> Array:  # [side, side], highest in the middle and nowhere 0
    slope = 1 - np.abs((np.arange(side, dtype=np.float32) + 0.5) * 2 / side - 1)
    return np.outer(slope, slope)


def places(size: tuple[int, int]) -> list[tuple[slice, slice]]:
    """The positions of the square: in even steps, the last ones at the far edges."""
    side, stride = (max(1, round(share * min(size))) for share in (PATCH, STRIDE))
    rows, columns = ([*range(0, length - side, stride), length - side] for length in size)
    return [(slice(y, y + side), slice(x, x + side)) for y in rows for x in columns]


def _with_hole(size: tuple[int, int], place: tuple[slice, slice]) -> Array:
    mask = np.ones(size, np.float32)
    mask[place] = 0
    return mask


def rise(request: AttributionRequest) -> Iterator[PartialMaps]:
    """The rise of the target when a region is visible, over random masks (Petsiuk et al., arXiv:1806.07421).

    The paper adds up the masks by the target's value. Here it is the value less its mean, so that the noise of a value
    that is large everywhere cancels, and a region that is evidence against the target is negative.
    """
    values = np.zeros(0, np.float32)
    weighted = {i: np.zeros(p.shape[1:3], np.float32) for i, p in request.pictures.items()}
    plain = {i: np.zeros(p.shape[1:3], np.float32) for i, p in request.pictures.items()}
    for part in batches(request.samples, copies_of_pictures(request.probe)):
        masks = {i: _random_masks(request.seed, i, part, p.shape[1:3]) for i, p in request.pictures.items()}
        fresh = request.values(request.probe.behind(masks))
        values = np.append(values, fresh)
        for i, m in masks.items():
            weighted[i] += np.tensordot(fresh, m, 1)
            plain[i] += m.sum(0)
        scale = len(values) * OPEN
        yield PartialMaps({i: (weighted[i] - values.mean() * plain[i]) / scale for i in masks})


def _random_masks(seed: int, which: int, part: range, size: tuple[int, int]) -> Array:
    """[N, H, W], 0..1: open and closed cells, blurred into one another, shifted by up to a cell."""
    cell = [math.ceil(side / GRID) for side in size]
    numbers = np.stack(
        [tf.random.stateless_uniform([GRID * GRID + 2], s).numpy() for s in sample_seeds(seed, which, part)]
    )
    grids = (numbers[:, 2:] < OPEN).astype(np.float32).reshape(-1, GRID, GRID, 1)
    large = tf.image.resize(grids, [(GRID + 1) * side for side in cell]).numpy()[..., 0]
    shifts = (numbers[:, :2] * cell).astype(int)
    return np.stack([m[y : y + size[0], x : x + size[1]] for m, (y, x) in zip(large, shifts, strict=True)])
