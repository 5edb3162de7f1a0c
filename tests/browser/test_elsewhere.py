"""The same panels in Notebook 7 and in Voila."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from playwright.sync_api import TimeoutError

from tests.browser import hostile
from tests.browser.server import PROJECT, Server

CELLS = [
    "import cnnwidgets as cw",
    "net = cw.load_network('squeezenet')",
    "gallery = cw.FilterGallery(net, 'fire5_concat', units=range(4), steps=400)\ngallery",
]


@pytest.fixture
def page(browser):
    context = browser.new_context(viewport={"width": 1280, "height": 1200})
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    context.close()


def write(folder, cells):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(notebook, folder / "elsewhere.ipynb")


def sources(page):
    return page.evaluate("() => [...document.querySelectorAll('.cnnw-stage img')].map(e => e.src).join()")


def assert_it_streams_and_stops(page):
    button = {name: page.locator(".cnnw button", has_text=name).first for name in ("Start", "Stop")}
    button["Start"].wait_for(timeout=120_000)
    page.errors.clear()  # what the page itself could not do while it was loaded
    button["Start"].click()
    page.get_by_text("s left").wait_for(timeout=60_000)
    seen = set()
    deadline = time.monotonic() + 30
    while len(seen) < 4:
        seen.add(sources(page))
        assert time.monotonic() < deadline, "the picture does not change"
        time.sleep(0.1)
    button["Stop"].click()
    page.get_by_text("Stopped at step").wait_for(timeout=10_000)
    deadline = time.monotonic() + 10
    still = ""
    while still != sources(page):  # the end of a run is drawn anew, which a page does when it has time
        assert time.monotonic() < deadline, "it goes on although it was stopped"
        still = sources(page)
        time.sleep(1)
    assert page.errors == []


@pytest.fixture
def server(tmp_path):
    """One of its own: the files that both have are looked for once in a server, in Lab's folder or in Notebook's."""
    server = Server(tmp_path)
    yield server
    server.stop()


def test_a_gallery_streams_and_stops_in_notebook_7(server, page):
    write(server.root, CELLS)
    page.goto(f"{server.url}notebooks/elsewhere.ipynb?token={server.token}")
    page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").wait_for(timeout=60_000)
    run_all_cells(page)
    assert_it_streams_and_stops(page)


def run_all_cells(page):
    """By the menu, which Notebook offers before it can do anything with it."""
    has_begun = page.locator(".jp-InputPrompt", has_text=re.compile(r"\[(\*|\d+)\]")).first
    deadline = time.monotonic() + 60
    while not has_begun.is_visible():
        assert time.monotonic() < deadline, "no cell is run"
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        with contextlib.suppress(TimeoutError):
            has_begun.wait_for(timeout=10_000)


@pytest.fixture
def voila(tmp_path):
    write(tmp_path, [*CELLS, hostile.CELL])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "voila",
        "elsewhere.ipynb",
        "--no-browser",
        f"--port={port}",
        "--Voila.ip=127.0.0.1",
    ]
    environment = os.environ | {"PYTHONPATH": str(PROJECT), "CNNWIDGETS_CACHE_DIR": ""}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}/"
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url + "voila/static/favicon.ico", timeout=5).close()
            break
        except OSError as error:
            if getattr(error, "code", 0) in (403, 404):  # it answers
                break
            assert time.monotonic() < deadline and process.poll() is None, "Voila did not start"
            time.sleep(0.2)
    yield url
    os.killpg(process.pid, signal.SIGTERM)
    process.wait(20)


def test_a_gallery_streams_and_stops_in_voila_and_nothing_of_a_stranger_runs(voila, page):
    page.add_init_script(hostile.LISTEN)
    page.goto(voila, timeout=240_000)
    assert_it_streams_and_stops(page)
    page.locator(".lm-TabBar-tab", has_text="Fool it").wait_for()
    hostile.assert_nothing_ran(page)
