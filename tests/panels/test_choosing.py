"""A tile is chosen by a click or by the menu, and climbed large beside the gallery."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.jobs import worker
from cnnwidgets.panels.galleries import filter_gallery
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery


@pytest.fixture(autouse=True)
def small_and_short(monkeypatch):
    monkeypatch.setattr(filter_gallery, "SIZE", 24)
    monkeypatch.setattr(filter_gallery, "STEPS", 6)


@pytest.fixture
def gallery(net, opened):
    return opened(FilterGallery(net, "conv2", units=range(10, 15), size=16, steps=2))  # 3 columns, 2 rows, one empty


def menu(gallery):
    """The menu of tiles."""
    return gallery.controls._inputs["unit"]


def click(gallery, x, y, width=512.0, height=400.0):
    """What the page sends for a click at (x, y), each 0..1 of the picture, which is `width` x `height` on the page."""
    gallery.screen._events._dom_handlers(
        {
            "type": "click", "relativeX": x * width, "relativeY": y * height,
            "boundingRectWidth": width, "boundingRectHeight": height, "dataX": 0, "dataY": 0,
        }
    )  # fmt: skip


def rested(gallery, waiting):
    waiting(lambda: not gallery.enlarged.current.is_busy)
    gallery.enlarged.current.wait()


THIRD = 1 / 3
EDGE = 1e-4
PLACES = [
    (0, 0, 10), (THIRD / 2, 0.25, 10), (THIRD - EDGE, 0.5 - EDGE, 10), (THIRD + EDGE, 0, 11), (1 - EDGE, 0.1, 12),
    (1, 0, 12), (0, 0.5 + EDGE, 13), (THIRD - EDGE, 1 - EDGE, 13), (THIRD + EDGE, 1, 14),
    (THIRD / 2, 0.5 - 0.02, 10),  # in the caption, which belongs to its tile
]  # fmt: skip


@pytest.mark.parametrize("scale", [1.0, 0.37, 2.5])
@pytest.mark.parametrize(("x", "y", "unit"), PLACES)
def test_a_click_chooses_the_tile_under_it(gallery, monkeypatch, x, y, unit, scale):
    climbed = []
    monkeypatch.setattr(gallery.enlarged, "begin", lambda title, frames: climbed.append(title))
    click(gallery, x, y, 512 * scale, 400 * scale)
    assert gallery.unit == unit and climbed == [f"conv2 · {unit}"]
    assert menu(gallery).choice == unit


def test_a_click_on_an_empty_place_chooses_nothing(gallery):
    click(gallery, 0.9, 0.9)
    assert gallery.unit is None and worker().jobs == ()


def test_a_click_on_a_picture_without_a_size_chooses_nothing(gallery):
    click(gallery, 0, 0, 0.0, 0.0)
    assert gallery.unit is None


def test_a_chosen_unit_is_climbed_large(gallery, net, waiting):
    click(gallery, 0.5, 0.1)
    rested(gallery, waiting)
    *_, last = cw.ascend(net, cw.objectives.unit("conv2", 11), 24, 6, seed=0)
    shown = pictures.to_uint8(pictures.load_picture(gallery.enlarged.screen.data))
    assert np.array_equal(shown, pictures.to_uint8(last.pictures[0]))
    assert "conv2 · 11" in gallery.enlarged._title.value and "step 6 of 6" in gallery.enlarged._line.value
    assert gallery.state == "idle", "the gallery itself has not run"


def test_the_menu_does_what_a_click_does(gallery, waiting):
    assert [label for label, _ in menu(gallery).options] == ["choose", *map(str, range(10, 15))]
    menu(gallery).choice = 12
    assert gallery.unit == 12
    rested(gallery, waiting)
    assert not gallery.enlarged.screen.is_empty
    menu(gallery).choice = None
    assert gallery.unit is None


def test_the_chosen_tile_is_marked(gallery, waiting):
    gallery.run()
    assert "cnnw-chosen" not in gallery.screen.over.value
    gallery.unit = 11
    marked = gallery.screen.over.value.split("cnnw-chosen")
    assert len(marked) == 2 and marked[1].split("<b>")[1].startswith("11<")
    rested(gallery, waiting)


def test_choosing_the_same_tile_climbs_it_again(gallery, waiting):
    click(gallery, 0, 0)
    rested(gallery, waiting)
    first = gallery.enlarged.current.job
    click(gallery, 0, 0)
    assert gallery.enlarged.current.job is not first
    rested(gallery, waiting)


def test_another_choice_replaces_the_first(gallery, waiting, monkeypatch):
    monkeypatch.setattr(filter_gallery, "STEPS", 500)
    for unit in (10, 11, 12, 13):
        gallery.unit = unit
    waiting(lambda: len(worker().jobs) == 1)
    waiting(lambda: not gallery.enlarged.screen.is_empty)
    assert "13" in gallery.enlarged._title.value
    gallery.stop()
    assert worker().jobs == () and "stopped at step" in gallery.enlarged._line.value


def test_a_unit_may_be_chosen_while_the_gallery_runs(gallery, waiting):
    gallery.steps = 500
    gallery.start()
    waiting(lambda: gallery.frames_shown)
    click(gallery, 0.5, 0.1)
    waiting(lambda: not gallery.enlarged.screen.is_empty)
    assert gallery.state == "running" and gallery.unit == 11
    gallery.stop()


def test_stop_ends_the_large_picture_even_when_the_gallery_is_done(gallery, waiting, monkeypatch):
    monkeypatch.setattr(filter_gallery, "STEPS", 500)
    gallery.run()
    assert gallery._buttons["stop"].disabled
    gallery.unit = 10
    assert not gallery._buttons["stop"].disabled
    gallery._buttons["stop"].click()
    waiting(lambda: gallery._buttons["stop"].disabled)
    assert gallery.state == "done" and worker().jobs == ()


def test_pause_holds_the_large_picture_too(gallery, waiting, monkeypatch):
    monkeypatch.setattr(filter_gallery, "STEPS", 500)
    gallery.steps = 500
    gallery.start()
    gallery.unit = 10
    waiting(lambda: gallery.frames_shown and not gallery.enlarged.screen.is_empty)
    gallery.pause()
    waiting(lambda: gallery.state == "paused" and gallery.enlarged.current.job.state == "paused")
    gallery.resume()
    waiting(lambda: gallery.state == "running" and gallery.enlarged.current.job.state == "running")
    gallery.stop()


def test_another_layer_forgets_the_choice(gallery, waiting):
    gallery.unit = 10
    rested(gallery, waiting)
    gallery.layer = "conv1"
    assert gallery.unit is None and gallery.enlarged.screen.is_empty and menu(gallery).choice is None


def test_a_unit_that_does_not_exist_is_refused(gallery):
    with pytest.raises(BadTarget, match="no unit 20"):
        gallery.unit = 20
    assert gallery.unit is None and worker().jobs == ()


def test_a_unit_of_another_page_may_be_chosen(gallery, waiting):
    gallery.unit = 5
    rested(gallery, waiting)
    assert "conv2 · 5" in gallery.enlarged._title.value and menu(gallery).choice is None


def test_a_silent_tile_that_is_chosen_says_why(net, opened, waiting):
    gallery = opened(FilterGallery(net, "conv2", units=[2, 3], size=16, steps=2))
    notes = gallery.run().notes
    gallery.unit = 3
    assert gallery.status == f"Unit 3: {notes[1]}."
    rested(gallery, waiting)


def test_an_error_of_the_large_picture_is_said_beside_it(gallery, waiting, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no paint")
        yield

    monkeypatch.setattr(filter_gallery, "ascend", broken)
    gallery.unit = 10
    rested(gallery, waiting)
    assert "ValueError: no paint. The details are in panel.traceback." in gallery.enlarged._line.value
    assert "no paint" in gallery.traceback and gallery.state == "idle"


# In a photograph instead of from noise.


@pytest.fixture
def photo():
    return np.random.default_rng(1).random((24, 40, 3)).astype(np.float32)


def test_a_chosen_unit_is_brought_out_in_the_photograph(gallery, net, waiting, photo):
    gallery.unit = 11
    rested(gallery, waiting)
    gallery.photograph = photo
    rested(gallery, waiting)
    objective = cw.objectives.unit("conv2", 11)
    *_, frame = cw.accentuate(net, photo, objective)
    shown = pictures.to_uint8(pictures.load_picture(gallery.enlarged.screen.data))
    assert np.array_equal(shown, pictures.to_uint8(frame.pictures[0]))
    assert "conv2 · 11 in the photograph" in gallery.enlarged._title.value
    assert gallery.enlarged_from.value == "in your photograph"
    gallery.photograph = None
    rested(gallery, waiting)
    assert "photograph" not in gallery.enlarged._title.value
    assert gallery.enlarged_from.value == "from noise"


def test_the_menu_offers_samples_and_the_own_photograph(net, opened, waiting, photo):
    gallery = opened(FilterGallery(net, "conv2", size=16, steps=2, photograph=photo))
    assert gallery.enlarged_from.value == "in your photograph"
    name = cw.samples.sample_names()[0]
    gallery.enlarged_from.value = f"in the sample {name}"
    assert np.array_equal(gallery.photograph, cw.samples.sample(name))
    assert gallery.enlarged_from.value == f"in the sample {name}"
    gallery.enlarged_from.value = "from noise"
    assert gallery.photograph is None
    gallery.enlarged_from.value = "in your photograph"
    assert gallery.photograph is photo


def test_what_is_no_photograph_is_refused_and_the_old_one_stays(gallery, net, photo):
    gallery.photograph = photo
    with pytest.raises(BadPicture, match="no-such.jpg"):
        gallery.photograph = "no-such.jpg"
    assert gallery.photograph is photo
    assert "no-such.jpg" in gallery.status
    with pytest.raises(BadPicture):
        FilterGallery(net, "conv2", photograph=3)
