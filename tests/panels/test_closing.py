"""Nothing stays behind: no widget in the registry, no thread, no job, no panel in memory."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest

import cnnwidgets as cw
from cnnwidgets.jobs import worker
from cnnwidgets.panels.base import lifecycle
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery

SETTINGS = {"units": range(4), "size": 16, "steps": 3}


def test_a_closed_gallery_leaves_no_widget(net, page, living):
    for _ in range(20):
        gallery = FilterGallery(net, "conv1", **SETTINGS)
        assert len(living()) > 50, "the registry keeps what is not closed"
        gallery.close()
        assert living() == []


def test_a_gallery_that_has_run_leaves_no_widget(net, page, living, waiting):
    gallery = FilterGallery(net, "conv1", **SETTINGS)
    made = len(living())
    gallery.run()
    gallery.unit = 2
    gallery._buttons["code"].click()
    gallery.controls._more.value = True
    gallery.layer = "conv2"
    gallery.run()
    assert len(living()) == made, "widgets are made once and changed, not made anew"
    gallery.close()
    assert living() == []


def test_a_closed_picker_leaves_no_widget(net, page, living):
    picker = cw.LayerPicker(net)
    picker._search.value = "conv"
    assert living()
    picker.close()
    assert living() == []


def test_closing_during_a_run_ends_it(toy, reel, waiting):
    toy.reel = reel(10_000)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.frames_shown)
    toy.close()
    assert toy.state == "stopped"
    shown = toy.frames_shown
    waiting(lambda: worker().jobs == () and toy.reel.closed)
    waiting(lambda: not [t for t in threading.enumerate() if t.name == "cnnwidgets-publisher"])
    assert toy.frames_shown == shown


def test_closing_twice_is_harmless(net):
    gallery, picker = FilterGallery(net, "conv1", **SETTINGS), cw.LayerPicker(net)
    for _ in range(2):
        gallery.close()
        picker.close()


def test_at_rest_only_the_shared_worker_lives(net, opened):
    before = set(threading.enumerate())
    gallery = opened(FilterGallery(net, "conv1", **SETTINGS))
    gallery.run()
    gallery.unit = 1
    gallery.stop()
    assert {thread.name for thread in set(threading.enumerate()) - before} <= {"cnnwidgets-worker"}


def test_a_closed_panel_is_given_back(net):
    gallery = FilterGallery(net, "conv1", **SETTINGS)
    gallery.run()
    gallery.unit = 1
    gallery.stop()
    gallery.close()
    gone = weakref.ref(gallery)
    del gallery
    gc.collect()
    assert gone() is None


def test_a_hundred_settings_make_no_new_widget(net, page, living):
    gallery = FilterGallery(net, "conv1", **SETTINGS)
    made = len(living())
    for seed in range(100):
        gallery.seed = seed
    assert len(living()) == made
    gallery.close()


# A cell that is run again makes a new panel.


class Kernel:
    """What a notebook's kernel says of the cell that runs."""

    def __init__(self) -> None:
        self.cell, self.run = "", ""

    def get_parent(self, channel):
        return {"metadata": {"cellId": self.cell}, "header": {"msg_id": self.run}}


@pytest.fixture
def kernel(monkeypatch):
    kernel = Kernel()
    shell = type("Shell", (), {"kernel": kernel})()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(lifecycle, "_by_cell", {})
    monkeypatch.setattr(lifecycle, "_replaced", [])
    return kernel


def running_in(kernel, cell, run, toy_type, net, reel, opened):
    kernel.cell, kernel.run = cell, run
    toy = opened(toy_type(net))
    toy.reel = reel(100_000)
    toy.reel.open()
    toy.start()
    return toy


def test_a_cell_that_is_run_again_stops_what_it_had_begun(kernel, toy, net, reel, opened, waiting):
    first = running_in(kernel, "a", "1", type(toy), net, reel, opened)
    beside = running_in(kernel, "a", "1", type(toy), net, reel, opened)
    other = running_in(kernel, "b", "2", type(toy), net, reel, opened)
    assert [panel.state for panel in (first, beside, other)] == ["running"] * 3
    began = time.monotonic()
    again = running_in(kernel, "a", "3", type(toy), net, reel, opened)
    assert [panel.state for panel in (first, beside, other, again)] == ["stopped", "stopped", "running", "running"]
    assert time.monotonic() - began < 2 and len(worker().jobs) == 2


def test_a_cell_that_is_run_ten_times_keeps_its_panel_and_the_one_before(kernel, net, page, living):
    """The page may still send to the one before when the cell runs again; it is closed with the next run."""
    made = []
    for run in range(10):
        kernel.cell, kernel.run = "a", str(run)
        gallery = FilterGallery(net, "conv1", **SETTINGS)
        made.append(len(living()))
    assert made[1:] == [2 * made[0]] * 9
    kernel.cell, kernel.run = "b", "10"
    other = FilterGallery(net, "conv1", **SETTINGS)
    assert len(living()) == 2 * made[0]
    gallery.close()
    other.close()
    assert living() == []


def test_outside_a_notebook_nothing_is_stopped(toy, net, reel, opened):
    toy.reel = reel(100_000)
    toy.reel.open()
    toy.start()
    opened(type(toy)(net))
    assert toy.state == "running"
