"""A gallery on older kernels: each generation of ipykernel calls widgets back on another thread."""

import json
import subprocess
import sys
import threading

import pytest

from tests.browser.lab import Lab
from tests.browser.test_gallery import CELLS, LONG, SOON, STOP, Gallery

VERSIONS = ["6.31.0", "7.1.0"]


@pytest.fixture(scope="module", params=VERSIONS)
def kernel(request, server, tmp_path_factory):
    """A kernel of this version, beside the one that is installed; everything else is shared."""
    version, folder = request.param, tmp_path_factory.mktemp("ipykernel")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, f"ipykernel=={version}"]
    subprocess.run(pip, check=True)
    name = f"ipykernel-{version}"
    place = server.folders["JUPYTER_DATA_DIR"] / "kernels" / name
    place.mkdir(parents=True)
    begin = f"import sys; sys.path.insert(0, {str(folder)!r}); import ipykernel.kernelapp as k; k.launch_new_instance()"
    specification = {
        "argv": [sys.executable, "-c", begin, "-f", "{connection_file}"], "display_name": name, "language": "python",
    }  # fmt: skip
    (place / "kernel.json").write_text(json.dumps(specification), encoding="utf-8")
    return name, version


@pytest.fixture(scope="module")
def awake(server):
    """Connect to the kernels every second.

    ipykernel 7.0 to 7.3 may leave a request of the page unread until somebody else connects (ipython/ipykernel#1554).
    """
    ended = threading.Event()

    def knock():
        while not ended.wait(1):
            server.knock()

    thread = threading.Thread(target=knock)
    thread.start()
    yield
    ended.set()
    thread.join()


@pytest.fixture(scope="module")
def notebook(server, browser, kernel, awake):
    name, version = kernel
    lab = Lab(server, browser)
    notebook = lab.open(CELLS, kernel=name)
    notebook.run_cell(0, seconds=180)
    notebook.kernel_run("import ipykernel")
    assert notebook.kernel_eval("ipykernel.__version__") == version
    yield notebook
    lab.close()


def test_it_streams_pauses_resumes_and_stops_at_once(notebook):
    gallery = Gallery(notebook, LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=4)
    gallery.click("Pause")
    gallery.wait_for("gallery.state", "paused")
    gallery.click("Resume")
    gallery.wait_for("gallery.state", "running")
    clicked = gallery.click("Stop")
    gallery.wait_for_words("Stopped at step")
    stopped = gallery.get("heard['stopped']")
    assert stopped - clicked < SOON
    assert gallery.nothing_arrives() and gallery.frames.failed == []
    assert gallery.get("(len(worker().jobs), alive('cnnwidgets-publisher'))") == (0, 0)


def test_a_cell_stops_a_run_and_nothing_is_spilled(notebook):
    gallery = Gallery(notebook, LONG)
    gallery.click("Start")
    gallery.frames.wait(shown=2)
    notebook.run_cell(STOP)
    assert "'stopped'" in notebook.outputs(STOP)[0]["data"]["text/plain"]
    gallery.wait_for_words("Stopped at step")
    assert notebook.console_errors == [] and notebook.hidden_log() == []


def test_the_end_of_a_run_keeps_its_picture_in_the_output(notebook):
    gallery = Gallery(notebook, 6)
    gallery.click("Start")
    gallery.wait_for("gallery.state", "done")
    notebook.wait_for(
        f"() => 'image/png' in (harness.outputs({notebook.path!r}, 1)[0].data)", "the picture in the output", 10
    )
