"""Maps over pictures: products of matrices a few rows at a time are the products at once."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.model.geometry import placement
from cnnwidgets.model.geometry.placement import Placement


@pytest.mark.parametrize("shape", [(5, 7), (3, 5, 7)], ids=["one map", "several maps"])
@pytest.mark.parametrize("alone", [1, 5000, 2**17])
def test_a_map_is_laid_over_a_picture_a_few_rows_at_a_time(shape, alone, noise, monkeypatch):
    rows, columns = 10 + 13.0 * np.arange(5), 4 + 11.5 * np.arange(7)
    place, raw = Placement((90, 110), rows, columns, (0, 0, 90, 110)), noise(*shape)
    down = np.stack([np.interp(np.arange(90), rows, one) for one in np.eye(5)], 1)
    across = np.stack([np.interp(np.arange(110), columns, one) for one in np.eye(7)], 1)
    monkeypatch.setattr(placement, "ALONE", alone)
    np.testing.assert_allclose(place.lay(raw), down @ raw @ across.T, atol=1e-5)
    assert place.lay(raw).dtype == np.float32
