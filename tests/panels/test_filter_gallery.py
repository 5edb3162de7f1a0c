"""The gallery: the same pictures as the verb, settings that are traits, pages of units."""

import threading

import numpy as np
import pytest
import traitlets

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadModel, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.galleries import tile_gallery
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from tests.panels.pixels import on_screen

SETTINGS = {"units": range(4), "size": 16, "steps": 4}


@pytest.fixture
def gallery(net, opened):
    return opened(FilterGallery(net, "conv2", **SETTINGS))


# What it makes.


def test_it_makes_the_bytes_of_the_verb(gallery, net):
    made = gallery.run()
    expected = cw.visualize_units(net, "conv2", **SETTINGS)
    assert made.pictures.tobytes() == expected.pictures.tobytes()
    assert made.values.tobytes() == expected.values.tobytes()
    assert (made.units, made.notes) == (expected.units, expected.notes) and made is gallery.result


def test_every_keyword_of_the_verb_reaches_it(net, opened):
    settings = {"units": [7, 2], "size": (16, 24), "steps": 3, "recipe": "textbook", "seed": 5}
    gallery = opened(FilterGallery(net, "conv1", units=[5, 2], **{k: v for k, v in settings.items() if k != "units"}))
    assert {name: getattr(gallery, name) for name in settings if name != "units"} == {
        "size": (16, 24), "steps": 3, "recipe": "textbook", "seed": 5,
    }  # fmt: skip
    assert (gallery.layer, gallery.units) == ("conv1", (5, 2))
    expected = cw.visualize_units(net, "conv1", [5, 2], size=(16, 24), steps=3, recipe="textbook", seed=5)
    assert gallery.run().pictures.tobytes() == expected.pictures.tobytes()


def test_the_last_picture_on_the_page_holds_the_tiles_pixel_for_pixel(gallery):
    tiles = pictures.to_uint8(gallery.run().pictures)
    shown = on_screen(gallery)
    high = shown.shape[0] // 2  # two rows of two tiles, with a band for the caption under each
    for index, tile in enumerate(tiles):
        top, left = index // 2 * high, index % 2 * 16
        assert np.array_equal(shown[top : top + 16, left : left + 16], tile)
        assert high > 16


def test_a_bare_model_will_do(build, opened):
    gallery = opened(FilterGallery(build(), units=range(2), size=16, steps=1))
    assert gallery.layer == "conv2", "the last convolution, where none is named"
    assert gallery.run().pictures.shape == (2, 16, 16, 3)


def test_a_first_page_is_as_long_as_the_layer_allows(net, opened):
    assert opened(FilterGallery(net, "conv1", size=16)).units == tuple(range(6))
    assert opened(FilterGallery(net, "conv2", size=16)).units == tuple(range(16))


