"""The map of a network in a real notebook: by mouse, by arrow keys, and with the pointer resting on it."""

import pytest

from tests.browser.lab import wait_for

SETUP = """
import traitlets
import cnnwidgets as cw
from cnnwidgets.model.backend import keras

L = keras.layers
inside = keras.Input((None, None, 3))
backbone = keras.Model(inside, L.Conv2D(5, 3, name="conv")(inside), name="backbone")
picture = keras.Input((None, None, 3), name="picture")
x = backbone(picture)
x = L.Concatenate(name="both")([L.Conv2D(6, 3, name="left")(x), L.Conv2D(6, 3, name="right")(x)])
x = L.GlobalAveragePooling2D(name="gap")(x)
net = cw.Network(keras.Model(picture, L.Dense(3, name="logits")(x), name="nested"))
"""
MAP = "map_ = cw.NetworkMap(net, layer='gap'); picker = cw.LayerPicker(net); "
MAP += "link = traitlets.link((map_, 'layer'), (picker, 'layer')); map_"


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open([SETUP, MAP])
    notebook.run_cell(0, seconds=180)
    return notebook


@pytest.fixture
def page(notebook):
    """The page with a new map."""
    notebook.width(1280, 1200)
    notebook.run_cell(1)
    notebook.page.locator(".cnnw-map-flow").wait_for()
    yield notebook.page
    assert notebook.console_errors == [] and notebook.hidden_log() == []


def box(notebook, path):
    ids = notebook.kernel_eval("{i.path: f'{map_._prefix}-{i.index}' for i in map_._scene.items}")
    return notebook.page.locator(f"#{ids[path]}")


def test_a_click_chooses_and_arrow_keys_follow_the_connections(notebook, page):
    box(notebook, "both").click()
    wait_for(notebook, "(map_.layer, picker.layer)", ("both", "both"))
    for key, layer in [
        ("ArrowUp", "left"), ("Shift+ArrowRight", "right"), ("ArrowRight", "both"), ("ArrowDown", "gap"),
        ("ArrowLeft", "both"), ("ArrowLeft", "left"), ("ArrowUp", "backbone"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        wait_for(notebook, "map_.layer", layer)
    page.keyboard.press("Enter")
    wait_for(notebook, "map_.opened", ("backbone",))
    page.keyboard.press("ArrowDown")
    wait_for(notebook, "map_.layer", "backbone/conv")
    assert notebook.kernel_eval("picker.layer") == "backbone/conv", "keys reach the map after it was drawn again"


def test_the_keys_are_reached_by_tab_from_the_search(notebook, page):
    page.get_by_label("Search", exact=True).last.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    wait_for(notebook, "map_.layer", "logits")


def test_pointing_tells_and_takes_no_keys(notebook, page):
    box(notebook, "left").hover()
    page.locator(".cnnw-status", has_text="left · conv").first.wait_for()
    page.get_by_label("Search", exact=True).last.focus()
    box(notebook, "right").hover()
    page.keyboard.type("gap")
    wait_for(notebook, "map_._search.value", "gap")
    assert notebook.kernel_eval("map_.layer") == "gap"


def test_a_double_click_opens(notebook, page):
    box(notebook, "backbone").dblclick()
    wait_for(notebook, "map_.opened", ("backbone",))


def test_it_is_as_wide_as_the_page_lets_it(notebook, page):
    for width in (1280, 700):
        notebook.width(width, 1200)
        assert page.locator(".jp-OutputArea-output").first.evaluate("e => e.scrollWidth - e.clientWidth") <= 0
