"""A real JupyterLab in a real Chromium, driven as a person drives it: what the browser tests stand on.

    Lab       what one test has:  lab.open(["import cnnwidgets as cw", "cw.FilterGallery('squeezenet')"]) -> Notebook
    Notebook  one page with one notebook: run and wait, look into cells and kernel, count frames, take pictures
    Frames    what happened to the images that match a selector, and when

Times are seconds since the epoch, the same clock in page, kernel and test. Every wait ends and says what for.
"""

from __future__ import annotations

import base64
import io
import itertools
import time
from pathlib import Path
from typing import Any

import nbformat
import PIL.Image
from playwright.sync_api import Browser, ConsoleMessage, Page
from playwright.sync_api import TimeoutError as OutOfTime

from tests.browser.server import Server

IN_PAGE = Path(__file__).with_name("harness.js")
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
NUMBERS = itertools.count(1)


class Lab:
    """The server as one test sees it: a browser context of its own, and no notebook or kernel of another test."""

    def __init__(self, server: Server, browser: Browser) -> None:
        self.server = server
        self.context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=server.url)
        self.context.set_default_timeout(60_000)  # milliseconds; a busy machine loads a page slowly
        self.context.add_init_script(path=IN_PAGE)

    def open(self, cells: list[str], kernel: str = "python3") -> Notebook:
        """Write a notebook with these code cells and open it in a page of its own."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        path = f"test-{next(NUMBERS)}.ipynb"
        nbformat.write(notebook, self.server.root / path)
        return self.visit(path)

    def visit(self, path: str) -> Notebook:
        """Open a notebook of the server's; where it is open elsewhere, this is a second view of the same kernel."""
        return Notebook(self.server, self.context.new_page(), path)

    def close(self) -> None:
        """Close the pages, and leave nothing to the next test."""
        self.context.close()
        self.server.forget()