def test_a_grey_model_of_one_size_is_shown(opened):
    model = keras.Sequential(
        [
            keras.Input((12, 12, 1)),
            keras.layers.Conv2D(3, 3, name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(2),
        ]
    )
    gallery = opened(FilterGallery(model, "conv", steps=2))
    assert gallery.run().pictures.shape == (3, 12, 12, 1)
    assert on_screen(gallery).shape[-1] == 3 and gallery.controls._inputs["size"].disabled
    gallery.unit = 1
    gallery.stop()


def test_a_unit_that_never_fires_says_so(gallery):
    notes = gallery.run().notes
    assert notes[3].startswith("never fires: ") and notes[:3] == ("", "", "")
    assert notes[3] in gallery.screen.over.value and "1 of 4 units never fires; see its caption." in gallery.status


def test_next_units_are_offered_only_where_there_are_more(gallery):
    assert "Next units shows more of conv2" in gallery._advice()
    gallery.units = range(gallery.net.layer("conv2").units)
    assert "Next units" not in gallery._advice()


def inactive_for_no_visible_reason(build):
    """The small model with a unit 3 that subtracts two equal units: no bound on either shows that it never fires."""
    model = build()
    kernel, bias = model.get_layer("conv1").weights
    kernel.assign(kernel.numpy()[..., [0, 0, 2, 3, 4, 5]])
    bias.assign(bias.numpy()[[0, 0, 2, 3, 4, 5]])
    kernel = model.get_layer("conv2").weights[0]
    changed = kernel.numpy()
    changed[1, 1, :2, 3] = 1, -1
    kernel.assign(changed)
    return model


def test_silent_units_are_said_to_be_tried_again_and_the_curve_waits(build, opened):
    gallery = opened(FilterGallery(inactive_for_no_visible_reason(build), "conv2", units=[2, 3], size=16, steps=8))
    seen = []
    gallery._report.progress_line.observe(lambda change: seen.append(change["new"]), "value")
    phases = []
    frames = gallery._frames

    def slowly():
        for frame in frames():
            phases.append(frame.phase)
            if frame.phase:
                gallery._report.step(frame, gallery._record, gallery.progress, frame.phase, "")
            yield frame

    shares = []
    gallery.observe(lambda change: shares.append(change["new"]), "progress")
    gallery._frames = slowly
    gallery.run()
    assert shares == sorted(shares), "the run turns out longer than it began"
    assert {phase for phase in phases if phase} == {"retrying 1 inactive unit"}
    assert any("retrying 1 inactive unit" in line and "so far" in line for line in seen)
    assert len(gallery._record.objective) == 7 and len(gallery._record.snapshots) == 7


# What it refuses.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "nope"}, "no layer 'nope'"),
        ({"layer": 3}, "no layer 3"),
        ({"layer": "conv1", "units": [6]}, "no unit 6"),
        ({"layer": "conv1", "units": [-1]}, "no unit -1"),
        ({"layer": "conv1", "units": []}, "units must name"),
        ({"layer": "conv1", "units": 3}, "got 3"),
        ({"size": 0}, "0"),
        ({"size": "big"}, "big"),
        ({"steps": 0}, "got 0"),
        ({"steps": 4096}, "2048"),
        ({"recipe": "cake"}, "cake"),
        ({"seed": 0.5}, "got 0.5"),
    ],
)
def test_the_constructor_raises_what_the_verb_raises(net, arguments, message):
    settings = {"layer": "conv2", "units": range(2), **arguments}
    with pytest.raises(BadTarget) as by_panel:
        FilterGallery(net, **settings)
    with pytest.raises(BadTarget) as by_verb:
        cw.visualize_units(net, settings.pop("layer"), **settings)
    assert str(by_panel.value) == str(by_verb.value) and message in str(by_panel.value)


@pytest.mark.parametrize("net", [None, "squeezenet", keras.Sequential([keras.layers.Conv2D(3, 3)])])
def test_what_is_no_built_model_is_refused(net):
    with pytest.raises(BadModel):
        FilterGallery(net)


def test_a_refused_panel_leaves_no_widget_behind(net, page, living):
    with pytest.raises(BadTarget):
        FilterGallery(net, "nope")
    assert living() == []


def test_the_constructor_displays_nothing(net, opened, capfd, monkeypatch):
    import IPython.display

    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda *things, **_: shown.append(things))
    opened(FilterGallery(net, "conv1"))
    assert shown == [] and capfd.readouterr() == ("", "")


# Its settings are traits.


@pytest.mark.parametrize(
    ("name", "value"), [("layer", "conv1"), ("units", (4, 5)), ("size", 24), ("steps", 3), ("seed", 9),
                        ("recipe", "textbook")],
)  # fmt: skip
def test_a_setting_that_changes_at_rest_empties_the_panel(gallery, net, name, value):
    gallery.run()
    setattr(gallery, name, value)
    assert gallery.state == "idle" and gallery.screen.is_empty and gallery.result is None
    assert (gallery.progress, gallery.frames_shown) == (0, 0)
    made = gallery.run()
    settings = {"layer": "conv2", **SETTINGS, name: value}
    expected = cw.visualize_units(net, settings.pop("layer"), **settings)
    assert made.pictures.tobytes() == expected.pictures.tobytes()


