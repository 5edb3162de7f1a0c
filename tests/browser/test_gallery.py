"""A filter gallery in a real notebook: it streams, stops, lives through reloads, and is used by mouse and keyboard.

All tests share one kernel and one page, because TensorFlow takes its time to start; each begins with a new gallery.
"""

import re
import time

import numpy as np
import pytest

SETUP = """
import threading, time
import ipywidgets
import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.model.backend import keras
from cnnwidgets.jobs import worker

keras.utils.set_random_seed(3)
x = picture = keras.Input((None, None, 3))
x = keras.layers.Conv2D(8, 5, padding="same", activation="relu", name="conv1")(x)
x = keras.layers.Conv2D(20, 5, padding="same", activation="relu", name="conv2")(x)
net = cw.Network(keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x), name="small"))
gallery, steps = None, 40

def alive(name):
    return sum(thread.name == name for thread in threading.enumerate())
"""
MAKE = """
heard = {}
gallery = cw.FilterGallery(net, "conv2", units=range(4), size=48, steps=steps)
gallery.observe(lambda change: heard.update({change.new: time.time()}), "state")
gallery
"""
CELLS = [
    SETUP,
    MAKE,
    "gallery.start(); time.sleep(4); ended = time.time()",
    "gallery.run()",
    "gallery.stop(); gallery.state",
    "text = ipywidgets.Text(description='words'); text",
]
GALLERY, BUSY, RUN, STOP, TEXT = 1, 2, 3, 4, 5

TILES = ".widget-hbox > .cnnw-stage > img"
LARGE = ".widget-vbox > .cnnw-stage > img"
LONG = 2000  # steps: no run of these ends by itself while a test looks
SOON = 5.0  # seconds: far less than such a run takes, and enough for a busy machine

CLICK_TIME = """() => document.addEventListener('click', event => {
    window.clicked = (performance.timeOrigin + event.timeStamp) / 1000;
}, {capture: true, once: true})"""


@pytest.fixture(scope="module")
def notebook(shared_lab):
    notebook = shared_lab.open(CELLS)
    notebook.run_cell(0, seconds=180)
    return notebook


def until(condition, what, seconds=20):
    """Wait for something on the page, and give it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.05)
    return found


def button(page, name):
    """A button by its last words; an icon before them is part of its name."""
    return page.get_by_role("button", name=re.compile(rf"\b{name}$"))


class Gallery:
    """A new gallery on the page, as a person sees it."""

    def __init__(self, notebook, steps):
        self.notebook, self.page = notebook, notebook.page
        notebook.kernel_run(f"steps = {steps}")
        notebook.run_cell(GALLERY)
        self.button("Start").wait_for()
        self.frames = notebook.count_frames(TILES)
        notebook.width(1280, 1400)

    def button(self, name):
        return button(self.page, name)

    def click(self, name):
        """Click a button; returns when, by the page's clock."""
        self.page.evaluate(CLICK_TIME)
        self.button(name).click()
        return self.page.evaluate("window.clicked")

    def click_at(self, x, y, selector=TILES):
        """Click the picture at a place, each 0..1."""
        box = self.box(selector)
        self.page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])

    def box(self, selector=TILES):
        """Where the picture is; the end of a run draws it anew."""
        return until(self.page.locator(selector).bounding_box, f"{selector} on the page")

    def nothing_arrives(self):
        """Whether the page is left alone, once what was on its way is there."""
        time.sleep(1)
        arrived = self.frames.arrived
        time.sleep(1)
        return self.frames.arrived == arrived

    def get(self, expression):
        return self.notebook.kernel_eval(expression)

    def wait_for(self, expression, value=True, seconds=30):
        deadline = time.monotonic() + seconds
        while (found := self.get(expression)) != value:
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {expression} == {value}: {found}"
            time.sleep(0.05)

    def wait_for_words(self, words, seconds=30):
        self.page.locator(".cnnw", has_text=words).first.wait_for(timeout=seconds * 1000)


@pytest.fixture
def make(notebook):
    """`make(steps)` runs the gallery's cell."""
    yield lambda steps=40: Gallery(notebook, steps)
    notebook.wait_for_idle()
    notebook.kernel_run("gallery.stop()")
    notebook.width(1280)


