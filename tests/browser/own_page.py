"""A page of our own that is opened from a file, in a real Chromium that has no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page


class OwnPage:
    """The page, and what it complained of."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page, self.errors, self.asked = page, [], []
        page.on("console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: self.asked.append(request.url))
        page.goto(file.as_uri())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)


@contextmanager
def opened_in(browser: Browser, file: Path, kind: type[OwnPage], request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in a context with the test's own settings; nothing complains, and nothing leaves the file."""
    context = browser.new_context(**getattr(request, "param", {}))
    opened = kind(context.new_page(), file)
    yield opened
    assert opened.errors == [], "the console stayed clean"
    assert all(url.startswith(("file:", "data:")) for url in opened.asked)
    context.close()


def check_policy(opened: Any) -> None:
    """The page's policy stops a script and a picture that are not ours."""
    opened.evaluate("""() => {
        const script = document.createElement('script'); script.textContent = "document.title = 'fired'";
        document.body.append(script);
        const image = document.createElement('img'); image.src = 'http://127.0.0.1:9/x.png';
        document.body.append(image);
    }""")
    opened.wait_for_timeout(200)
    assert opened.title() != "fired"
    assert len([line for line in opened.errors if "Content Security Policy" in line]) == 2
    opened.errors.clear()
    opened.asked.clear()
