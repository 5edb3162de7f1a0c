"""Mosaics: every tile where the grid says, every pixel told to its tile."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import columns_for, mosaic, tile_at


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


@pytest.mark.parametrize(("count", "columns"), [(5, 3), (16, 4), (1, 1), (7, 10)])
@pytest.mark.parametrize("gap", [0, 1, 2])
def test_each_pixel_of_a_mosaic_belongs_to_the_tile_that_is_painted_there(count: int, columns: int, gap: int) -> None:
    tiles = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1) * np.ones((count, 24, 36), np.uint8)
    picture = mosaic(tiles, columns, gap)  # each pixel holds its tile's index, or 255
    height, width = picture.shape
    for y in range(0, height, 3):
        for x in range(0, width, 5):
            found = tile_at((x + 0.5) / width, (y + 0.5) / height, count, columns)
            if gap == 0:
                assert found == (None if picture[y, x] == 255 else picture[y, x])
            elif picture[y, x] != 255:  # a gap belongs to the nearest tile
                assert found == picture[y, x]


def test_a_position_between_two_tiles_belongs_to_the_second_and_one_outside_to_none() -> None:
    assert [tile_at(x, 0.1, 4, 2) for x in (0, 0.499999, 0.5, 0.999999, 1.0, -0.01)] == [0, 0, 1, 1, None, None]
    assert [tile_at(0.1, y, 4, 2) for y in (0, 0.499999, 0.5, 0.999999, 1.0, -0.01)] == [0, 0, 2, 2, None, None]
    assert tile_at(0.9, 0.9, 5, 3) is None  # the last row has two


@pytest.mark.parametrize("shape", [(4, 4), (0, 4, 4, 3), (2, 0, 4, 3), (1, 1, 2, 2, 3)])
def test_what_is_no_batch_makes_no_mosaic(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadPicture, match="is not a mosaic"):
        mosaic(np.zeros(shape))


@pytest.mark.parametrize("options", [{"columns": 0}, {"gap": -1}])
def test_an_impossible_grid_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(BadTarget, match="no place"):
        mosaic(np.zeros((2, 4, 4, 3)), **options)
