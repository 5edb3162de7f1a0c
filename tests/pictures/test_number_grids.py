"""Numbers as colors, and terms that still add up when they are rounded."""

import numpy as np
import pytest

from cnnwidgets.pictures.number_grids import OUTSIDE, rounded_terms, signed_grid


def test_red_is_above_zero_blue_below_white_zero_and_gray_padding():
    grid = signed_grid(np.array([[1.0, -1.0], [0.0, 9.0]]), 1.0, np.array([[False, False], [False, True]]))
    red, blue, white, gray = grid.reshape(-1, 3).astype(int)
    assert red[0] > red[2] + 60 and blue[2] > blue[0] + 60 and white.min() > 240 and tuple(gray) == OUTSIDE


def test_a_grid_of_zeros_is_white():
    assert signed_grid(np.zeros((2, 3)), 0.0).min() > 240


@pytest.mark.parametrize("seed", range(50))
def test_rounded_terms_add_up_and_are_off_by_less_than_one_last_digit(seed):
    rng = np.random.default_rng(seed)
    terms = list(map(float, rng.normal(0, 10.0 ** rng.integers(-6, 6), rng.integers(1, 9))))
    rounded, decimals = rounded_terms(terms)
    unit = 10.0**-decimals
    assert round(sum(rounded) / unit) == round(sum(terms) / unit)
    assert all(abs(a - b) <= 1.5 * unit for a, b in zip(terms, rounded, strict=True))


def test_terms_of_zero_are_zero():
    assert rounded_terms([0.0, 0.0]) == ([0.0, 0.0], 0)
