"""The Explorer in a real notebook: every panel by mouse and keyboard, on a real network and a real photograph."""

import re
import time

import nbformat
import numpy as np
import PIL.Image
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import expect

from tests.browser.lab import wait_for

SETUP = """
import cnnwidgets as cw
from cnnwidgets.jobs import worker

net = cw.load_network("squeezenet")
"""
MAKE = """
explorer = cw.Explorer(net, cw.samples.sample("chelsea")[::2, ::2])
explorer
"""
SETUP_CELL, EXPLORER = 0, 1
TABS = ("Filters", "Feature maps", "Where it looks", "Which units", "DeepDream", "Classes", "Fool it")
FEWER_STEPS = {"Filters": "steps=6", "DeepDream": "steps=2", "Classes": "steps=6"}


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open([SETUP, MAKE])
    notebook.run_cell(SETUP_CELL, seconds=180)
    notebook.run_cell(EXPLORER)
    notebook.width(1600, 1400)
    return notebook


@pytest.fixture
def page(notebook):
    """The page with the Explorer on it; after each test nothing has been spilled."""
    notebook.console_errors.clear()
    logged = len(notebook.hidden_log())
    yield notebook.page
    assert notebook.console_errors == []
    assert notebook.hidden_log()[logged:] == []
    assert [output["output_type"] for output in notebook.outputs(EXPLORER)] == ["display_data"]


def open_tab(notebook, title):
    notebook.page.locator(".jupyter-widget-tab .lm-TabBar-tab", has_text=title).click()
    wait_for(notebook, "explorer.tab", title, 10)
    return notebook.page.locator(".jupyter-widget-tab .cnnw:visible").first


def test_a_first_picture_comes_without_pressing_anything_and_no_tab_is_blank(notebook, page):
    wait_for(notebook, "explorer.result is not None")
    wait_for(notebook, "sorted(explorer.panels)", sorted(TABS))
    page.get_by_text("Egyptian cat").first.wait_for()
    page.get_by_label("coffee", exact=True).focus()
    page.keyboard.press("Space")
    wait_for(notebook, "explorer.picture.shape", (400, 600, 3), 10)
    page.get_by_label("your own", exact=True).check()
    wait_for(notebook, "explorer.picture.shape", (150, 226, 3), 10)


def press(panel, name):
    panel.get_by_role("button", name=re.compile(rf"\b{name}$")).first.click()


def run(notebook, title):
    """Open a tab, press its Start, and wait for the end, which rebuilds what the page shows."""
    panel = open_tab(notebook, title)
    notebook.page.evaluate("() => { window.drawn = document.querySelector('.jupyter-widget-tab') }")
    for setting in filter(None, [FEWER_STEPS.get(title)]):
        name, _, value = setting.partition("=")
        notebook.kernel_run(f"explorer.panel.{name} = {value}")
    press(panel, "Start")
    wait_for(notebook, "explorer.state", "done")
    notebook.wait_for("() => !window.drawn.isConnected", "the page to rebuild the Explorer")
    return panel


STRETCHED = """() => [...document.querySelectorAll('.cnnw img')].filter(e => {
    const {width, height} = e.getBoundingClientRect();
    return width > 0 && e.naturalWidth > 0
        && Math.abs(width / height - e.naturalWidth / e.naturalHeight) > 0.03 * e.naturalWidth / e.naturalHeight;
}).length"""
OVERFLOW = """() => Math.max(...[...document.querySelectorAll('.jp-OutputArea-output, .cnnw')]
    .map(e => e.scrollWidth - e.clientWidth))"""


@pytest.mark.parametrize("title", TABS)
def test_every_panel_runs_by_its_button_and_fits_narrow_and_wide_pages(notebook, page, title):
    run(notebook, title)
    for width in (700, 1600):
        notebook.width(width, 1400)
        notebook.wait_for(f"() => ({OVERFLOW})() <= 0", f"{title} to fit {width} pixels", 5)
        assert page.evaluate(STRETCHED) == 0


def test_a_class_is_chosen_by_its_name_and_the_map_follows(notebook, page):
    panel = run(notebook, "Where it looks")
    panel.get_by_placeholder("search all classes").fill("lynx")
    classes = panel.locator("select[size]").first
    expect(classes.locator("option")).to_have_count(2)  # the top class, and the one that is found
    classes.select_option(index=1)
    wait_for(notebook, "explorer.state == 'done' and explorer.target", 287)
    panel.get_by_text("for lynx at fire9_concat").wait_for()
    wait_for(notebook, "bool((explorer.panel.result[0].raw > 0).any())")


