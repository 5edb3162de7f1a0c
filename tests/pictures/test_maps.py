from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.pictures import color_maps, colormap, tile_maps
from cnnwidgets.pictures.grid import GAP


def test_a_map_is_shown_in_viridis():
    levels = np.array([[0, 128, 255]], np.uint8)
    expected = np.rint(255 * colormap("viridis")[[0, 128, 255]])
    assert color_maps(levels)[0].tolist() == expected.astype(int).tolist()


def test_a_small_map_keeps_its_cells():
    one = np.array([[0, 255], [255, 0]], np.uint8)
    tile = tile_maps(one[None], 1)
    assert tile.shape == (64, 64, 3) and (tile[:32, :32] == tile[0, 0]).all() and (tile[:32, 32:] == tile[0, 63]).all()


def test_a_large_map_is_averaged():
    stripes = np.tile(np.array([0, 255], np.uint8), (128, 64))
    inside = tile_maps(stripes[None], 1)[:, 2:-2].astype(int)  # at the border the average is another one
    assert np.ptp(inside, axis=(0, 1)).max() < 12


@pytest.mark.parametrize(("shape", "high"), [((8, 8), 64), ((4, 8), 32), ((1, 100), 16), ((100, 1), 128)])
def test_a_tile_has_the_form_of_its_map_within_bounds(shape, high):
    assert tile_maps(np.zeros((1, *shape), np.uint8), 1).shape == (high, 64, 3)


def test_maps_stand_row_by_row():
    shown = tile_maps(np.zeros((5, 8, 8), np.uint8), 4)
    assert shown.shape == (2 * 64 + GAP, 4 * 64 + 3 * GAP, 3) and (shown[-1, -1] == 255).all()
