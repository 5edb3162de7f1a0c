"""A button that is disabled hands the focus on; a panel that the page rebuilds gets it back where keys are used."""

import ipywidgets as widgets
import pytest

from cnnwidgets.panels.base import focus, lifecycle, run_buttons
from cnnwidgets.panels.base.run_buttons import LOOKS, RunButtons


@pytest.fixture
def focused(monkeypatch):
    """The descriptions of what was given the focus."""
    given = []
    monkeypatch.setattr(widgets.DOMWidget, "focus", lambda widget: given.append(widget.description))
    return given


@pytest.fixture
def row():
    made = RunButtons(dict.fromkeys(LOOKS, lambda: None))
    yield made
    made.close()


@pytest.mark.parametrize("name", ["pause", "stop", "save"])
def test_a_button_that_was_pressed_hands_the_focus_to_start(row, focused, name):
    row.show(True, False, True, True)
    row[name].click()
    row.show(False, False, False, False)
    assert focused == ["Start"] and row[name].disabled
    row.show(True, False, True, True)
    row.show(False, False, False, False)
    assert focused == ["Start"], "it has it already"


def test_what_was_not_pressed_last_takes_the_focus_from_nobody(row, focused):
    row.show(True, False, True, True)
    row["stop"].click()
    row["code"].click()
    row.show(False, False, False, False)
    assert focused == []


def test_a_button_that_is_disabled_itself_is_passed_over(focused):
    first, second, third = (widgets.Button(description=name) for name in "abc")
    focus.watch(first)
    second.disabled = True
    first.click()
    focus.set_disabled(first, True, second, third)
    assert focused == ["c"] and first.disabled
    focus.set_disabled(first, False, third)
    assert focused == ["c"] and not first.disabled


def page_shows(row, *counts):
    """What the page sends when it rebuilds a panel."""
    for count in counts:
        row["start"].set_state({"_view_count": count})


@pytest.mark.parametrize("counts", [(0, 1), (2, 1)])
@pytest.mark.parametrize(("x", "given"), [(0, ["Start"]), (640, [])])
def test_only_keys_bring_the_focus_back_once_the_page_has_rebuilt_the_panel(row, focused, x, given, counts):
    page_shows(row, 1)
    row._heard({"screenX": x, "screenY": x})
    row.keep_focus()
    assert focused == [], "the old buttons would get it"
    page_shows(row, *counts)
    assert focused == given
    page_shows(row, *counts)
    assert focused == given, "a page that is loaded later takes it from nobody"


def test_a_page_that_comes_back_much_later_is_given_no_focus(row, focused, monkeypatch):
    monkeypatch.setattr(run_buttons, "REBUILT", 0.0)
    page_shows(row, 1)
    row._heard({"screenX": 0, "screenY": 0})
    row.keep_focus()
    page_shows(row, 0, 1)
    assert focused == []


def test_the_page_is_told_to_stop_counting_before_a_button_is_closed():
    made = RunButtons(dict.fromkeys(LOOKS, lambda: None))
    start, told = made["start"], []
    start.observe(lambda change: told.append((change["new"], start.comm is not None)), "_view_count")
    lifecycle.close_whole(made)
    assert told == [(None, True)]