@pytest.fixture(autouse=True)
def nothing_spilled(notebook):
    """After each test: no error in the browser's console, nothing in the hidden log, one output under the cell."""
    notebook.console_errors.clear()
    logged = len(notebook.hidden_log())
    yield
    assert notebook.console_errors == []
    assert notebook.hidden_log()[logged:] == []
    assert [output["output_type"] for output in notebook.outputs(GALLERY)] == ["display_data"]


# Streaming.


def test_frames_reach_the_page_and_the_last_one_is_exact(make):
    gallery = make(300)  # long enough for a share to mean something
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done", 60)
    gallery.wait_for_words("done in")
    tiles = np.frombuffer(gallery.get("pictures.to_uint8(gallery.result.pictures).tobytes()"), np.uint8)
    tiles = tiles.reshape(4, 48, 48, 3)
    until(lambda: np.array_equal(tiles_seen(gallery), tiles), "the last picture, pixel by pixel")
    arrived, shown = gallery.frames.arrived, gallery.frames.shown
    assert len(arrived) >= 4 and gallery.frames.failed == []
    assert len(shown) >= 0.8 * len(arrived)
    # The last one comes as PNG too, and once more in the output that keeps it for a saved notebook.
    assert len(arrived) <= gallery.get("gallery.frames_shown") + 2


def tiles_seen(gallery):
    """Four tiles of 48 pixels as the page shows them, without what is written below."""
    seen = np.asarray(gallery.notebook.picture(TILES).convert("RGB"))
    high = seen.shape[0] // 2
    return [seen[top : top + 48, left : left + 48] for top in (0, high) for left in (0, 48)]


def test_a_reload_during_a_run_is_live_again(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=2)
    gallery.notebook.reload()
    gallery.page.locator(TILES).wait_for()
    frames = gallery.notebook.count_frames(TILES)
    frames.wait(shown=3, seconds=5)
    gallery.wait_for_words("s left")
    gallery.click("Stop")
    gallery.wait_for_words("Stopped at step")
    assert gallery.get("gallery.state") == "stopped"


def test_two_views_stay_in_step(make, shared_lab):
    gallery = make(LONG)
    gallery.notebook.save()
    other = shared_lab.visit(gallery.notebook.path)
    button(other.page, "Start").wait_for()
    frames = other.count_frames(TILES)
    gallery.click("Start")
    frames.wait(shown=3)
    gallery.frames.wait(shown=3)
    button(other.page, "Stop").click()
    gallery.wait_for_words("Stopped at step")
    other.page.locator(".cnnw", has_text="Stopped at step").first.wait_for()
    both = (gallery.notebook, other)
    until(lambda: np.array_equal(*(np.asarray(one.picture(TILES)) for one in both)), "the same picture in both views")
    assert other.console_errors == []
    other.page.close()


def test_progress_and_objective_are_seen_while_it_runs(make):
    gallery = make(LONG)
    bar = gallery.page.get_by_role("progressbar", name="Progress")
    assert bar.get_attribute("aria-valuenow") == "0" and bar.bounding_box()["height"] >= 3
    gallery.click("Start")
    gallery.wait_for("gallery.progress > 0.02")
    gallery.wait_for_words("s left")
    gallery.page.wait_for_function("() => +document.querySelector('.cnnw-bar').ariaValueNow > 1")
    curve = "() => document.querySelector('.cnnw-curve[role=img]')?.getBoundingClientRect().width > 200"
    gallery.notebook.wait_for(curve, "the objective's curve")  # it is drawn anew all the time: look once, in the page
    gallery.click("Stop")


def test_stop_acts_during_the_run_and_then_nothing_arrives(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=4)
    clicked = gallery.click("Stop")
    gallery.wait_for_words("Stopped at step")
    stopped = gallery.get("heard['stopped']")
    assert stopped - clicked < SOON
    assert gallery.nothing_arrives()
    assert gallery.get("(gallery.state, len(worker().jobs), alive('cnnwidgets-publisher'))") == ("stopped", 0, 0)
    assert gallery.button("Stop").is_disabled() and gallery.button("Start").is_enabled()


