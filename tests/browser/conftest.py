"""One JupyterLab and one Chromium for all browser tests; for each test a browser context and kernels of its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.lab import Lab
from tests.browser.server import Server

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # a page that needs the network fails here, not later
]  # fmt: skip


def pytest_itemcollected(item: pytest.Item) -> None:  # pytest calls it for the tests of this folder only
    item.add_marker(pytest.mark.browser)


def chromium() -> str:
    """Where the browser is; without one the tests fail, they are not skipped."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, CHROMIUMS)), None)
    return found or pytest.fail("no Chromium: apt-get install chromium, or set CHROMIUM to its path", pytrace=False)


@pytest.fixture(autouse=True)
def no_thread_left_behind() -> None:
    """What is tested runs in kernels; the threads in this process are playwright's own."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("jupyter"))
    yield server
    server.stop()


@pytest.fixture
def lab(server: Server, browser: Browser) -> Iterator[Lab]:
    lab = Lab(server, browser)
    yield lab
    lab.close()


@pytest.fixture(scope="module")
def shared_lab(server: Server, browser: Browser) -> Iterator[Lab]:
    """One for all tests of a module, which share a notebook."""
    lab = Lab(server, browser)
    yield lab
    lab.close()
