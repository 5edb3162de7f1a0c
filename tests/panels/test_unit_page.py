"""The page of a unit, opened from a gallery."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery


@pytest.fixture
def gallery(net, opened):
    made = opened(FilterGallery(net, "conv2", range(4), size=16, steps=2))
    made.unit_page.picture = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    yield made
    if made.unit_page.panel is not None:
        made.unit_page.panel._place.run.wait()


def test_a_double_click_on_a_tile_opens_its_page_below(gallery):
    gallery._double_clicked(0.9, 0.1)
    page = gallery.unit_page.panel
    assert isinstance(page, cw.UnitPanel) and (page.layer, page.unit) == ("conv2", 1)
    assert page.picture is gallery.unit_page.picture and page in gallery.unit_page.children
    assert page.shown_in is gallery.shown_in


def test_another_tile_is_shown_in_the_same_page(gallery):
    gallery.open_unit(1)
    page = gallery.unit_page.panel
    gallery.open_unit(2)
    assert gallery.unit_page.panel is page and page.unit == 2


def test_the_button_opens_the_chosen_unit_and_asks_for_one_first(gallery):
    gallery._about.click()
    assert gallery.unit_page.panel is None and "No unit is chosen yet" in gallery.status
    gallery.unit = 3
    gallery._about.click()
    assert gallery.unit_page.panel.unit == 3


def test_it_is_closed_by_its_button_and_with_the_gallery(net, page, living):
    gallery = FilterGallery(net, "conv2", range(4), size=16, steps=2)
    gallery.open_unit(1)
    gallery.unit_page.panel._place.run.wait()
    with_page = len(living())
    gallery.unit_page._close.click()
    assert gallery.unit_page.panel is None and len(living()) < with_page
    gallery.open_unit(2)
    gallery.unit_page.panel._place.run.wait()
    gallery.close()
    assert living() == []


def test_a_unit_that_does_not_exist_is_refused(gallery):
    with pytest.raises(BadTarget):
        gallery.open_unit(20)


def test_stop_ends_its_runs_too(gallery, waiting):
    gallery.open_unit(1)
    gallery.unit_page.panel.start()
    gallery.stop()
    waiting(
        lambda: gallery.unit_page.panel.state in ("stopped", "done") and not gallery.unit_page.panel._is_busy_beside()
    )


def test_in_an_explorer_it_shows_the_picture_there(net, opened):
    picture = np.random.default_rng(1).random((24, 32, 3)).astype(np.float32)
    explorer = opened(cw.Explorer(net, picture))
    assert explorer.panel.unit_page.picture is explorer.held.given
    explorer._choice_of_layer.map._run.wait()


def test_it_is_opened_from_which_units_for_the_chosen_unit_too(net, opened, waiting):
    picture = np.random.default_rng(0).random((24, 32, 3)).astype(np.float32)
    panel = opened(cw.UnitAttributionPanel(net, picture, layer="conv2"))
    assert panel._about.layout.display == "none"
    panel.run()
    panel.unit = panel.units[0]
    assert panel._about.layout.display == ""
    panel._about.click()
    page = panel.unit_page.panel
    assert (page.layer, page.unit) == ("conv2", panel.unit) and page.picture is panel._held.given
    page._place.run.wait()
    waiting(lambda: not panel._is_busy_beside())
