"""A small network, and what its pictures must be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import to_uint8
from cnnwidgets.visualize.batches import UnitPictures
from tests.panels.conftest import small

SETTINGS: dict[str, Any] = {"size": 16, "steps": 4}
UNITS = {"conv1": 6, "conv2": 20}  # two batches of conv2


@pytest.fixture(scope="session")
def net() -> Network:
    """The small network; unit 3 of conv2 never fires."""
    return Network(small())


@pytest.fixture(scope="session")
def expected(net: Network) -> dict[str, UnitPictures]:
    """What `visualize_units` makes of every unit."""
    return {path: cw.visualize_units(net, path, range(count), **SETTINGS) for path, count in UNITS.items()}


@pytest.fixture(scope="session")
def same(expected: dict[str, UnitPictures]) -> Callable[[Atlas], None]:
    """`same(atlas)` asserts that every unit is there, and that its bytes, value and note are those of the verb."""

    def check(atlas: Atlas) -> None:
        assert set(atlas.layers) == set(UNITS)
        for path, made in expected.items():
            assert atlas.units(path) == made.units and atlas.failed(path) == {}
            assert np.array_equal(atlas[path][:], to_uint8(made.pictures))
            assert atlas.values(path).tobytes() == made.values.tobytes()
            assert atlas.notes(path) == made.notes

    return check


@pytest.fixture(scope="session")
def made_once(net: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished atlas, to be read and left alone."""
    path = tmp_path_factory.mktemp("atlas") / "atlas.zarr"
    cw.render_atlas(net, path, **SETTINGS)
    return path


@pytest.fixture
def atlas(made_once: Path) -> Atlas:
    """A finished atlas, opened."""
    return cw.open_atlas(made_once)


@pytest.fixture(autouse=True)
def nothing_is_said(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The core prints nothing."""
    yield
    assert capfd.readouterr().out == ""