def test_pause_holds_the_picture_and_resume_goes_on(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=3)
    gallery.click("Pause")
    gallery.button("Resume").wait_for()
    gallery.wait_for("gallery.state", "paused")
    step = gallery.get("gallery._last.step")
    assert gallery.nothing_arrives() and gallery.get("gallery._last.step") == step
    shown = len(gallery.frames.shown)
    gallery.click("Resume")
    gallery.frames.wait(shown=shown + 2)
    gallery.button("Pause").wait_for()
    assert gallery.get("gallery._last.step") > step
    gallery.click("Stop")


def test_start_during_a_run_begins_anew_with_one_worker(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=3)
    step = gallery.get("gallery._last.step")
    for _ in range(3):
        gallery.click("Start")
    gallery.wait_for("(len(worker().jobs), alive('cnnwidgets-publisher'), alive('cnnwidgets-worker'))", (1, 1, 1), 5)
    shown = len(gallery.frames.shown)
    gallery.frames.wait(shown=shown + 2)
    assert gallery.get("gallery.state") == "running" and gallery.get("len(gallery._record.objective)") < step + LONG
    gallery.click("Stop")
    gallery.wait_for("(gallery.state, len(worker().jobs))", ("stopped", 0), 5)


def test_a_cell_that_is_run_again_leaves_one_run(make):
    first = make(LONG)
    first.click("Start")
    first.frames.wait(shown=2)
    first.notebook.kernel_run("old = gallery")
    second = make(LONG)
    assert second.get("(old.state, len(worker().jobs))") == ("stopped", 0)
    second.click("Start")
    second.frames.wait(shown=2)
    assert second.get("(len(worker().jobs), alive('cnnwidgets-publisher'), alive('cnnwidgets-worker'))") == (1, 1, 1)
    second.click("Stop")
    second.notebook.kernel_run("old.close()")


# From cells.


def test_a_run_begun_in_a_busy_cell_streams(make):
    gallery = make(LONG)
    gallery.notebook.run_cell(BUSY, wait=False)
    gallery.frames.wait(shown=3)
    gallery.notebook.wait_for_idle()
    during = [moment for moment in gallery.frames.shown if moment < gallery.get("ended")]
    assert len(during) >= 3
    gallery.click("Stop")


def test_a_cell_stops_a_run(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=2)
    gallery.notebook.run_cell(STOP)
    assert "'stopped'" in gallery.notebook.outputs(STOP)[0]["data"]["text/plain"]
    gallery.wait_for_words("Stopped at step")


def test_a_blocking_run_streams_and_an_interrupt_stops_it(make):
    gallery = make(LONG)
    gallery.notebook.run_cell(RUN, wait=False)
    gallery.frames.wait(shown=3)
    gallery.notebook.interrupt()
    gallery.notebook.wait_for_idle(10)
    assert gallery.notebook.outputs(RUN)[0]["ename"] == "KeyboardInterrupt"
    assert gallery.get("(gallery.state, len(worker().jobs))") == ("stopped", 0)
    gallery.wait_for_words("Stopped at step")


# Choosing.


PLACES = [(0.25, 0.2, 0), (0.98, 0.05, 1), (0.02, 0.97, 2), (0.52, 0.52, 3)]


@pytest.mark.parametrize("width", [1280, 480])
def test_a_click_climbs_the_tile_under_it_large(make, width):
    gallery = make(4)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    gallery.notebook.width(width, 1200)
    wide = "the picture as wide as the page allows"
    until(lambda: (gallery.box()["width"] == 512) if width == 1280 else (gallery.box()["width"] < 400), wide)
    gallery.page.locator(TILES).scroll_into_view_if_needed()
    for x, y, unit in PLACES:
        gallery.click_at(x, y)
        gallery.wait_for("gallery.unit", unit)
        gallery.wait_for_words(f"conv2 · {unit}")
    large = gallery.notebook.count_frames(LARGE)
    large.wait(shown=2)
    assert gallery.page.locator(".cnnw-chosen").count() == 1
    gallery.notebook.kernel_run("gallery.stop()")  # it may have ended meanwhile
    gallery.wait_for("len(worker().jobs)", 0)