class Notebook:
    """One page with one notebook. Cells count from 0; `page` is playwright's, for all that is not here."""

    def __init__(self, server: Server, page: Page, path: str) -> None:
        self.server, self.page, self.path = server, page, path
        self.console_errors: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        page.goto(f"lab/workspaces/view-{next(NUMBERS)}?token={server.token}")
        self._settle()

    def _heard(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.console_errors.append(f"{said.text} ({said.location['url']})")

    def _settle(self) -> None:
        self.wait_for("() => window.jupyterapp", "JupyterLab in the page", seconds=60)
        self.kernel_id: str = self._do("open", self.path, seconds=60)
        self.wait_for_idle(60)
        self._wait_for_clear_view()

    def _wait_for_clear_view(self) -> None:
        self.wait_for("() => !document.getElementById('jupyterlab-splash')", "the end of the splash screen")

    def _begin(self, verb: str, *words: Any) -> int:
        return self.page.evaluate("words => harness.begin(...words)", [verb, *words])

    def _do(self, verb: str, *words: Any, seconds: float = 30) -> Any:
        ticket = self._begin(verb, *words)
        self.wait_for(f"() => harness.done[{ticket}]", f"{verb} {words}", seconds)
        outcome = self.page.evaluate(f"() => harness.done[{ticket}]")
        if "error" in outcome:
            raise AssertionError(f"{verb} {words}: {outcome['error']}")
        return outcome.get("value")

    def wait_for(self, condition: str, what: str, seconds: float = 30) -> None:
        """Wait until a JavaScript function gives something true; `harness.panel(path)` is the notebook's panel."""
        try:
            self.page.wait_for_function(condition, polling=50, timeout=seconds * 1000)
        except OutOfTime:
            heard = f"browser console: {self.console_errors}\nserver: {self.server.last_words(5)}"
            raise AssertionError(f"waited {seconds} s in vain for {what}\n{heard}") from None

    def wait_for_idle(self, seconds: float = 60) -> None:
        """Wait until every cell that was started has ended and the kernel is idle."""
        self.wait_for(f"() => harness.idle({self.path!r})", "an idle kernel", seconds)

    def run_cell(self, cell: int, wait: bool = True, seconds: float = 60) -> None:
        """Run one cell; with `wait=False` come back while it is running."""
        self._begin("runCell", self.path, cell)
        if wait:
            self.wait_for_idle(seconds)

    def run_all(self, seconds: float = 120) -> None:
        """Run all cells and wait for the last one."""
        self._begin("command", "notebook:run-all-cells")
        self.wait_for_idle(seconds)

    def outputs(self, cell: int) -> list[dict[str, Any]]:
        """What a cell has put out, as the notebook file would have it."""
        return self.page.evaluate("words => harness.outputs(...words)", [self.path, cell])

    def hidden_log(self) -> list[dict[str, Any]]:
        """What only JupyterLab's Log Console shows: prints and errors of widget callbacks, as cell outputs."""
        return self.page.evaluate("path => harness.hiddenLog(path)", self.path)

    def kernel_eval(self, expression: str, seconds: float = 20) -> Any:
        """The value of a Python expression in the kernel: a literal, else its `repr`. Only while no cell is running."""
        return self.server.ask_kernel(self.kernel_id, "", expression, seconds)

    def kernel_run(self, code: str, seconds: float = 60) -> None:
        """Run Python statements in the kernel, unseen by the page."""
        self.server.ask_kernel(self.kernel_id, code, "None", seconds)

    def interrupt(self) -> None:
        """Interrupt the kernel, as the stop button does."""
        self._do("interrupt", self.path)

    def restart(self) -> None:
        """Restart the kernel; cells keep their outputs."""
        self._do("restart", self.path, seconds=60)
        self.wait_for_idle()

    def save(self) -> None:
        """Save the notebook; a reload or a second view starts from the file."""
        self._do("save", self.path)

    def reload(self) -> None:
        """Save the notebook and load the page anew. Frame counts start anew too: call `count_frames` again."""
        self.save()
        self.page.reload()
        self._settle()

    def leave(self) -> None:
        """Save the notebook and leave the page, as whoever closes the tab; the kernel lives on."""
        self.save()
        self._address = self.page.url
        self.page.goto("about:blank")

    def come_back(self) -> None:
        """Open what was left."""
        self.page.goto(self._address)
        self._settle()

    def theme(self, name: str) -> None:
        """Show JupyterLab "light" or "dark"."""
        self._do("command", "apputils:change-theme", {"theme": THEMES[name]})
        self.wait_for(f"() => document.body.dataset.jpThemeName === {THEMES[name]!r}", f"the {name} theme")
        self._wait_for_clear_view()

    def width(self, pixels: int, height: int = 900) -> None:
        """Make the page this wide, in CSS pixels."""
        self.page.set_viewport_size({"width": pixels, "height": height})

    def screenshot(self, path: Path | str, selector: str | None = None) -> None:
        """Keep a PNG of the page, or of the first element that matches."""
        (self.page.locator(selector).first if selector else self.page).screenshot(path=path)

    def picture(self, selector: str) -> PIL.Image.Image:
        """What the first image that matches shows, in the picture's own pixels, not the screen's."""
        deadline = time.monotonic() + 30
        while True:  # an image that is between two sources has no pixels: wait for the one that is coming
            self.wait_for(
                f"() => (document.querySelector({selector!r}) || {{}}).naturalWidth > 0", "a picture's pixels"
            )
            url = self.page.evaluate("selector => harness.picture(selector)", selector)
            if data := base64.b64decode(url.partition(",")[2]):
                return PIL.Image.open(io.BytesIO(data))
            assert time.monotonic() < deadline, f"{selector} shows nothing"

    def count_frames(self, selector: str = ".jp-Notebook img") -> Frames:
        """Count, from now on, what arrives at the images that match, also at those that are not there yet."""
        self.page.evaluate("selector => harness.countFrames(selector)", selector)
        return Frames(self, selector)


class Frames:
    """Times at which an image got a new source (`arrived`), painted it (`shown`), or could not (`failed`).

    A source that is replaced before it is painted arrives and is never shown.
    """

    def __init__(self, notebook: Notebook, selector: str) -> None:
        self._notebook, self._selector = notebook, selector

    def _times(self, what: str) -> list[float]:
        return self._notebook.page.evaluate("([s, what]) => harness.frames[s][what]", [self._selector, what])

    @property
    def arrived(self) -> list[float]:
        return self._times("arrived")

    @property
    def shown(self) -> list[float]:
        return self._times("shown")

    @property
    def failed(self) -> list[float]:
        return self._times("failed")

    def wait(self, shown: int, seconds: float = 30) -> None:
        """Wait until so many frames were shown."""
        condition = f"() => harness.frames[{self._selector!r}].shown.length >= {shown}"
        try:
            self._notebook.wait_for(condition, f"{shown} frames at {self._selector!r}", seconds)
        except AssertionError as error:
            counts = {what: len(self._times(what)) for what in ("arrived", "shown", "failed")}
            raise AssertionError(f"{error}\nframes: {counts}") from None


def wait_for(notebook: Notebook, expression: str, value: Any = True, seconds: float = 60) -> None:
    """Wait until an expression has this value in the kernel, which must not be running a cell."""
    deadline = time.monotonic() + seconds
    while (found := notebook.kernel_eval(expression)) != value:
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {expression} == {value!r}: {found!r}"
        time.sleep(0.05)
