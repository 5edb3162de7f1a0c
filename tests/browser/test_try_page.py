"""The page "Try it without installing", small but built by the package, in a real Chromium that has no network."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.own_page import OwnPage, check_policy, opened_in

PROJECT = Path(__file__).parent.parent.parent
TABS = ["Filters", "Feature maps", "Where it looks", "Which units", "DeepDream", "Classes", "Fool it"]
EVIL = "</script><script>document.title='fired'</script><img src=x onerror=alert(1)>"

BUILD = """
import json, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1] + "/docs", sys.argv[1]]
from try_page import build, views
here = Path(sys.argv[2])
amount = views.Amount(networks=("squeezenet",), units=4, steps=3, frames=3, side=96, methods=("grad_cam",))
page = build.build(here / "page", here / "kept", amount)
(data,) = (json.loads(file.read_text()) for file in (here / "kept").glob("*.json"))
views.network_views = None  # nothing is computed twice
assert build.build(here / "page", here / "kept", amount) == page
one = data["views"]
evil = one | {"title": sys.argv[3], "layer": sys.argv[3], "filters": one["filters"] | {"notes": [sys.argv[3]] * 4}}
both = {"photographs": data["photographs"], "networks": {"squeezenet": one, "evil": evil}}
(here / "try.html").write_text(build.page_of(both), encoding="utf-8")
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("try")
    subprocess.run([sys.executable, "-c", BUILD, str(PROJECT), str(folder), EVIL], check=True)
    return folder / "try.html"


class Opened(OwnPage):
    """The page, and how its test looks at it."""

    def choose(self, tab: str) -> None:
        self.page.get_by_role("tab", name=tab, exact=True).click()

    def wait_painted(self, selector: str) -> None:
        """Wait until every such canvas is painted."""
        self.page.wait_for_function(
            "s => { const all = [...document.querySelectorAll(s)]; return all.length && all.every("
            "c => c.getContext('2d').getImageData(1, 1, 1, 1).data[3] === 255); }", arg=selector,
        )  # fmt: skip

    def pixels(self, selector: str) -> str:
        return self.page.evaluate("s => document.querySelector(s).toDataURL()", selector)

    @property
    def status(self) -> str:
        return self.page.inner_text("#status")

    @property
    def focused(self) -> str:
        return self.page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''")


@pytest.fixture
def opened(browser: Browser, file: Path, request: pytest.FixtureRequest) -> Iterator[Opened]:
    with opened_in(browser, file, Opened, request) as opened:
        yield opened


def test_the_policy_stops_what_is_not_ours(opened):
    check_policy(opened)


def test_every_view_is_painted_for_both_photographs_and_networks(opened):
    assert opened.get_by_role("tab").all_inner_texts() == TABS
    for photograph in ("chelsea", "coffee"):
        opened.get_by_label(photograph, exact=True).check()
        for tab in TABS:
            opened.choose(tab)
            opened.wait_painted("#view canvas")
    pictures = [opened.pixels("#view canvas")]
    opened.get_by_label("chelsea", exact=True).check()
    opened.wait_painted("#view canvas")
    assert opened.pixels("#view canvas") not in pictures, "each photograph has its own views"


def test_the_names_of_a_network_are_no_markup(opened):
    opened.locator("input[value=evil]").check()
    for tab in TABS:
        opened.choose(tab)
    opened.choose("Filters")
    opened.locator(".tiles button").first.click()
    assert EVIL in opened.inner_text("#unit-page") and EVIL in opened.inner_text("#unit-title")
    assert "fired" not in opened.title() and opened.locator("img").count() == 0
    assert opened.locator("script").count() == 2


def test_a_slider_and_start_go_through_the_frames(opened):
    opened.wait_painted("#view canvas")
    last = opened.pixels("#view canvas")
    slider = opened.get_by_role("slider", name="Frame of the run")
    slider.focus()
    opened.keyboard.press("Home")
    opened.wait_for_function("old => document.querySelector('#view canvas').toDataURL() !== old", arg=last)
    assert slider.get_attribute("aria-valuetext").startswith("step 1 of 3")
    opened.get_by_role("button", name="Start").click()
    opened.wait_for_function("old => document.querySelector('#view canvas').toDataURL() === old", arg=last)
    opened.wait_for_function("document.querySelector('.player button').textContent === 'Start'")
    assert slider.input_value() == slider.get_attribute("max")


def test_a_pointer_or_keys_read_the_numbers(opened, file):
    opened.choose("Feature maps")
    canvas = opened.locator(".maps canvas").first
    canvas.hover(position={"x": 1, "y": 1})
    assert "row 0, column 0: activation " in opened.status
    kept = json.loads(next((file.parent / "kept").glob("*.json")).read_text())
    first = kept["views"]["shots"]["chelsea"]["maps"]["cells"][0][0][0]
    assert float(opened.status.rpartition(" ")[2]) == first
    canvas.focus()
    before = opened.status
    opened.keyboard.press("ArrowRight")
    assert opened.status != before and "row " in opened.status
    opened.choose("Where it looks")
    opened.locator("#view canvas").first.hover()
    assert "% of the largest evidence" in opened.status
    opened.choose("Which units")
    opened.locator(".rows button").first.hover()
    assert opened.status.startswith("fire9_concat, unit ")


def test_it_is_used_by_keys_alone(opened):
    opened.get_by_role("tab", name="Filters").focus()
    for key, tab in {"ArrowRight": "Feature maps", "End": "Fool it", "Home": "Filters"}.items():
        opened.keyboard.press(key)
        assert opened.focused == tab
        assert opened.get_by_role("tab", selected=True).inner_text() == tab
    names = opened.locator(".tiles button").all_inner_texts()
    opened.locator(".tiles button").first.focus()
    opened.keyboard.press("ArrowRight")
    assert opened.focused == names[1] and names[1] in opened.status
    opened.keyboard.press("Enter")
    assert opened.locator("#unit").is_visible() and opened.inner_text("#unit-title").endswith(names[1])
    opened.get_by_role("button", name="Next unit").press("Enter")
    assert opened.inner_text("#unit-title").endswith(names[2])
    opened.keyboard.press("Escape")
    opened.wait_for_function(  # the browser focuses what it had before, then the page the unit that was shown last
        "name => !document.querySelector('#unit').open && document.activeElement.innerText === name", arg=names[2]
    )


def test_everything_has_a_name_for_a_screen_reader(opened):
    for tab in TABS:
        opened.choose(tab)
        nameless = opened.evaluate(
            "[...document.querySelectorAll('button, input, canvas, [role=img]')].filter(e =>"
            " !(e.ariaLabel || e.innerText || e.labels?.length && e.labels[0].innerText)).length"
        )
        assert nameless == 0, tab
    assert opened.get_by_role("tabpanel").get_attribute("aria-labelledby") == "tab-6"


@pytest.mark.parametrize(
    "opened", [{"viewport": {"width": 390, "height": 800}}, {"viewport": {"width": 1600, "height": 900}}], indirect=True
)
def test_nothing_is_cut_off_whatever_the_width(opened):
    for tab in TABS:
        opened.choose(tab)
        assert opened.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab


@pytest.mark.parametrize("opened", [{"color_scheme": "dark"}, {"color_scheme": "light"}], indirect=True)
def test_it_follows_light_and_dark(opened):
    red = int(opened.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]"))
    is_dark = opened.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    assert red < 60 if is_dark else red > 200
