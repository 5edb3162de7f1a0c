"""A gallery that has an atlas: the same pictures, captions and files, and only what is missing is climbed."""

import json
import shutil

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from cnnwidgets.visualize import units as units_

SETTINGS = {"size": 16, "steps": 4}


@pytest.fixture(scope="module")
def atlas(net, tmp_path_factory):
    """All of conv2's last batch, 16 to 19, and nothing else."""
    folder = tmp_path_factory.mktemp("atlas") / "a"
    return cw.render_atlas(net, folder, layers=["conv2"], units=[16], **SETTINGS)


@pytest.fixture(scope="module")
def whole(net, tmp_path_factory):
    return cw.render_atlas(net, tmp_path_factory.mktemp("atlas") / "whole", layers=["conv2"], **SETTINGS)


@pytest.fixture
def climbed(monkeypatch):
    """The units of each run that is begun."""
    begun = []
    whole_run = units_.UnitsPlan.whole_run

    def noting(self):
        begun.append(self.units)
        return whole_run(self)

    monkeypatch.setattr(units_.UnitsPlan, "whole_run", noting)
    return begun


def same_pixels(made, expected):
    return np.array_equal(pictures.to_uint8(made.pictures), pictures.to_uint8(expected.pictures))


def test_what_the_atlas_holds_is_shown_at_once_as_if_it_had_been_climbed(net, whole, opened, climbed, tmp_path):
    gallery = opened(FilterGallery(net, "conv2", range(6), **SETTINGS, atlas=whole))
    assert climbed == [] and gallery.state == "idle" and gallery.status.startswith("From the atlas")
    beside = opened(FilterGallery(net, "conv2", range(6), **SETTINGS))
    made = beside.run()
    assert same_pixels(gallery.result, made) and gallery.result.values.tobytes() == made.values.tobytes()
    assert gallery.result.notes == made.notes and made.notes[3].startswith("never fires")
    assert gallery.screen.data == beside.screen.data, "the same picture"
    assert gallery.screen.over.value == beside.screen.over.value, "the same captions"
    saved = [panel.save(tmp_path / f"{i}.png").read_bytes() for i, panel in enumerate((gallery, beside))]
    assert saved[0] == saved[1] == cw.rerun(saved[0], net), "the same file, recipe and all"
    assert gallery.snippet() == beside.snippet()


def test_only_what_is_missing_is_climbed(net, atlas, opened, climbed, tmp_path):
    gallery = opened(FilterGallery(net, "conv2", range(12, 20), **SETTINGS, atlas=atlas))
    assert gallery.status == "4 of 8 are from the atlas. Start renders the missing ones."
    assert gallery.screen.over.value.count("not rendered yet") >= 4 and climbed == []
    assert gallery._buttons["save"].disabled
    with pytest.raises(BadTarget, match="not rendered yet"):
        gallery.save(tmp_path / "half.png")
    made = gallery.run()
    assert climbed == [(12, 13, 14, 15)]
    expected = cw.visualize_units(net, "conv2", range(12, 20), **SETTINGS)
    assert same_pixels(made, expected) and made.values.tobytes() == expected.values.tobytes()
    assert made.units == expected.units and made.notes == expected.notes and not gallery._buttons["save"].disabled
    saved = gallery.save(tmp_path / "whole.png").read_bytes()
    assert cw.rerun(saved, net) == saved
    gallery.save(tmp_path / "run.gif")


def test_a_mixed_page_that_was_finished_is_shown_again(net, atlas, opened, climbed):
    gallery = opened(FilterGallery(net, "conv2", range(12, 20), **SETTINGS, atlas=atlas))
    made = gallery.run()
    gallery._previous.click()
    assert gallery.screen.is_empty
    gallery._next.click()
    assert same_pixels(gallery.result, made) and "the rest from the cache" in gallery.status
    rest = opened(FilterGallery(net, "conv2", range(16), **SETTINGS))
    rest.units = (12, 13, 14, 15)
    assert rest.result is not None, "what was climbed is kept like any other"
    assert len(climbed) == 1


def test_what_was_stopped_half_way_is_not_saved_as_whole(net, atlas, opened, tmp_path):
    gallery = opened(FilterGallery(net, "conv2", range(14, 18), **SETTINGS, atlas=atlas))
    gallery._keep(next(gallery._frames()))
    assert gallery.result.units == (14, 15, 16, 17)
    with pytest.raises(BadTarget, match="not rendered yet"):
        gallery.save(tmp_path / "half.png")


