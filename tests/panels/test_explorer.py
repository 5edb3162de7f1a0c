"""The Explorer: one choice of network, picture, layer, unit and class for all its panels."""

from __future__ import annotations

import io
from datetime import UTC, datetime

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras
from cnnwidgets.panels.explorer import photographs
from cnnwidgets.panels.explorer.tabs import KINDS
from cnnwidgets.samples import sample

L = keras.layers
TITLES = [kind.title for kind in KINDS]
PICTURE = np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)


@pytest.fixture
def explorer(net, opened):
    return opened(cw.Explorer(net, PICTURE))


@pytest.fixture(scope="module")
def two_pictures():
    """A model of two pictures with a shared encoder."""
    keras.utils.set_random_seed(1)
    picture = L.Input((16, 16, 3))
    encoder = keras.Model(picture, L.Conv2D(4, 3, activation="relu", name="conv")(picture), name="encoder")
    left, right = L.Input((16, 16, 3), name="left"), L.Input((16, 16, 3), name="right")
    pool = L.GlobalAveragePooling2D()
    return keras.Model([left, right], L.Dense(1)(pool(encoder(left)) * pool(encoder(right))), name="siamese")


def uploaded(explorer, data, name="cat.png"):
    menu = explorer._photographs
    file = {"name": name, "type": "image/png", "size": len(data), "content": data, "last_modified": datetime.now(UTC)}
    menu._upload.set_trait("value", (file,))
    return menu._line.value


def png(array):
    out = io.BytesIO()
    PIL.Image.fromarray((array * 255).astype(np.uint8)).save(out, "png")
    return out.getvalue()


def test_only_the_panel_in_front_is_made(explorer):
    assert list(explorer.panels) == ["Filters"] and explorer.panel.layer == explorer.layer == "conv2"
    explorer.tab = "DeepDream"
    assert list(explorer.panels) == ["Filters", "DeepDream"] and explorer.panel is explorer.panels["DeepDream"]
    explorer._stage.selected_index = 0
    assert explorer.tab == "Filters"


@pytest.mark.parametrize("title", TITLES)
def test_every_tab_runs_and_saves_and_writes_its_code(explorer, title, tmp_path):
    explorer.tab = title
    panel = explorer.panel
    if "steps" in panel.trait_names():
        panel.steps = 4
    result = explorer.run()
    assert explorer.state == panel.state == "done" and result is not None and explorer.result == result
    assert explorer.progress == 1 and explorer.frames_shown >= 1 and explorer.status == panel.status
    assert explorer.save(tmp_path / "it.png").stat().st_size > 100
    assert "cw." in explorer.snippet()


def test_state_and_result_are_those_of_the_tab_in_front(explorer):
    explorer.tab = "Feature maps"
    explorer.run()
    assert explorer.state == "done"
    explorer.tab = "DeepDream"
    assert explorer.state == "idle" and explorer.result is None
    explorer.tab = "Feature maps"
    assert explorer.state == "done" and "conv2" in explorer.result


def test_a_layer_chosen_in_the_rail_is_chosen_in_every_panel(explorer):
    explorer._choice_of_layer.list.layer = "conv1"
    assert explorer.layer == "conv1" and explorer.panel.layer == "conv1"
    for title in ("Feature maps", "Where it looks"):
        explorer.tab = title
        assert explorer.panel.layer == "conv1"


def test_a_layer_chosen_in_a_panel_is_chosen_in_the_rail_and_the_others(explorer):
    explorer.tab = "Feature maps"
    explorer.panel.layer = "conv1"
    assert explorer.layer == explorer._choice_of_layer.list.layer == explorer._choice_of_layer.map.layer == "conv1"
    explorer.tab = "Filters"
    assert explorer.panel.layer == "conv1"


def test_a_unit_chosen_in_a_panel_is_found_in_the_gallery_on_its_page(explorer):
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel._choose(18)
    assert explorer.unit == 18
    explorer.tab = "Filters"
    assert explorer.panel.unit == 18 and 18 in explorer.panel.units
    explorer.layer = "conv1"
    assert explorer.unit is None, "another layer has other units"


