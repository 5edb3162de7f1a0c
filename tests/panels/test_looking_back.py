"""The scrubber through the frames of the last run, and the picture that stays in a saved notebook."""

import base64

import ipywidgets as widgets
import numpy as np
import pytest

from cnnwidgets import pictures
from cnnwidgets.panels.base.cell_output import CellOutput, _refresh_outdated
from cnnwidgets.panels.base.scrubber import Scrubber
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from tests.panels.pixels import on_screen


def slide(panel, index):
    panel._scrubber._slider.value = index


@pytest.fixture
def done(toy, reel):
    toy.reel = reel(6)
    toy.reel.open()
    toy.run()
    return toy


def test_there_is_nothing_to_look_back_at_before_and_during_a_run(toy, reel, waiting):
    assert toy._scrubber.layout.display == "none"
    toy.reel = reel(6)
    toy.start()
    toy.reel.let(3)
    waiting(lambda: toy.reel.made == 3)
    assert toy._scrubber.layout.display == "none"
    toy._stop_soon()
    toy.reel.open()
    toy._run.wait()
    assert toy._scrubber.layout.display == ""


def test_moving_the_slider_shows_an_earlier_step_and_says_which(done, shown_at, texts):
    slide(done, 2)
    assert np.abs(on_screen(done).astype(int) - pictures.to_uint8(shown_at(3))).max() <= 1
    assert any("step 3 of 6" in text for text in texts(done._scrubber))
    slide(done, 5)
    np.testing.assert_array_equal(on_screen(done), pictures.to_uint8(shown_at(6)))
    assert any("the end" in text for text in texts(done._scrubber))


def test_looking_back_changes_neither_the_result_nor_what_is_saved(done, shown_at, tmp_path):
    slide(done, 0)
    assert done.result.step == 6
    saved = pictures.load_picture(done.save(tmp_path / "last.png"))
    np.testing.assert_array_equal(pictures.to_uint8(saved), pictures.to_uint8(shown_at(6)))


def test_a_new_run_forgets_the_moments_of_the_last(done, reel):
    done.reel = reel(3)
    done.reel.open()
    done.run()
    assert len(done._scrubber._words) == 3


def test_the_captions_of_an_earlier_moment_are_its_own(net, opened):
    gallery = opened(FilterGallery(net, "conv2", [0, 1], size=32, steps=8))
    last = gallery.run()
    slide(gallery, 0)
    first = gallery._record.snapshots[0]
    assert f"{first.values[0]:.3g}" in gallery.screen.over.value
    assert on_screen(gallery).shape == (35, 64, 3), "as high as with captions, so that nothing moves"
    slide(gallery, 7)
    assert f"{last.values[0]:.3g}" in gallery.screen.over.value


def test_one_moment_alone_is_no_way_back():
    scrubber = Scrubber(print)
    scrubber.offer(["the end"])
    assert scrubber.layout.display == "none"


def test_a_message_from_outside_cannot_ask_for_a_moment_that_there_is_not():
    moved = []
    scrubber = Scrubber(moved.append)
    scrubber.offer(["step 1", "the end"])
    scrubber._slider.max = 10**9
    scrubber._slider.value = 10**6
    assert moved == []


def test_the_output_of_a_panel_holds_its_picture_beside_the_widget(done, shown_at):
    bundle = done._repr_mimebundle_()
    assert {"image/png", "text/plain", "application/vnd.jupyter.widget-view+json"} <= set(bundle)
    still = pictures.load_picture(base64.b64decode(bundle["image/png"]))
    np.testing.assert_array_equal(pictures.to_uint8(still), pictures.to_uint8(shown_at(6)))


def test_an_empty_panel_has_no_picture_to_keep(toy):
    assert "image/png" not in toy._repr_mimebundle_()


class Cell:
    """Notes what is shown under it."""

    def __init__(self):
        self.shown = {}

    def display(self, bundle, raw, display_id):
        assert raw
        self.shown[display_id] = bundle


