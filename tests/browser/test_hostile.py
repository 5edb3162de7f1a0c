"""What strangers send, in a real notebook: their models, and the notebooks that they share."""

import time

import nbformat
import psutil
import pytest

from tests.browser import hostile
from tests.browser.lab import Lab

HOSTILE, MARKUP, STREAM = 0, 1, 2
SLOW = """
import time

gallery = cw.FilterGallery(hostile, "conv", units=range(4), steps=2000)
frames = gallery._frames
gallery._frames = lambda: (time.sleep(0.05) or frame for frame in frames())  # no run of it ends while a test looks
gallery
"""
CELLS = [hostile.CELL, "bad = ipywidgets.HTML(ATTACKS[0]); bad.add_class('cnnw'); bad", SLOW]
PICTURE = ".jp-RenderedImage img"


@pytest.fixture(scope="module")
def lab(server, browser):
    lab = Lab(server, browser)
    lab.context.add_init_script(hostile.LISTEN)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def notebook(lab):
    notebook = lab.open(CELLS)
    notebook.run_cell(HOSTILE, seconds=240)
    return notebook


def test_no_name_file_or_error_of_a_stranger_runs_in_any_panel(notebook):
    errors = [output for output in notebook.outputs(HOSTILE) if output["output_type"] == "error"]
    assert errors == [] and notebook.outputs(HOSTILE)[-1]["text"] == "all shown\n"
    notebook.page.locator(".lm-TabBar-tab", has_text="Fool it").wait_for()
    hostile.assert_nothing_ran(notebook.page)


def test_a_shared_notebook_that_nobody_trusts_runs_nothing_and_shows_its_picture(notebook, lab, server):
    notebook.save()
    shared = nbformat.read(server.root / notebook.path, 4)
    shared.cells[HOSTILE].source += "\n# changed by a stranger"
    shown = [output for output in shared.cells[HOSTILE].outputs if "image/png" in output.get("data", {})]
    assert len(shown) == 8, "each panel but the LayerPicker keeps its picture"
    attack = nbformat.v4.new_output(
        "display_data", {"text/html": "<img src=x onerror=fired()><script>fired()</script>"}
    )
    shared.cells[HOSTILE].outputs.append(attack)
    shared.cells.append(nbformat.v4.new_markdown_cell("<img src=x onerror=fired()>"))
    nbformat.write(shared, server.root / "shared.ipynb")
    other = lab.visit("shared.ipynb")
    assert other.kernel_eval("'explorer' in globals()") is False
    seen = f"[...document.querySelectorAll({PICTURE!r})].filter(e => e.naturalWidth).length"
    other.wait_for(f"() => {seen} === 8", "the pictures of eight panels")
    time.sleep(1)
    assert other.page.evaluate("window.shots") == 0
    other.page.close()


def test_a_closed_tab_costs_the_server_nothing_and_one_that_is_opened_again_streams(notebook, server):
    notebook.run_cell(STREAM)
    notebook.kernel_run("gallery.start()")
    notebook.count_frames().wait(shown=3)
    notebook.leave()
    time.sleep(2)  # what was on its way
    before = psutil.Process(server.pid).memory_info().rss
    shown = notebook.kernel_eval("gallery.frames_shown")
    time.sleep(8)
    assert notebook.kernel_eval("gallery.state") == "running"
    assert notebook.kernel_eval("gallery.frames_shown") - shown <= 20, "two frames a second that nobody sees"
    assert psutil.Process(server.pid).memory_info().rss - before < 3e6
    notebook.come_back()
    notebook.count_frames().wait(shown=3, seconds=5)
    notebook.kernel_run("gallery.stop()")


def test_markup_that_is_let_through_would_be_noticed(notebook):
    """Last, since it spoils the page: what the tests above look at does run."""
    notebook.run_cell(MARKUP)
    notebook.wait_for("() => window.shots > 0", "the attack", 10)
    assert notebook.page.evaluate(hostile.LEAKS) != []
