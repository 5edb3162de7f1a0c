"""A button that is disabled hands the focus on; a panel that the page builds anew gets it back where keys are used."""

from __future__ import annotations

import time

import ipywidgets as widgets
import pytest

from cnnwidgets.panels.base import focus
from cnnwidgets.panels.base.run_buttons import LOOKS, RunButtons


@pytest.fixture
def focused(monkeypatch):
    """The descriptions of what was given the focus."""
    given = []
    monkeypatch.setattr(widgets.DOMWidget, "focus", lambda widget: given.append(widget.description))
    monkeypatch.setattr(focus, "REBUILT", 0.01)
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


@pytest.mark.parametrize(("x", "given"), [(0, ["Start"]), (640, [])])
def test_only_keys_bring_the_focus_back_after_a_run(row, focused, x, given):
    row._heard({"screenX": x, "screenY": x})
    row.give_focus_back()
    time.sleep(0.1)
    assert focused == given


def test_a_panel_that_was_closed_meanwhile_gets_no_focus(focused):
    made = RunButtons(dict.fromkeys(LOOKS, lambda: None))
    made._heard({"screenX": 0, "screenY": 0})
    made.give_focus_back()
    made["start"].close()
    made.close()
    time.sleep(0.1)
    assert focused == []
