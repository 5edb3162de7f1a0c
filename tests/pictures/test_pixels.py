"""Resizing, showing and rounding."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.pictures import displayable, resize, to_uint8


def test_resize_keeps_constants_ranges_and_channels() -> None:
    picture = np.stack([np.full((7, 9), v) for v in (-3.0, 0.0, 0.25, 1.0, 40.0)], -1)
    resized = resize(picture, (31, 4))
    assert resized.dtype == np.float32
    assert resized.shape == (31, 4, 5)
    np.testing.assert_allclose(resized, np.broadcast_to(picture[0, 0], (31, 4, 5)), atol=1e-5)
    assert resize(picture[..., 0], (3, 5)).shape == (3, 5)


def test_resize_is_bilinear_when_it_grows() -> None:
    ramp = resize(np.array([[0.0, 1.0]]), (1, 4))
    np.testing.assert_allclose(ramp, [[0, 0.25, 0.75, 1]], atol=1e-6)


def test_resize_averages_when_it_shrinks() -> None:
    checks = np.indices((64, 64)).sum(0) % 2
    assert np.abs(resize(checks, (8, 8))[1:-1, 1:-1] - 0.5).max() < 0.01


def test_resize_keeps_more_than_8_bits() -> None:
    np.testing.assert_allclose(resize(np.full((4, 4), 0.12345678), (9, 9)), 0.12345678, atol=1e-7)


def test_resize_to_its_own_size_changes_nothing() -> None:
    picture = np.random.default_rng(0).random((5, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(resize(picture, (5, 6)), picture)


def test_resize_takes_views_that_are_not_contiguous() -> None:
    picture = np.random.default_rng(0).random((8, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(resize(picture[::-1, ::2], (8, 3)), picture[::-1, ::2])


@pytest.mark.parametrize("size", [(0, 4), (4, -1), (10**5, 10**5)])
def test_an_impossible_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(BadTarget, match="size must be"):
        resize(np.zeros((4, 4)), size)


@pytest.mark.parametrize(
    ("channels", "shown"), [(1, [0, 0, 0]), (2, [0, 1, None]), (3, [0, 1, 2]), (4, [0, 1, 2]), (7, [0, 1, 2])]
)
def test_any_number_of_channels_can_be_shown(channels: int, shown: list[int | None]) -> None:
    pictures = np.random.default_rng(0).random((2, 4, 5, channels))
    rgb = displayable(pictures)
    assert rgb.shape == (2, 4, 5, 3)
    for k, channel in enumerate(shown):
        np.testing.assert_array_equal(rgb[..., k], 0 if channel is None else pictures[..., channel])
    np.testing.assert_array_equal(displayable(pictures[0]), rgb[0])


def test_a_map_without_channels_is_shown_grey() -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    shown = displayable(values)
    assert shown.dtype == np.uint8
    np.testing.assert_array_equal(shown, np.repeat(values[..., None], 3, -1))


@pytest.mark.parametrize("shape", [(5,), (2, 2, 0), (1, 1, 2, 2, 3)])
def test_what_has_no_channels_cannot_be_shown(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadPicture, match="cannot be shown"):
        displayable(np.zeros(shape))


def test_to_uint8_rounds_and_clips() -> None:
    values = np.array([-1, 0, 0.4 / 255, 0.6 / 255, 127.6 / 255, 1, 7, np.inf])
    for dtype in (np.float16, np.float32, np.float64):
        levels = to_uint8(values.astype(dtype))
        assert levels.dtype == np.uint8
        np.testing.assert_array_equal(levels, [0, 0, 0, 1, 128, 255, 255, 255])


def test_to_uint8_is_undone_by_division() -> None:
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(levels.astype(np.float32) / 255), levels)
    assert to_uint8(levels) is levels


@pytest.mark.parametrize("values", [np.array([0.5, np.nan]), np.array([1, 2])])
def test_to_uint8_refuses_what_has_no_level(values: np.ndarray) -> None:
    with pytest.raises(BadPicture):
        to_uint8(values)


def test_to_uint8_leaves_its_input_alone() -> None:
    values = np.full((2, 2), 0.5, np.float32)
    to_uint8(values)
    np.testing.assert_array_equal(values, 0.5)