def test_which_units_shares_layer_unit_class_and_picture(explorer):
    explorer.layer, explorer.target = "conv1", 2
    explorer.tab = "Which units"
    panel = explorer.panel
    assert (panel.layer, panel.target) == ("conv1", 2)
    explorer.run()
    panel.unit = panel.units[1]
    assert explorer.unit == panel.units[1]
    explorer.tab = "Filters"
    assert explorer.panel.layer == "conv1" and explorer.panel.unit == panel.unit
    explorer.layer = "conv2"
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel.unit = 7
    explorer.picture = other = PICTURE[:, ::-1].copy()
    explorer.tab = "Which units"
    assert (panel.layer, panel.unit) == ("conv2", 7) and panel.picture is other
    panel.target = 1
    assert explorer.target == 1
    panel.stop()


def test_a_class_chosen_in_one_place_is_chosen_everywhere(explorer):
    explorer.tab = "Where it looks"
    explorer.panel.target = 2
    assert explorer.target == 2
    explorer.tab = "Fool it"
    assert explorer.panel.target == 2
    explorer.panel.target = 3
    explorer.tab = "Classes"
    assert explorer.target == 3 and 3 in explorer.panel.classes and explorer.panel.unit == 3
    explorer.tab = "Where it looks"
    assert explorer.panel.target == 3


def test_a_function_as_target_is_the_panels_own(explorer):
    explorer.tab = "Where it looks"
    explorer.panel.target = lambda output: output[:, 0]
    assert explorer.target is None


def test_another_picture_is_shown_in_every_panel(explorer):
    for title in ("Feature maps", "DeepDream", "Fool it", "Where it looks"):
        explorer.tab = title
    other = np.random.default_rng(1).random((30, 20, 3), dtype=np.float32)
    explorer.picture = other
    for title in ("Where it looks", "Feature maps", "DeepDream", "Fool it"):
        explorer.tab = title
        assert explorer.panel._held.photos[0].shape == (30, 20, 3)
    assert "20 × 30 pixels" in explorer._photographs._line.value


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("layer", "nope", cw.BadTarget), ("unit", 20, cw.BadTarget), ("target", 4, cw.BadTarget),
     ("target", "unicorn", cw.BadTarget), ("picture", "no.png", cw.BadPicture)],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_the_old_choice_stays(explorer, name, value, error):
    before = getattr(explorer, name)
    with pytest.raises(error):
        setattr(explorer, name, value)
    assert getattr(explorer, name) is before and explorer.held.photos[0].shape == (24, 32, 3)


def test_a_sample_a_file_and_an_upload_are_opened(explorer, tmp_path):
    menu = explorer._photographs
    menu._samples.value = "coffee"
    np.testing.assert_array_equal(explorer.picture, sample("coffee"))
    path = tmp_path / "small.png"
    path.write_bytes(png(PICTURE[:12]))
    menu._path.value = str(path)
    assert explorer.picture.shape == (12, 32, 3) and menu._samples.value == photographs.OTHER
    uploaded(explorer, png(PICTURE))
    assert explorer.picture.shape == (24, 32, 3)
    assert menu._upload.value == (), "the bytes would travel in a saved notebook"


@pytest.mark.parametrize(
    "data", [b"", b"<svg/>", png(PICTURE)[:300], b"x" * 8_000_001], ids=["empty", "svg", "cut", "large"]
)
def test_a_bad_upload_is_refused_in_a_line_and_the_picture_stays(explorer, data):
    words = uploaded(explorer, data)
    assert "cnnw-error" in words and explorer.held.photos[0].shape == (24, 32, 3)
    assert ("at most 8 MB" in words) == (len(data) > 8_000_000)


def test_a_bad_path_is_refused_in_a_line(explorer):
    explorer._photographs._path.value = "/no/such.png"
    assert "cnnw-error" in explorer._photographs._line.value and "such.png" in explorer._photographs._line.value


def test_another_network_takes_the_picture_and_gets_panels_of_its_own(explorer, build, waiting):
    explorer.tab = "Feature maps"
    old = explorer.panel
    other = cw.Network(build(first="first", name="other"))
    explorer.net = other
    assert explorer.net is other and explorer.panel.net is other and explorer.tab == "Feature maps"
    assert old.comm is None and list(explorer.panels) == ["Feature maps"]
    assert explorer.picture.shape == (24, 32, 3) and "first" in explorer._choice_of_layer.list.shown
    assert explorer._networks._menu.value == "other"
    explorer._networks._menu.value = "small"
    waiting(lambda: explorer.net.name == "small")