def test_pages_are_turned_in_the_atlas(net, whole, opened, climbed):
    gallery = opened(FilterGallery(net, "conv2", range(8), **SETTINGS, atlas=whole))
    for page in (range(8, 16), range(16, 20)):
        gallery._next.click()
        assert gallery.result.units == tuple(page) and gallery.status.startswith("From the atlas")
    assert climbed == []
    gallery.unit = 17
    gallery.stop()
    assert gallery.enlarged is not None


def test_start_paints_a_page_of_the_atlas_again(net, whole, opened, climbed):
    gallery = opened(FilterGallery(net, "conv2", range(4), **SETTINGS, atlas=whole))
    before = gallery.result
    assert same_pixels(gallery.run(), before) and climbed == [(0, 1, 2, 3)]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"steps": 5}, "its steps is 4, not 5"), ({"size": 24}, "its size is 16 x 16, not 24 x 24"),
     ({"seed": 7}, "its seed is 0, not 7"), ({"recipe": "textbook"}, "its recipe is fourier, not textbook"),
     ({"layer": "conv1"}, "it has no layer 'conv1'")],
)  # fmt: skip
def test_an_atlas_of_other_settings_is_not_used_and_the_status_says_why(net, whole, opened, change, message):
    settings = {"layer": "conv2", "units": range(4), **SETTINGS, **change}
    gallery = opened(FilterGallery(net, **settings, atlas=whole))
    assert gallery.status == f"The atlas is not used: {message}." and gallery.screen.is_empty and gallery.result is None
    assert same_pixels(gallery.run(), cw.visualize_units(net, **settings))
    gallery.layer = "conv2"
    for name, value in SETTINGS.items():
        setattr(gallery, name, value)
    gallery.seed, gallery.recipe = 0, "fourier"
    assert gallery.status.startswith("From the atlas")


def test_an_atlas_of_other_weights_is_not_used(build, whole, opened):
    model = build()
    model.get_layer("conv1").bias.assign(np.ones(6))
    gallery = opened(FilterGallery(model, "conv2", range(4), **SETTINGS, atlas=whole))
    assert "in weights, layers" in gallery.status and gallery.result is None


def test_an_atlas_is_a_trait_that_is_set_and_taken_away(net, whole, opened):
    gallery = opened(FilterGallery(net, "conv2", range(4), **SETTINGS))
    gallery.atlas = whole
    assert gallery.result.units == (0, 1, 2, 3)
    gallery.atlas = None
    assert gallery.screen.is_empty
    for wrong in ("atlas.zarr", 3):
        with pytest.raises(BadTarget, match="open_atlas"):
            gallery.atlas = wrong
        with pytest.raises(BadTarget, match="open_atlas"):
            FilterGallery(net, "conv2", atlas=wrong)


@pytest.mark.parametrize("damage", ["cut", "lost", "words"])
def test_a_damaged_atlas_is_said_or_painted_over_and_never_shown(net, whole, opened, tmp_path, damage):
    copy = shutil.copytree(whole._where, tmp_path / "a")
    (folder,) = copy.glob("*-conv2")
    if damage == "words":
        content = json.loads((folder / "zarr.json").read_text())
        content["attributes"]["notes"] = "<b>evil</b>"
        (folder / "zarr.json").write_text(json.dumps(content))
    elif damage == "cut":
        (folder / "c/0/0/0/0").write_bytes(b"cut")
    else:
        (folder / "c/0/0/0/0").unlink()
    gallery = opened(FilterGallery(net, "conv2", range(4), **SETTINGS, atlas=cw.open_atlas(copy)))
    assert gallery.result is None and ("damaged" in gallery.status or damage == "lost")
    assert same_pixels(gallery.run(), cw.visualize_units(net, "conv2", range(4), **SETTINGS))


def test_an_explorer_hands_its_atlas_on(net, whole, opened):
    explorer = opened(cw.Explorer(net, np.zeros((32, 32, 3), np.uint8), layer="conv2", atlas=whole))
    assert explorer.panel.atlas is whole
    explorer.panel.size, explorer.panel.steps = 16, 4
    assert explorer.result.units == tuple(range(16)) and explorer.status.startswith("From the atlas")
    with pytest.raises(BadTarget, match="open_atlas"):
        cw.Explorer(net, np.zeros((32, 32, 3), np.uint8), atlas="here")
