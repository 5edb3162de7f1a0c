"""The page that an atlas writes of itself, opened from a file in a real Chromium that has no network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.atlas.synthetic import synthetic
from tests.browser.own_page import OwnPage, check_policy, opened_in
from tests.trust.payloads import PAYLOADS

LAYERS = {"conv1": 100, "fire2/squeeze": 3, "</script><script>document.title='fired'</script>": 5}
LAYERS |= {f"{number} {payload[:400]}": 4 for number, payload in enumerate(PAYLOADS)}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    atlas = synthetic(folder / "a", LAYERS, network="".join(PAYLOADS[:5]), noted=2)
    return atlas.to_html(folder / "atlas.html")


class Opened(OwnPage):
    """The page, and how its test looks at it."""

    def __init__(self, page: Page, file: Path) -> None:
        super().__init__(page, file)
        self.drawn(0)

    def drawn(self, index: int) -> None:
        """Wait until a tile of the page is painted."""
        self.page.wait_for_function(
            "i => { const c = document.querySelectorAll('#grid canvas')[i];"
            " return c && c.getContext('2d').getImageData(1, 1, 1, 1).data[3] === 255; }", arg=index,
        )  # fmt: skip

    def pixels(self, selector: str) -> np.ndarray:
        """The middle of a canvas, RGB."""
        return np.array(self.page.evaluate(
            "s => { const c = document.querySelector(s);"
            " return [...c.getContext('2d').getImageData(c.width / 4 | 0, c.height / 4 | 0, 1, 1).data]; }", selector,
        )[:3])  # fmt: skip

    @property
    def focused(self) -> str:
        return self.page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.id")


@pytest.fixture
def opened(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    with opened_in(browser, file, Opened, request) as opened:
        yield opened


def test_the_policy_stops_what_is_not_ours(opened):
    check_policy(opened)


def test_it_shows_what_the_atlas_holds(opened, file):
    assert opened.locator("#layers li").count() == len(LAYERS)
    assert opened.locator("#grid button").count() == 96
    assert opened.inner_text("#page") == "0 to 95 of 100"
    first = file.parent / "a"
    import cnnwidgets as cw

    expected = cw.open_atlas(first)["conv1"][5, 4, 4].astype(int)
    assert np.abs(opened.pixels("#grid button:nth-child(6) canvas") - expected).max() < 40  # it is JPEG
    assert opened.locator("#grid button").nth(5).get_attribute("aria-label") == "conv1, unit 5, value 0.714"
    assert "never fires" in opened.locator("#grid button").nth(2).get_attribute("aria-label")


def test_no_name_becomes_markup_and_none_runs(opened):
    for index in range(len(LAYERS)):
        opened.locator("#layers button").nth(index).click()
        opened.drawn(0)
    names = opened.locator("#layers .name").all_text_contents()
    assert any("onerror" in name for name in names) and any("</script>" in name for name in names)
    found = opened.evaluate("[...document.querySelectorAll('*')].map(e => e.localName)")
    assert found.count("script") == 4 + len(LAYERS) - 1, "the index, the script, and a mosaic for each page"
    assert not set(found) & {"img", "svg", "iframe", "object", "embed", "video", "link", "base", "form"}
    assert opened.title().startswith("Atlas of ") and "fired" not in opened.title()
    handlers = "[...document.querySelectorAll('*')].some(e => [...e.attributes].some(a => a.name.startsWith('on')))"
    assert not opened.evaluate(handlers)


def test_a_search_finds_layers(opened):
    opened.fill("#search", "SQUEEZE")
    assert opened.locator("#layers li:visible").count() == 1
    assert opened.inner_text("#found") == f"1 of {len(LAYERS)} layers"
    opened.locator("#layers button:visible").click()
    assert opened.inner_text("#layer") == "fire2/squeeze" and opened.inner_text("#page") == "0 to 2 of 3"
    assert opened.locator("#next").is_disabled() and opened.locator("#previous").is_disabled()


def test_pages_are_turned_and_units_found(opened):
    opened.click("#next")
    assert opened.inner_text("#page") == "96 to 99 of 100" and opened.locator("#next").is_disabled()
    opened.drawn(3)
    opened.fill("#unit", "7")
    opened.press("#unit", "Enter")
    assert opened.focused.startswith("conv1, unit 7,")


def test_it_is_used_by_keys_alone(opened):
    opened.locator("#grid button").first.focus()
    for key, unit in {"ArrowRight": 1, "End": 95, "Home": 0}.items():
        opened.keyboard.press(key)
        assert opened.focused.startswith(f"conv1, unit {unit},"), key
    opened.keyboard.press("ArrowDown")
    below = opened.focused
    opened.keyboard.press("ArrowUp")
    assert opened.focused.startswith("conv1, unit 0,") and below != opened.focused
    opened.keyboard.press("Tab")
    assert "unit" not in opened.focused, "the pictures are one stop for the Tab key"
    opened.locator("#grid button").first.focus()
    opened.keyboard.press("Enter")
    assert opened.locator("#large").is_visible()
    opened.keyboard.press("ArrowRight")
    assert opened.inner_text("#caption") == "conv1 · 1"
    opened.keyboard.press("Escape")
    opened.wait_for_function(  # the browser focuses what it had before, then the page the picture that was shown last
        "() => !document.getElementById('large').open && document.activeElement.ariaLabel.startsWith('conv1, unit 1,')"
    )


def test_a_click_shows_a_picture_large_and_goes_on_over_the_page(opened):
    opened.locator("#grid button").nth(95).click()
    assert opened.inner_text("#caption") == "conv1 · 95"
    assert opened.locator("#picture").get_attribute("aria-label").startswith("conv1, unit 95,")
    tile = opened.pixels("#grid button:nth-child(96) canvas")
    assert np.abs(opened.pixels("#picture") - tile).max() < 60
    assert opened.locator("#picture").bounding_box()["width"] > 300
    opened.click("#after")
    opened.wait_for_function("document.getElementById('caption').textContent === 'conv1 · 96'")
    opened.click("#before")
    opened.wait_for_function("document.getElementById('caption').textContent === 'conv1 · 95'")
    opened.click("#close")
    assert not opened.locator("#large").is_visible()


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 800}}, {"viewport": {"width": 1600, "height": 900}}], indirect=True
)
def test_nothing_is_cut_off_whatever_the_width(opened):
    assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_it_follows_light_and_dark(opened):
    red = int(opened.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
    is_dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert red < 60 if is_dark else red > 200
