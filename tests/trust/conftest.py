"""One small network, one photograph, and every panel on them; each test is held to leave nothing behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnwidgets as cw
from tests.panels.conftest import (  # noqa: F401  # fixtures
    build,
    living,
    net,
    no_job_left,
    opened,
    page,
    texts,
    waiting,
)

PANELS: dict[str, Callable[[Any, Any], Any]] = {
    "FilterGallery": lambda n, p: cw.FilterGallery(n, n.layers[1].path, range(3), 16, 2),
    "ClassGallery": lambda n, p: cw.ClassGallery(n, [0, 1], size=16, steps=2),
    "FeatureMapPanel": lambda n, p: cw.FeatureMapPanel(n, p),
    "HeatmapPanel": lambda n, p: cw.HeatmapPanel(n, p, sanity_check=True),
    "UnitAttributionPanel": lambda n, p: cw.UnitAttributionPanel(n, p),
    "DeepDreamPanel": lambda n, p: cw.DeepDreamPanel(n, p, octaves=1, steps=2),
    "AdversarialPanel": lambda n, p: cw.AdversarialPanel(n, p, steps=2),
}


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A photograph [24, 32, 3], uint8."""
    return np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)


@pytest.fixture(params=PANELS)
def panel_of(request: pytest.FixtureRequest) -> Callable[[Any, Any], Any]:
    """`panel_of(net, photo)` makes a panel of each kind in turn."""
    return PANELS[request.param]


def inside(widget: Any) -> list[Any]:
    """A widget and all that it holds, however deep."""
    found, waiting_ = [], [widget]
    while waiting_:
        one = waiting_.pop()
        if one not in found:
            found.append(one)
            parts = [getattr(one, name, None) for name in one.keys]
            for part in parts:
                waiting_ += [
                    w for w in (part if isinstance(part, (list, tuple)) else [part]) if hasattr(w, "get_state")
                ]
    return found


@pytest.fixture(scope="session")
def widgets_in() -> Callable[[Any], list[Any]]:
    """`widgets_in(panel)` is the panel and every widget inside it."""
    return inside
