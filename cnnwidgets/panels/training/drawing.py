"""A snapshot as pictures: tiles of its units, its feature maps, and its heatmap over the probe."""

from __future__ import annotations

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.feature_maps import display_maps
from cnnwidgets.pictures import cells
from cnnwidgets.pictures.pixels import displayable
from cnnwidgets.training.snapshots import Snapshot

LEAST = 96  # pixels of a tile: a smaller one is enlarged, each pixel to a square
PROBE = 224  # pixels of the probe under its heatmap
BAND = 0.17  # of a tile's height, for its caption


def unit_tiles(snapshot: Snapshot, share: float = BAND) -> np.ndarray:
    """The pictures of the units, an empty band of this share of their height under each, uint8 [H, W, 3]."""
    pixels = displayable(pictures.to_uint8(snapshot.pictures))  # [n, h, w, C]
    scale = max(1, round(LEAST / pixels.shape[1]))
    pixels = pixels.repeat(scale, 1).repeat(scale, 2)
    band = round(pixels.shape[1] * share)
    return pictures.mosaic(np.pad(pixels, ((0, 0), (0, band), (0, 0), (0, 0))), columns(snapshot), gap=0 if band else 2)


def columns(snapshot: Snapshot) -> int:
    """The tiles in a row: wide rather than high, since the curves stand under them."""
    count = len(snapshot.units)
    return count if count < 4 else max(4, pictures.columns_for(count))


def unit_maps(snapshot: Snapshot) -> np.ndarray | None:
    """The feature maps of the units, uint8 [H, W, 3]; `None` without a probe, or where they have no rows."""
    maps = snapshot.maps.get(snapshot.layer)
    if maps is None or maps.ndim != 3 or not snapshot.units:
        return None
    return pictures.tile_maps(display_maps(maps[..., list(snapshot.units)], "range"), columns(snapshot))


def heat_over_probe(snapshot: Snapshot) -> np.ndarray | None:
    """Each heatmap over its picture, side by side, float [H, W, 3]; `None` without one."""
    if not snapshot.heat or not snapshot.probe:
        return None
    tiles = [_over(_picture_of(snapshot, heat.input), heat.map) for heat in snapshot.heat]
    size = cells.common([tile.shape for tile in tiles])
    return np.concatenate([cells.centered(tile, size) for tile in tiles], 1)


def _picture_of(snapshot: Snapshot, name: str | None) -> np.ndarray:
    return snapshot.probe.get(name or "", next(iter(snapshot.probe.values())))


def _over(picture: np.ndarray, heat: np.ndarray) -> np.ndarray:
    return pictures.overlay(np.clip(cells.fit(displayable(picture), PROBE), 0, 1), heat)
