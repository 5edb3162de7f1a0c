"""The list of layers in a real notebook: by mouse, by keyboard, in both themes."""

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
x = L.GlobalAveragePooling2D(name="gap")(L.Conv2D(6, 3, name="after")(backbone(picture)))
net = cw.Network(keras.Model(picture, L.Dense(3, name="logits")(x), name="nested"))
"""
PICKER = "picker = cw.LayerPicker(net, 'after'); picker"
GALLERY = """
gallery = cw.FilterGallery(net, picker.layer, size=32, steps=2)
link = traitlets.link((picker, "layer"), (gallery, "layer"))
gallery
"""
LIST = ".cnnw-mono select"


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open([SETUP, PICKER, GALLERY])
    notebook.run_cell(0, seconds=180)
    return notebook


@pytest.fixture
def page(notebook):
    """The page with a new picker and a gallery that is linked to it."""
    notebook.width(1280, 1200)
    notebook.run_cell(1)
    notebook.run_cell(2)
    notebook.page.locator(LIST).wait_for()
    yield notebook.page
    assert notebook.console_errors == [] and notebook.hidden_log() == []
    assert [output["output_type"] for output in notebook.outputs(1)] == ["execute_result"]


def listed(page):
    return page.locator(f"{LIST} option").evaluate_all("options => options.map(option => option.textContent)")


def test_layers_stand_in_a_tree(page):
    rows = listed(page)
    assert [row.replace("\xa0", " ").split()[0] for row in rows] == ["backbone", "conv", "after", "gap", "logits"]
    nested = rows[1].replace("\xa0", " ")
    assert nested.strip().startswith("conv ") and not nested.startswith("conv")
    assert "H x W x 5" in nested and "140 parameters" in nested
    assert page.locator(LIST).evaluate("select => select.selectedIndex") == 2


def test_a_click_chooses_a_layer_and_the_gallery_follows(notebook, page):
    page.locator(LIST).select_option(index=1)
    wait_for(notebook, "(picker.layer, gallery.layer)", ("backbone/conv", "backbone/conv"))
    page.locator(".cnnw", has_text="Start renders 5 pictures").first.wait_for()
    page.locator(".cnnw-status", has_text="backbone/conv: a convolution").first.wait_for()


def test_a_choice_from_python_is_seen(notebook, page):
    notebook.kernel_run("gallery.layer = 'backbone/conv'")
    notebook.wait_for(f"() => document.querySelector('{LIST}').selectedIndex === 1", "the list to follow", 5)


def test_a_layer_is_found_by_keyboard_alone(notebook, page):
    page.get_by_label("Search", exact=True).focus()
    page.keyboard.type("conv")
    notebook.wait_for(f"() => document.querySelectorAll('{LIST} option').length === 1", "the search", 5)
    assert listed(page)[0].startswith("backbone/conv")
    page.keyboard.press("Enter")
    wait_for(notebook, "picker.layer", "backbone/conv")


def test_a_kind_is_chosen_and_nothing_left_is_said(notebook, page):
    page.get_by_label("Kind").select_option("dense")
    notebook.wait_for(f"() => document.querySelectorAll('{LIST} option').length === 1", "the kind", 5)
    page.get_by_label("Search", exact=True).fill("zebra")
    page.locator(".cnnw-status", has_text="No layer matches").first.wait_for()
    assert notebook.kernel_eval("picker.layer") == "after"


def test_every_control_has_a_name_and_the_list_fits(notebook, page):
    for name in ("Search", "Kind", "Layers"):
        assert page.get_by_label(name, exact=True).is_visible()
    notebook.width(700, 1200)
    box = page.locator(LIST).bounding_box()
    assert box["x"] + box["width"] < 700
    beyond = "element => element.scrollWidth - element.clientWidth"
    assert page.locator(".jp-OutputArea-output").first.evaluate(beyond) <= 0


def test_after_a_restart_running_the_cells_is_enough(notebook, page):
    notebook.restart()
    notebook.run_all(180)
    frames = notebook.count_frames(".widget-hbox > .cnnw-stage > img")
    page.get_by_role("button", name="Start").first.click()
    frames.wait(shown=1)
    wait_for(notebook, "gallery.state", "done")
