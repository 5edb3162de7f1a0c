"""Random numbers come from seed, unit and step alone."""

import numpy as np
import pytest

from cnnwidgets.model.backend import tf
from cnnwidgets.visualize import randomness


@pytest.mark.parametrize("make", [randomness.normal, randomness.uniform])
def test_a_pictures_numbers_do_not_depend_on_its_neighbours(make):
    alone = make(randomness.picture_seeds(3, [7]), (4, 5)).numpy()
    among = make(randomness.picture_seeds(3, [1, 7, 2, 7]), (4, 5)).numpy()
    np.testing.assert_array_equal(among[1], alone[0])
    np.testing.assert_array_equal(among[3], alone[0])
    assert len({numbers.tobytes() for numbers in among}) == 3


def test_seed_unit_and_step_each_change_the_numbers():
    found = {
        randomness.normal(randomness.at_step(randomness.picture_seeds(seed, [unit]), step), (3,)).numpy().tobytes()
        for seed in (0, 1, -1, 2**31 - 2) for unit in (0, 1) for step in (1, 2)
    }  # fmt: skip
    assert len(found) == 4 * 2 * 2


def test_seeds_of_any_size_are_taken():
    for seed in (-1, 2**31, 2**63, -(2**70)):
        assert randomness.picture_seeds(seed, [0]).dtype == tf.int64


def test_the_numbers_have_the_distribution_they_name():
    seeds = randomness.picture_seeds(0, [0, 1])
    normal, uniform = randomness.normal(seeds, (100, 100)).numpy(), randomness.uniform(seeds, (100, 100), 2, 5).numpy()
    assert (normal.mean(), normal.std()) == pytest.approx((0, 1), abs=0.03)
    assert uniform.min() >= 2 and uniform.max() < 5
    assert uniform.mean() == pytest.approx(3.5, abs=0.03)
