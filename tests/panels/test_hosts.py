"""Panels in kernels and pages that are difficult: threads that cannot send, buttons that lose the focus."""

import contextvars
import threading

import pytest


@pytest.fixture
def started(toy, reel, waiting):
    """A panel whose run is shown."""
    toy.reel = reel(10_000)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.frames_shown)
    return toy


@pytest.fixture
def focused(monkeypatch):
    """The labels of the buttons that were given the focus, and whether Stop was still enabled then."""
    found = []
    from ipywidgets import Button

    monkeypatch.setattr(Button, "focus", lambda button: found.append(button.description))
    return found


def test_the_focus_goes_from_stop_to_start(started, focused, waiting):
    started._buttons["stop"].click()
    waiting(lambda: started.state == "stopped")
    assert started._buttons["stop"].disabled and focused == ["Start"]
    started.start()
    started.stop()
    assert focused == ["Start"], "nobody pressed Stop, so the focus is somewhere else"


@pytest.mark.parametrize("is_seen", [True, False])
def test_a_run_by_keyboard_keeps_the_focus_however_soon_it_ends(toy, reel, focused, monkeypatch, is_seen):
    """A short run ends before the page has shown a frame; its end rebuilds the panel all the same."""
    monkeypatch.setattr(toy.shown_in, "refresh", lambda: toy._buttons["start"].set_state({"_view_count": 1}))
    toy.reel = reel(1)
    toy.reel.open()
    toy._buttons._heard({"screenX": 0, "screenY": 0})
    toy._run.is_watched = is_seen
    toy.run()
    assert focused == ["Start"]


def test_a_kernel_that_sends_only_in_the_context_of_a_cell_is_served(page, toy, reel, waiting, monkeypatch):
    """As ipykernel 7.0, where the cell is a context variable that no thread has."""
    cell = contextvars.ContextVar("cell")
    sends = page.send
    monkeypatch.setattr(page, "send", lambda comm, *args, **more: cell.get() and sends(comm, *args, **more))
    cell.set("a cell")
    toy.reel = reel(3)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state not in ("running", "paused"))
    assert toy.state == "done" and toy.frames_shown


def test_a_run_that_can_send_nothing_ends_as_an_error(page, toy, reel, waiting, monkeypatch):
    main, sends = threading.current_thread(), page.send

    def send(comm, *args, **more):
        if threading.current_thread() is not main:
            raise LookupError("no parent in this thread")
        sends(comm, *args, **more)

    toy.reel = reel(10_000)
    toy.reel.open()
    monkeypatch.setattr(page, "send", send)
    toy.start()
    waiting(lambda: toy.state == "error")
    assert "no parent in this thread" in toy.status and "LookupError" in toy.traceback