def test_a_model_file_is_loaded_and_a_bad_one_refused(explorer, build, tmp_path, waiting):
    path = tmp_path / "saved.keras"
    build(name="saved").save(path)
    explorer._networks._path.value = str(path)
    waiting(lambda: explorer.net.name == "saved")
    explorer._networks._path.value = str(tmp_path / "missing.keras")
    waiting(lambda: "cnnw-error" in explorer._networks._line.value)
    assert explorer.net.name == "saved" and "missing.keras" in explorer._networks._line.value


def test_a_network_that_cannot_take_the_picture_is_refused_and_the_old_one_stays(explorer):
    table = keras.Sequential([L.Input((4,)), L.Dense(2)])
    before = explorer.net
    with pytest.raises(cw.BadModel):
        explorer.net = table
    assert explorer.net is before and explorer.panel.net is before


def test_where_files_are_not_to_be_opened_no_message_from_outside_can(net, opened, tmp_path):
    explorer = opened(cw.Explorer(net, PICTURE, files=False))
    path = tmp_path / "secret.png"
    path.write_bytes(png(PICTURE[:9]))
    explorer._photographs._path.value = str(path)
    explorer._networks._path.value = str(path)
    assert explorer.picture is PICTURE and explorer._networks._request._publisher is None
    explorer.tab = "Feature maps"
    explorer.run()
    explorer.panel._guarded(explorer.panel._save_png)
    assert "not saved from this page" in explorer.status and explorer.panel._buttons["save"].disabled


def test_a_model_of_two_pictures_can_be_explored(two_pictures, opened):
    explorer = opened(cw.Explorer(two_pictures, [PICTURE[:16, :16], PICTURE[8:, 16:]]))
    for title in ("Feature maps", "Where it looks"):
        explorer.tab = title
        explorer.run()
        assert explorer.state == "done"
    assert {heat.input for heat in explorer.result} == {"left", "right"}
    explorer._photographs._which.value = 1
    uploaded(explorer, png(PICTURE))
    assert [photo.shape for photo in explorer.held.photos] == [(16, 16, 3), (24, 32, 3)]


def test_a_panel_that_a_network_cannot_have_says_why(opened):
    keras.utils.set_random_seed(0)
    flat = keras.Sequential([L.Input((12, 12, 1)), L.Flatten(), L.Dense(3, name="scores")])
    explorer = opened(cw.Explorer(flat, PICTURE))
    explorer.tab = "Feature maps"
    with pytest.raises(cw.BadTarget, match="Feature maps"):
        explorer.run()
    assert "cnnw-error" in explorer._stage._place.children[0].value
    explorer.tab = "Filters"
    assert explorer.panel.layer == "scores"


def test_what_stands_in_front_goes_first(explorer):
    explorer.tab = "DeepDream"
    assert explorer.panel.is_visible and not explorer.panels["Filters"].is_visible
    explorer.tab = "Filters"
    assert explorer.panel.is_visible and not explorer.panels["DeepDream"].is_visible


def test_the_foot_tells_the_device_and_what_runs(explorer, waiting):
    assert "CPU" in explorer._status_bar._line.value and "nothing is running" in explorer._status_bar._line.value
    explorer.panel.steps = 2000
    explorer.start()
    waiting(lambda: "running: Filters" in explorer._status_bar._line.value)
    explorer.stop()
    waiting(lambda: "nothing is running" in explorer._status_bar._line.value)


def test_its_output_keeps_the_picture_in_front(explorer):
    assert "image/png" not in explorer._repr_mimebundle_()
    explorer.tab = "Feature maps"
    explorer.run()
    assert {"image/png", "application/vnd.jupyter.widget-view+json"} <= set(explorer._repr_mimebundle_())


def test_it_says_briefly_what_it_is(explorer):
    assert repr(explorer) == "Explorer('small', 'Filters')"


def test_closing_leaves_no_widget_and_no_job(net, page, living):
    explorer = cw.Explorer(net, PICTURE)
    for title in TITLES:
        explorer.tab = title
    explorer.start()
    explorer.close()
    explorer.close()
    assert living() == []


def test_a_refused_explorer_leaves_nothing_behind(net):
    with pytest.raises(cw.BadTarget):
        cw.Explorer(net, PICTURE, layer="nope")
    with pytest.raises(cw.BadPicture):
        cw.Explorer(net, "no.png")


def test_a_bare_model_and_the_sample_photograph_are_enough(build, opened):
    explorer = opened(cw.Explorer(build()))
    assert explorer.held.photos[0].shape == sample("chelsea").shape
    assert explorer._photographs._samples.value == "chelsea"