def test_a_click_while_frames_stream_in_chooses_the_right_tile(make):
    gallery = make(LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=2)
    for x, y, unit in PLACES * 2:
        gallery.click_at(x, y)
        gallery.wait_for("gallery.unit", unit)
    assert gallery.get("gallery.state") == "running"
    gallery.click("Stop")
    gallery.wait_for("len(worker().jobs)", 0)


def focused(page):
    """The words on what has the focus, and those of its label."""
    words = "() => [document.activeElement, document.activeElement.labels?.[0]].map(one => one?.innerText).join('|')"
    return page.evaluate(words)


def test_everything_is_done_by_the_keyboard(make):
    gallery = make(4)
    gallery.button("Start").focus()
    gallery.page.evaluate("() => { window.drawn = document.querySelector('.cnnw') }")
    gallery.page.keyboard.press("Enter")
    gallery.wait_for("gallery.state", "done")
    gallery.page.wait_for_function("() => !window.drawn.isConnected")  # the end of a run rebuilds the panel,
    gallery.page.wait_for_function("() => document.activeElement.innerText === 'Start'")  # and gives the focus back
    seen = []
    while not (seen and seen[-1].endswith("|Unit")):
        assert len(seen) < 12, f"Tab never came to the menu of units, but to {seen}"
        gallery.page.keyboard.press("Tab")
        seen.append(focused(gallery.page))
    assert [word for word in seen if "Save" in word or "Copy code" in word], seen
    for key in ("Space", "ArrowDown", "ArrowDown", "Enter"):  # JupyterLab keeps the arrows from a menu that is closed
        gallery.page.keyboard.press(key)
        time.sleep(0.5)
    gallery.wait_for("gallery.unit", 1)
    gallery.notebook.count_frames(LARGE).wait(shown=1)
    gallery.page.keyboard.press("Tab")
    gallery.page.keyboard.press("Space")
    gallery.page.get_by_label("Steps").wait_for()
    gallery.wait_for("len(worker().jobs)", 0)


def test_a_setting_is_typed(make):
    gallery = make(4)
    gallery.click("More")
    gallery.page.get_by_label("Steps").fill("3")
    gallery.page.get_by_label("Steps").press("Enter")
    gallery.wait_for("gallery.steps", 3)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    assert gallery.get("(len(gallery._record.objective), 'steps=3' in gallery.snippet())") == (2, True)


# The page around it.


def test_keys_and_wheel_go_through_the_picture(make):
    gallery = make(4)
    notebook, page = gallery.notebook, gallery.page
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    notebook.run_cell(TEXT)
    notebook.width(1280, 1400)
    field = page.get_by_label("words")
    field.click()
    page.locator(TILES).hover()
    page.keyboard.type("abc def")
    gallery.wait_for("text.value", "abc def", 5)
    page.locator(".jp-Notebook .cm-content").nth(TEXT).click()
    page.locator(TILES).hover()
    page.keyboard.type("#")
    notebook.wait_for(f"() => harness.panel({notebook.path!r}).context.model.dirty", "the letter to arrive", 5)
    page.keyboard.press("Control+s")
    notebook.wait_for(f"() => !harness.panel({notebook.path!r}).context.model.dirty", "the notebook to be saved", 10)
    notebook.width(1280, 600)
    page.locator(TILES).hover()
    page.mouse.wheel(0, -5000)
    time.sleep(0.5)
    page.locator(TILES).hover()  # which brings it into view, at the lower end
    before = page.locator(TILES).bounding_box()["y"]
    page.mouse.wheel(0, 150)
    place = f"document.querySelector('{TILES}').getBoundingClientRect().y"
    notebook.wait_for(f"() => {place} < {before} - 50", "the page to scroll", 5)


def overflow(page):
    """How far, in pixels, anything in the notebook reaches beyond the width of what holds it."""
    parts = ".jp-Notebook, .jp-WindowedPanel-outer, .jp-OutputArea-output, .cnnw"
    beyond = "parts => Math.max(...[...document.querySelectorAll(parts)].map(e => e.scrollWidth - e.clientWidth))"
    return page.evaluate(beyond, parts)


