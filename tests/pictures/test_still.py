"""The small picture that a saved notebook holds."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from cnnwidgets.pictures import to_still
from cnnwidgets.pictures.still import LONGEST, MOST_BYTES


def opened(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.mark.parametrize("size", [(700, 900, 3), (2000, 300, 3), (512, 512, 1)])
def test_it_is_small_whatever_the_picture(size):
    noise = np.random.default_rng(0).random(size, dtype=np.float32)
    data = to_still(noise)
    assert data.startswith(b"\x89PNG") and len(data) <= MOST_BYTES
    height, width = opened(data).shape[:2]
    assert max(height, width) <= LONGEST and height / width == pytest.approx(size[0] / size[1], rel=0.02)


def test_a_picture_of_few_colors_keeps_every_pixel():
    picture = np.zeros((40, 60, 3), np.uint8)
    picture[10:20, 5:30] = (200, 30, 90)
    np.testing.assert_array_equal(opened(to_still(picture)), picture)
