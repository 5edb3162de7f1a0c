"""Weights that are not finite are found, also where they change after the first check."""

import numpy as np
import pytest

from cnnwidgets.model.backend import keras
from cnnwidgets.model.finite_weights import spoiled

L = keras.layers


def model(dtype="float32"):
    return keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 3, dtype=dtype, name="conv"), L.BatchNormalization()])


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "mixed_float16"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_bad_number_is_found_when_it_appears_and_forgotten_when_it_goes(dtype, bad):
    made = model(dtype)
    assert spoiled(made) == ""
    kernel = made.layers[0].kernel
    before = kernel.numpy()
    changed = np.array(before)
    changed[0, 0, 0, 0] = bad
    kernel.assign(changed)
    assert spoiled(made) == kernel.path
    kernel.assign(before)
    assert spoiled(made) == ""


def test_large_but_finite_numbers_pass():
    made = model()
    made.layers[0].kernel.assign(np.full((3, 3, 3, 4), 3e38, np.float32))
    assert spoiled(made) == ""


def test_a_layer_added_later_is_checked_too():
    made = model()
    assert spoiled(made) == ""
    made.add(L.Conv2D(2, 3))
    made.layers[-1].bias.assign([np.nan, 0])
    assert spoiled(made) == made.layers[-1].bias.path