def test_opacity_repaints_without_asking_the_network(notebook, page):
    panel = run(notebook, "Where it looks")
    notebook.kernel_run("looks = explorer.panel._run.job")
    image = panel.locator(".cnnw-stage img").first
    before = image.get_attribute("src")
    slider = panel.get_by_role("slider").nth(1)  # after the layer's
    slider.press("ArrowLeft")
    wait_for(notebook, "(explorer.panel.opacity, explorer.panel._run.job is looks)", (0.65, True), 10)
    expect(image).not_to_have_attribute("src", before)


def test_a_click_on_the_picture_hides_that_place_from_the_network(notebook, page):
    panel = run(notebook, "Where it looks")
    panel.locator(".cnnw-stage img").first.click(position={"x": 200, "y": 150})
    panel.get_by_text("Without it").first.wait_for()


def test_a_control_that_is_moved_during_a_dream_counts_from_the_next_step_on(notebook, page):
    panel = open_tab(notebook, "DeepDream")
    notebook.kernel_run("explorer.panel.steps = 400")
    press(panel, "Start")
    wait_for(notebook, "explorer.frames_shown > 2")
    before = notebook.kernel_eval("float(explorer.panel._steering.step_size())")
    panel.get_by_role("slider").nth(1).press("ArrowRight")  # the first is a weight's
    panel.get_by_role("slider").first.press("ArrowRight")
    panel.get_by_text("takes effect at the next step").wait_for()
    assert notebook.kernel_eval("float(explorer.panel._steering.step_size())") != before
    press(panel, "Stop")
    wait_for(notebook, "(explorer.state, len(worker().jobs))", ("stopped", 0), 10)


def test_looking_back_shows_an_earlier_frame(notebook, page):
    panel = run(notebook, "DeepDream")
    panel.get_by_text("the end", exact=True).wait_for()
    image = panel.locator(".cnnw-stage img").first
    last = image.get_attribute("src")
    panel.get_by_role("slider").last.press("Home")
    panel.get_by_text("step 1 of 8", exact=True).wait_for()
    page.wait_for_function("([image, last]) => image.src !== last", arg=[image.element_handle(), last])


def upload(page, path):
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Upload, max 8 MB").click()
    chosen.value.set_files(path)


def test_a_photograph_is_uploaded_from_the_readers_machine(notebook, page, tmp_path):
    path = tmp_path / "mine.png"
    for height, width in ((1620, 1640), (60, 90)):  # noise: nearly as large a file as may be, and a small one
        PIL.Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)).save(path)
        assert path.stat().st_size < 8_000_000
        began = time.monotonic()
        upload(page, path)
        page.get_by_text(f"{width} × {height} pixels").wait_for()
        print(f"{path.stat().st_size / 1e6:.1f} MB uploaded and shown in {time.monotonic() - began:.1f} s")
    assert notebook.kernel_eval("explorer.picture.shape") == (60, 90, 3)
    path.write_bytes(b"no picture")
    upload(page, path)
    page.locator(".cnnw-error").first.wait_for()
    assert notebook.kernel_eval("explorer.picture.shape") == (60, 90, 3)
    page.get_by_label("chelsea", exact=True).check()
    page.get_by_text("451 × 300 pixels").wait_for()


def test_the_keyboard_reaches_everything_and_shows_where_it_is(notebook, page):
    open_tab(notebook, "Filters")
    page.get_by_label("Network", exact=True).focus()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("() => document.activeElement.textContent.trim() || document.activeElement.type"))
    assert {"Start", "Copy code", "More"} <= set(reached)
    page.locator(".jupyter-widget-tab .cnnw:visible button", has_text="Start").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    wait_for(notebook, "explorer.state", "done")


def test_another_network_is_chosen_from_the_menu(notebook, page):
    open_tab(notebook, "Filters")
    page.get_by_label("Network", exact=True).select_option("efficientnet_lite0")
    wait_for(notebook, "explorer.net.name", "efficientnet_lite0")
    page.get_by_text("0 to 15 of 1280 in").wait_for()
    page.get_by_label("Network", exact=True).select_option("squeezenet")
    wait_for(notebook, "explorer.net.name", "squeezenet")
    page.get_by_text("0 to 15 of 512 in").wait_for()


def test_a_saved_notebook_holds_the_last_picture(notebook, page, server):
    before = notebook.outputs(EXPLORER)
    run(notebook, "Fool it")
    deadline = time.monotonic() + 10
    while notebook.outputs(EXPLORER) == before and time.monotonic() < deadline:
        time.sleep(0.1)
    notebook.save()
    file = server.root / notebook.path
    assert file.stat().st_size < 300_000
    saved = nbformat.read(file, 4)
    data = saved.cells[EXPLORER].outputs[0]["data"]
    assert "application/vnd.jupyter.widget-view+json" in data
    assert data["image/png"].replace("\n", "") == notebook.kernel_eval("explorer._repr_mimebundle_()['image/png']")
    page, _ = HTMLExporter().from_notebook_node(saved)
    assert data["image/png"].replace("\n", "")[:200] in page.replace("\n", "")
