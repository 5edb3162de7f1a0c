"""Which units decided, in a real notebook: a position by mouse, units off by keyboard, a map that is checked."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab import wait_for

SETUP = """
import cnnwidgets as cw

net = cw.load_network("squeezenet")
photograph = cw.samples.sample("chelsea")[::2, ::2]
"""
UNITS = """
panel = cw.UnitAttributionPanel(net, photograph, of="log_odds")
panel
"""
HEAT = """
heat = cw.HeatmapPanel(net, photograph)
heat
"""
SETUP_CELL, UNITS_CELL, HEAT_CELL = 0, 1, 2


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open([SETUP, UNITS, HEAT])
    notebook.width(1400, 1800)
    notebook.run_cell(SETUP_CELL, seconds=180)
    notebook.run_cell(UNITS_CELL)
    return notebook


@pytest.fixture
def page(notebook):
    """The page; after each test nothing has been spilled."""
    notebook.console_errors.clear()
    logged = len(notebook.hidden_log())
    yield notebook.page
    assert notebook.console_errors == []
    assert notebook.hidden_log()[logged:] == []


def test_the_rows_fill_and_each_picture_has_its_words(notebook, page):
    page.get_by_role("button", name="Start").first.click()
    wait_for(notebook, "panel.state", "done")
    units = notebook.kernel_eval("panel.units")
    for unit in units:
        page.get_by_role("img", name=f"what unit {unit} of fire9_concat responds to").wait_for()
        page.get_by_role("img", name=f"where unit {unit} is evidence on the photograph").wait_for()
    for width in (700, 1400):
        notebook.width(width, 1800)
        notebook.wait_for(
            "() => [...document.querySelectorAll('.cnnw')].every(e => e.scrollWidth <= e.clientWidth)",
            f"the panel to fit {width} pixels",
        )


def test_a_click_on_the_photograph_shows_the_units_there_and_back(notebook, page):
    everywhere = notebook.kernel_eval("panel.units")
    page.locator(".cnnw-stage img").first.click(position={"x": 200, "y": 150})
    page.get_by_text("strongest first", exact=False).first.wait_for()
    wait_for(notebook, "panel.state == 'done' and panel.place is not None")
    row, column = notebook.kernel_eval("panel.place")
    wide = page.locator(".cnnw-stage img").first.bounding_box()["width"]
    assert abs(column - 200 / wide * notebook.kernel_eval("photograph.shape[1]")) <= 1.5
    page.get_by_role("button", name="All positions").click()
    wait_for(notebook, "panel.state == 'done' and panel.units", everywhere)


def test_units_are_switched_off_and_on_by_keyboard_and_the_bars_change(notebook, page):
    first, second = notebook.kernel_eval("panel.units[:2]")
    for unit in (first, second):
        page.get_by_role("checkbox", name=f"Unit {unit}", exact=True).focus()
        page.keyboard.press("Space")
    wait_for(notebook, "panel.without", {"fire9_concat": tuple(sorted((first, second)))})
    page.get_by_text("Without units", exact=False).first.wait_for()
    page.get_by_role("columnheader", name="without").wait_for()
    after = notebook.kernel_eval("panel.predict_without()[0].probability")
    page.get_by_role("cell", name=f"{after:.1%}").first.wait_for()
    page.get_by_role("button", name="All on again").focus()
    page.keyboard.press("Enter")
    wait_for(notebook, "panel.without", {})
    expect(page.get_by_role("checkbox", name=f"Unit {first}", exact=True)).to_be_checked()


def test_a_unit_is_chosen_by_its_picture_and_by_its_button(notebook, page):
    first, second = notebook.kernel_eval("panel.units[:2]")
    page.get_by_role("img", name=f"what unit {first} of fire9_concat responds to").click()
    wait_for(notebook, "panel.unit", first)
    page.get_by_role("button", name=f"Show {second}", exact=True).press("Enter")
    wait_for(notebook, "panel.unit", second)
    page.get_by_text(f"Evidence of unit {second}", exact=False).wait_for()


def test_a_map_is_checked_while_the_curve_grows(notebook, page):
    notebook.run_cell(HEAT_CELL)
    notebook.kernel_run("heat.run()", 120)
    frames = notebook.count_frames()
    page.get_by_role("button", name="Check this map").click()
    page.get_by_text("that this map calls most important", exact=False).first.wait_for(timeout=90_000)
    frames.wait(shown=4)
    wait_for(notebook, "heat.trust.curve is not None")
    assert page.locator("svg.cnnw-removal polyline").count() == 2