def test_a_setting_that_changes_during_a_run_begins_it_again(gallery, waiting):
    gallery.steps = 2000
    gallery.start()
    waiting(lambda: gallery.frames_shown)
    gallery.layer = "conv1"
    assert gallery.state == "running" and gallery.layer == "conv1"
    waiting(lambda: gallery.result is not None)
    gallery.steps = 3
    waiting(lambda: gallery.state == "done")
    assert gallery._report.progress_line.value.count("done in") == 2  # to be read, and as the bar's text
    assert gallery.result.units == (0, 1, 2, 3)


def test_a_layer_with_fewer_units_begins_at_its_first(net, opened):
    gallery = opened(FilterGallery(net, "conv2", units=[18, 19], size=16))
    gallery.layer = "conv1"
    assert gallery.units == tuple(range(6))


@pytest.mark.parametrize(
    ("name", "bad"), [("layer", "nope"), ("units", [99]), ("units", []), ("size", 0), ("steps", 0), ("recipe", "cake"),
                      ("unit", 99)],
)  # fmt: skip
def test_a_bad_setting_is_refused_and_changes_nothing(gallery, name, bad):
    before = {trait: getattr(gallery, trait) for trait in ("layer", "units", "size", "steps", "seed", "recipe", "unit")}
    with pytest.raises((BadTarget, traitlets.TraitError)):
        setattr(gallery, name, bad)
    assert {trait: getattr(gallery, trait) for trait in before} == before
    assert gallery.run().units == (0, 1, 2, 3)


def test_a_control_sets_its_trait(gallery):
    gallery.controls._inputs["steps"].value = 7
    gallery.controls._inputs["seed"].value = -3
    gallery.controls._inputs["size"].value = 48
    gallery.controls._inputs["recipe"].value = "textbook"
    assert (gallery.steps, gallery.seed, gallery.size, gallery.recipe) == (7, -3, 48, "textbook")


def test_a_trait_sets_its_control(gallery):
    gallery.steps, gallery.seed, gallery.size, gallery.recipe = 2000, 12, 20, "textbook"
    inputs = gallery.controls._inputs
    assert {name: inputs[name].value for name in ("steps", "seed", "size", "recipe")} == {
        "steps": 2000, "seed": 12, "size": 20, "recipe": "textbook",
    }  # fmt: skip


def test_a_bad_value_of_a_control_goes_to_the_status_and_the_old_one_comes_back(opened):
    x = picture = keras.Input((None, None, 3), name="picture")
    for number in range(5):
        x = keras.layers.Conv2D(3, 3, strides=2, name=f"conv{number}")(x)  # needs 63 pixels
    model = keras.Model(picture, keras.layers.GlobalAveragePooling2D()(x), name="hungry")
    gallery = opened(FilterGallery(model, "conv4", size=64, steps=2))
    gallery.controls._inputs["size"].value = 48
    assert gallery.status and len(gallery.status) <= 300 and gallery.size == 64
    assert gallery.controls._inputs["size"].value == 64
    assert gallery.run().pictures.shape == (3, 64, 64, 3)


def test_a_picker_and_a_gallery_are_linked_by_their_layer(net, gallery, opened):
    picker = opened(cw.LayerPicker(net, "conv2"))
    traitlets.link((picker, "layer"), (gallery, "layer"))
    picker._list.value = "conv1"
    assert gallery.layer == "conv1"
    gallery.layer = "conv2"
    assert picker._list.value == "conv2"


def test_no_trait_of_ours_goes_to_the_page():
    for panel in (FilterGallery, cw.LayerPicker):
        kinds = [kind for kind in panel.__mro__ if issubclass(kind, traitlets.HasTraits)]
        ours = [kind for kind in kinds if kind.__module__.startswith("cnnwidgets")]
        assert [name for kind in ours for name in kind.class_own_traits(sync=True)] == []


def test_the_repr_is_one_short_line(gallery):
    assert repr(gallery) == "FilterGallery('small', idle)"
    for part in (gallery.screen, gallery.enlarged):
        assert len(repr(part)) < 60


# Pages of units.