@pytest.fixture
def cell(monkeypatch):
    cell = Cell()
    monkeypatch.setattr("IPython.display.display", cell.display)
    monkeypatch.setattr("IPython.display.update_display", cell.display)
    return cell


def test_the_end_of_a_run_updates_every_place_where_the_panel_stands(toy, reel, cell):
    toy._ipython_display_()
    toy._ipython_display_()
    assert [("image/png" in bundle) for bundle in cell.shown.values()] == [False, False]
    toy.reel = reel(2)
    toy.reel.open()
    toy.run()
    assert [("image/png" in bundle) for bundle in cell.shown.values()] == [True, True]
    assert [bundle["text/plain"] for bundle in cell.shown.values()] == ["Toy('small', done)"] * 2


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_an_output_tells_the_state_that_the_run_came_to(toy, reel, cell, waiting, error):
    toy._ipython_display_()
    toy.reel = reel(9, error, 3)
    toy.reel.let(2)
    toy.start()
    waiting(lambda: toy.frames_shown)
    assert repr(toy) == "Toy('small', running)"
    if error is None:
        toy._stop_soon()
    toy.reel.let(1)
    state = "stopped" if error is None else "error"
    waiting(lambda: toy.state == state)
    assert [bundle["text/plain"] for bundle in cell.shown.values()] == [f"Toy('small', {state})"]


def test_an_output_that_cannot_be_kept_is_an_error_of_the_run(toy, reel, waiting, monkeypatch):
    monkeypatch.setattr(CellOutput, "refresh", lambda self: 1 / 0)
    toy.reel = reel(2)
    toy.reel.open()
    toy.start()
    waiting(lambda: toy.state == "error")
    assert "division by zero" in toy.status and repr(toy) == "Toy('small', error)"


def test_what_changes_under_a_readers_hand_waits_until_another_cell_has_run(toy, reel, cell, monkeypatch):
    later = []
    monkeypatch.setattr(CellOutput, "refresh_later", lambda self: later.append(self))
    toy._ipython_display_()
    toy._run.acknowledge(1)  # a page watches
    toy.reel = reel(2)
    toy.reel.open()
    toy._begin_again()
    toy._run.wait()
    assert later == [toy._output]
    assert ["image/png" in bundle for bundle in cell.shown.values()] == [False]


def test_an_output_that_waits_is_shown_after_the_next_cell_and_only_once(cell, monkeypatch):
    class Events:
        callbacks = {"post_run_cell": []}

        def register(self, name, function):
            self.callbacks[name].append(function)

    class Shell:
        events = Events()

    monkeypatch.setattr("IPython.get_ipython", lambda: Shell)
    numbers = iter(range(9))

    class Counted(widgets.VBox):
        def _repr_mimebundle_(self, **options):
            return {"text/plain": str(next(numbers))}

    output = CellOutput(Counted())
    output.display()
    output.refresh_later()
    output.refresh_later()
    assert [bundle["text/plain"] for bundle in cell.shown.values()] == ["0"]
    for callback in Shell.events.callbacks["post_run_cell"]:
        callback()
    assert [bundle["text/plain"] for bundle in cell.shown.values()] == ["1"]
    _refresh_outdated()
    assert [bundle["text/plain"] for bundle in cell.shown.values()] == ["1"]


def test_a_closed_panel_leaves_its_output_alone(toy, reel, cell):
    toy._ipython_display_()
    toy.close()
    toy._output.refresh()
    assert len(cell.shown) == 1 and "image/png" not in next(iter(cell.shown.values()))


def test_an_output_that_is_shown_again_and_again_leaves_no_widget(net, page, living, cell):
    panel = FilterGallery(net, "conv2", [0], size=32, steps=1)
    panel._ipython_display_()
    panel.run()
    before = len(living())
    for _ in range(5):
        panel._output.refresh()
    assert len(living()) == before
    panel.close()
    assert living() == []