BESIDE_PICTURE = "img => img.parentElement.clientHeight - img.clientHeight"  # else captions are below their tiles


@pytest.mark.parametrize("width", [700, 1600])
def test_nothing_scrolls_sideways_or_is_stretched(make, width):
    gallery = make(4)
    gallery.notebook.kernel_run("gallery.units = [0, 2]")  # one row, lower than what is at its side
    gallery.notebook.width(width, 1200)
    gallery.click("More")
    gallery.click("Copy code")
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    gallery.notebook.kernel_run("gallery.unit = 2")
    gallery.notebook.count_frames(LARGE).wait(shown=1)
    assert abs(gallery.page.locator(TILES).evaluate(BESIDE_PICTURE)) <= 1
    assert overflow(gallery.page) <= 0
    for selector in (TILES, LARGE):
        box = gallery.box(selector)
        assert box["width"] <= 512 and box["x"] + box["width"] <= width
    gallery.wait_for("len(worker().jobs)", 0)


COLORS = """([selector, what, name]) => {
    const probe = document.body.appendChild(document.createElement('i'));
    probe.style.color = `var(${name})`;
    const colors = [getComputedStyle(document.querySelector(selector))[what], getComputedStyle(probe).color];
    probe.remove();
    return colors;
}"""


def test_colors_follow_the_theme(make):
    gallery = make(4)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    gallery.wait_for_words("done in")
    parts = [
        (".cnnw-caption", "backgroundColor", "--jp-layout-color0"), (".cnnw-caption", "color", "--jp-ui-font-color1"),
        (".cnnw-status", "color", "--jp-ui-font-color2"), (".cnnw-empty", "backgroundColor", "--jp-layout-color2"),
        (".cnnw-bar > div", "backgroundColor", "--jp-brand-color1"), (".cnnw-curve", "color", "--jp-brand-color1"),
    ]  # fmt: skip
    seen = {}
    for theme in ("light", "dark"):
        gallery.notebook.theme(theme)
        for part in parts:
            used, expected = gallery.page.evaluate(COLORS, list(part))
            assert used == expected, f"{part} in the {theme} theme"
            seen.setdefault(part, set()).add(used)
    assert all(len(colors) == 2 for part, colors in seen.items()), seen
    gallery.notebook.theme("light")


def test_saving_writes_files_beside_the_notebook(make, server):
    gallery = make(4)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    gallery.click("Save")
    gallery.wait_for_words("Saved as small-conv2-0-3.png")
    gallery.click("Save GIF")
    gallery.wait_for_words("Saved as small-conv2-0-3.gif")
    assert (server.root / "small-conv2-0-3.png").read_bytes().startswith(b"\x89PNG")
    assert (server.root / "small-conv2-0-3.gif").read_bytes().startswith(b"GIF8")


def test_an_error_is_seen_in_the_panel(make):
    gallery = make(LONG)
    gallery.notebook.kernel_run("good = net.model.get_layer('conv2').bias.numpy()")
    gallery.click("Start")
    gallery.frames.wait(shown=2)
    gallery.notebook.kernel_run("net.model.get_layer('conv2').bias.assign(good * float('nan'))")
    gallery.wait_for_words("The run diverged at step")
    gallery.notebook.kernel_run("net.model.get_layer('conv2').bias.assign(good)")
    assert gallery.get("gallery.state") == "error" and gallery.page.locator(".cnnw-error").is_visible()
    gallery.click("Start")
    gallery.wait_for("gallery.state", "running", 5)
    gallery.click("Stop")


def test_a_closed_panel_leaves_the_page_without_a_word(make):
    gallery = make(4)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    gallery.click_at(0.2, 0.2)
    gallery.wait_for("len(worker().jobs)", 0)
    time.sleep(1)
    gallery.notebook.kernel_run("gallery.close()")
    gallery.notebook.wait_for("() => !document.querySelector('.cnnw')", "the panel to go", 10)
    time.sleep(1)
