"""Mosaics: every tile where the grid says, every pixel told to its tile."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import Grid, columns_for, mosaic


def test_tiles_lie_row_by_row_with_gaps_between() -> None:
    tiles = np.arange(1, 6, dtype=np.float32).reshape(5, 1, 1, 1) / 10 * np.ones((5, 2, 3, 3), np.float32)
    picture = mosaic(tiles, columns=3, gap=1, background=0.9)
    assert picture.dtype == np.float32
    expected = np.full((5, 11), 0.9, np.float32)
    for k, (top, left) in enumerate([(0, 0), (0, 4), (0, 8), (3, 0), (3, 4)]):
        expected[top : top + 2, left : left + 3] = np.float32(k + 1) / 10
    np.testing.assert_allclose(picture, np.repeat(expected[..., None], 3, -1), atol=1e-6)


def test_bytes_stay_bytes_and_maps_stay_maps() -> None:
    picture = mosaic(np.zeros((2, 4, 4), np.uint8), columns=2, gap=2)
    assert picture.dtype == np.uint8
    assert picture.shape == (4, 10)
    assert (picture[:, 4:6] == 255).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels_is_kept(channels: int) -> None:
    assert mosaic(np.zeros((3, 4, 5, channels))).shape == (10, 12, channels)


@pytest.mark.parametrize(
    ("count", "columns"), [(0, 1), (1, 1), (2, 2), (4, 2), (5, 3), (12, 4), (16, 4), (17, 5), (64, 8)]
)
def test_columns_are_nearly_square(count: int, columns: int) -> None:
    assert columns_for(count) == columns


@pytest.mark.parametrize(("count", "columns", "gap"), [(5, 3, 2), (16, 4, 0), (1, 1, 5), (7, 10, 1)])
def test_each_pixel_tells_its_tile(count: int, columns: int, gap: int) -> None:
    tiles = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1) * np.ones((count, 4, 6), np.uint8)
    picture = mosaic(tiles, columns, gap)  # each pixel holds its tile's index, or 255
    grid = Grid(count, columns, 4, 6, gap)
    assert picture.shape == grid.shape
    for y in range(-3, grid.shape[0] + 8):
        for x in range(-3, grid.shape[1] + 8):
            inside = 0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]
            index = int(picture[y, x]) if inside else 255
            assert grid.tile_at(x, y) == (None if index == 255 else index)


def test_a_click_between_pixels_counts_for_the_pixel_it_is_in() -> None:
    grid = Grid(4, 2, 10, 10, gap=2)
    assert [grid.tile_at(x, 0.5) for x in (9.99, 10.0, 11.99, 12.0, -0.01)] == [0, None, None, 1, None]


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 4, 3), (2, 0, 4, 3), (1, 1, 2, 2, 3)])
def test_what_is_no_batch_makes_no_mosaic(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadPicture, match="is not a mosaic"):
        mosaic(np.zeros(shape))


@pytest.mark.parametrize("options", [{"columns": 0}, {"gap": -1}])
def test_an_impossible_grid_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(BadTarget, match="no place"):
        mosaic(np.zeros((2, 4, 4, 3)), **options)
