"""The size at which a network looks, in the panels of the verbs that take one."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.controls.menu import SizeMenu

PICTURE = np.random.default_rng(0).random((40, 60, 3), np.float32)
PANELS = {
    "heatmap": lambda net, **more: cw.HeatmapPanel(net, PICTURE, **more),
    "attribution": lambda net, **more: cw.HeatmapPanel(net, PICTURE, method="gradient", **more),
    "units": lambda net, **more: cw.UnitAttributionPanel(net, PICTURE, "conv1", **more),
    "maps": lambda net, **more: cw.FeatureMapPanel(net, PICTURE, "conv1", **more),
    "adversarial": lambda net, **more: cw.AdversarialPanel(net, PICTURE, steps=2, **more),
}


@pytest.fixture(scope="module")
def network(build):
    return cw.Network(build(), preprocess="unit", size=48)


def menu_of(panel):
    """The menu for the size, wherever it stands."""
    waiting = [panel]
    while waiting:
        widget = waiting.pop()
        if isinstance(widget, SizeMenu):
            return widget
        waiting += getattr(widget, "children", ())
    raise AssertionError("there is no menu for the size")


@pytest.mark.parametrize("name", PANELS)
def test_a_panel_looks_at_the_size_of_its_network_says_so_and_another_one_is_chosen_in_its_menu(network, name, opened):
    panel = opened(PANELS[name](network))
    panel.run()
    assert "The network looked at 48 × 32 px (the picture: 60 × 40)." in panel.status
    assert "size=48" in panel.snippet()
    menu = menu_of(panel)
    assert "48 px" in menu.options[0][0]
    assert menu.choice is None
    menu.choice = 128
    assert panel.size == 128
    panel.run()
    assert "128 × 85 px" in panel.status
    assert "size=128" in panel.snippet()
    panel.size = "picture"
    panel.run()
    assert menu.choice == "picture"
    assert "looked at 60 × 40 px." in panel.status
    assert 'size="picture"' in panel.snippet()
    panel.size = (24, 24)
    assert menu.choice == (24, 24)
    with pytest.raises(BadTarget, match="size must be pixels"):
        panel.size = 0
    assert panel.size == (24, 24)


@pytest.mark.parametrize("name", PANELS)
def test_what_a_panel_saved_at_a_size_is_made_again_in_a_network_without_one(network, name, opened, tmp_path):
    panel = opened(PANELS[name](network))
    panel.run()
    panel.save(tmp_path / "made.png")
    other = cw.Network(network.model, "unit", name=network.name)
    assert cw.rerun(tmp_path / "made.png", other, PICTURE) == (tmp_path / "made.png").read_bytes()


@pytest.mark.parametrize("name", PANELS)
def test_a_size_that_does_not_fit_is_refused_at_once(network, name):
    with pytest.raises(BadTarget, match="size must be pixels"):
        PANELS[name](network, size="big")


def test_the_menu_is_hidden_where_a_network_takes_one_size():
    picture = keras.Input((32, 32, 3))
    model = keras.Model(picture, keras.layers.Conv2D(2, 3)(picture))
    menu = SizeMenu(cw.Network(model, "unit"))
    assert menu.layout.display == "none"
    menu.close()