def pages(gallery):
    return gallery.units, gallery._previous.disabled, gallery._next.disabled


def test_pages_are_turned_to_both_ends(net, opened):
    gallery = opened(FilterGallery(net, "conv2", units=range(8), size=16))
    assert pages(gallery) == (tuple(range(8)), True, False)
    gallery._next.click()
    assert pages(gallery) == (tuple(range(8, 16)), False, False)
    gallery._next.click()
    assert pages(gallery) == (tuple(range(16, 20)), False, True)
    assert "16 to 19 of 20" in gallery._page.value
    gallery._previous.click()
    gallery._previous.click()
    assert pages(gallery)[0] == tuple(range(8, 12)), "as many as are shown now"
    assert gallery.state == "idle"


def test_a_page_that_was_finished_is_shown_again(gallery, net):
    made = gallery.run()
    shown = gallery.screen.data
    gallery._next.click()
    assert gallery.screen.is_empty and gallery.result is None and gallery.state == "idle"
    gallery._previous.click()
    assert gallery.status.startswith("From the cache")
    assert gallery.screen.data == shown and not gallery.screen.is_empty
    assert gallery.result.pictures.tobytes() == made.pictures.tobytes()
    assert gallery.result.notes == made.notes and gallery.result.values.tobytes() == made.values.tobytes()
    assert not gallery._buttons["save"].disabled
    assert made.notes[3] in gallery.screen.over.value


def test_what_was_stopped_is_not_kept(gallery, waiting):
    gallery.steps = 2000
    gallery.start()
    waiting(lambda: gallery.frames_shown)
    gallery.stop()
    gallery._next.click()
    gallery._previous.click()
    assert gallery.screen.is_empty


def test_other_weights_are_not_answered_from_the_cache(build, opened):
    model = build()
    gallery = opened(FilterGallery(model, "conv1", units=[0], size=16, steps=2))
    gallery.run()
    model.get_layer("conv1").bias.assign(np.ones(6))
    gallery._next.click()
    gallery._previous.click()
    assert gallery.screen.is_empty


def test_without_a_cache_everything_else_works(gallery, monkeypatch):
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "")
    gallery.run()
    gallery._next.click()
    gallery._previous.click()
    assert gallery.screen.is_empty and gallery.state == "idle"


def test_weights_are_read_for_the_cache_alone_and_not_while_the_user_waits(gallery, net, monkeypatch):
    read, identity = [], type(net).identity
    monkeypatch.setattr(type(net), "identity", lambda net: read.append(threading.current_thread()) or identity(net))
    gallery.run()
    assert len(read) == 2 and threading.main_thread() not in read, "when the run begins to compute, and at its end"
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "")
    gallery.run()
    gallery._next.click()
    assert len(read) == 2


# What it says.


def test_an_empty_gallery_says_what_start_will_do(gallery):
    said = gallery.screen._empty.value
    assert "Start renders 4 pictures" in said and "conv2" in said and " s here" in said


def test_the_estimate_follows_the_machine(net, opened, monkeypatch):
    gallery = opened(FilterGallery(net, "conv2", size=128, steps=1000))
    monkeypatch.setattr(tile_gallery.SPEED, "measured", 1e9)
    slow = gallery._estimate()
    monkeypatch.setattr(tile_gallery.SPEED, "measured", 1e12)
    assert slow.endswith(" min") and gallery._estimate() == "18 s"


def test_a_tiny_layer_does_not_change_the_estimate_of_large_ones(gallery, monkeypatch):
    monkeypatch.setattr(tile_gallery.SPEED, "measured", 6e10)
    gallery.run()
    assert tile_gallery.SPEED.measured == 6e10
    monkeypatch.setattr(tile_gallery.SPEED, "least", 1.0)
    gallery.run()
    assert 0 < tile_gallery.SPEED.measured < 6e10


def test_captions_carry_unit_and_value(gallery):
    made = gallery.run()
    for unit in range(3):
        assert f"<b>{unit}</b><span>{made.values[unit]:.3g}</span>" in gallery.screen.over.value
