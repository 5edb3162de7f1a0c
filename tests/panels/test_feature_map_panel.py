"""Feature maps in the notebook: pages of tiles, one map large, and what its cell sees."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras

L = keras.layers


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    picture = L.Input((None, None, 3))
    x = L.Conv2D(70, 3, padding="same", activation="relu", name="conv1")(picture)
    x = L.Conv2D(6, 3, strides=2, activation="relu", name="conv2")(x)
    return keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x)))


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((24, 32, 3), np.float32)


@pytest.fixture
def panel(model, picture):
    made = cw.FeatureMapPanel(model, picture, "conv1")
    yield made
    made.close()


def test_the_result_is_that_of_the_verb(panel, model, picture):
    result = panel.run()
    np.testing.assert_array_equal(result["conv1"], cw.feature_maps(model, picture, ["conv1"])["conv1"])
    assert panel.state == "done"


def test_the_units_that_answer_most_come_first(panel):
    panel.run()
    values = panel._last.values
    assert list(values) == sorted(values, reverse=True)
    panel.order = "index"
    panel._run.wait(10)
    assert panel._last.units == tuple(range(70))


def test_a_page_holds_sixty_four_maps_and_can_be_turned(panel):
    panel.run()
    assert "1 to 64 of 70" in panel._page_line.value
    panel._turn(1)
    assert "65 to 70 of 70" in panel._page_line.value
    panel._turn(1)
    assert "65 to 70 of 70" in panel._page_line.value


def test_a_click_shows_a_map_large_and_what_its_cell_sees(panel, picture):
    panel.run()
    before = panel.one_map.photograph.data
    panel._clicked(0.01, 0.01)
    assert panel.unit == panel._last.units[0]
    assert panel.one_map.photograph.data != before
    panel._map_clicked(0.0, 0.0)
    assert panel.place == (0, 0)
    value = panel.result["conv1"][0, 0, panel.unit]
    assert f"{value:.3g}" in panel.one_map._line.value


def test_another_layer_is_shown_at_once_after_the_first_start(panel):
    panel.run()
    panel.layer = "conv2"
    panel._run.wait(10)
    assert set(panel.result) == {"conv2"}
    assert panel.unit is None


def test_a_layer_without_rows_and_columns_is_refused(model, picture):
    with pytest.raises(cw.BadTarget, match="dense"):
        cw.FeatureMapPanel(model, picture, "dense")


def test_visualizing_takes_the_number_in_the_field_and_before_a_run_says_what_to_do(panel):
    panel._guarded(panel._visualize_unit)
    assert "No unit is chosen" in panel.status
    panel.run()
    panel._guarded(panel._visualize_unit)
    assert panel.unit == panel._choice.value == 0 and panel.unit_view.is_busy
    panel.stop()


def test_another_picture_is_shown_at_once_after_the_first_start(panel, model):
    panel.run()
    other = np.random.default_rng(1).random((20, 40, 3), np.float32)
    panel.picture = other
    panel._run.wait(10)
    np.testing.assert_array_equal(panel.result["conv1"], cw.feature_maps(model, other, ["conv1"])["conv1"])


@pytest.mark.parametrize(
    ("name", "value"), [("layer", "dense"), ("layer", "nope"), ("unit", 70), ("picture", "no.png")]
)
def test_what_cannot_be_is_refused_and_the_old_setting_stays(panel, name, value):
    before = getattr(panel, name)
    with pytest.raises((cw.BadTarget, cw.BadPicture)):
        setattr(panel, name, value)
    assert getattr(panel, name) is before


def test_a_climbed_unit_stands_beside_the_photographs_that_excite_it(panel, waiting, texts):
    panel.run()
    panel._choose(panel._last.units[0])
    panel._visualize_unit()
    assert panel._is_busy_beside() and not panel._buttons["stop"].disabled
    waiting(lambda: not panel.unit_view.is_busy, 60)
    for part in (panel.unit_view.optimized, panel.unit_view.patches):
        part.current.wait()
        assert not part.screen.is_empty
    assert any("photographs searched" in text and "from " in text for text in texts(panel.unit_view))
    assert panel._buttons["stop"].disabled


def test_stop_ends_what_runs_beside_the_maps_too(panel, waiting):
    panel.run()
    panel._choose(0)
    panel._visualize_unit()
    panel.stop()
    waiting(lambda: not panel.unit_view.is_busy)


def test_the_caricature_of_the_layer_is_what_the_verb_makes(panel, model, picture, waiting):
    panel._draw_layer()
    assert panel._is_busy_beside()
    waiting(lambda: not panel.unit_view.is_busy, 60)
    panel.unit_view.optimized.current.wait()
    *_, frame = cw.caricature(model, picture, panel.layer)
    shown = cw.pictures.to_uint8(cw.load_picture(panel.unit_view.optimized.screen.data))
    np.testing.assert_array_equal(shown, cw.pictures.to_uint8(frame.pictures[0]))
    assert f"What {panel.layer} keeps" in panel.unit_view.optimized._title.value


def test_a_unit_that_no_photograph_excites_is_said_to_be_one(panel, waiting, texts, monkeypatch):
    panel.run()
    panel._choose(0)
    monkeypatch.setattr("cnnwidgets.activations.patches.PatchesPlan.search", lambda *_: iter([[], []]))
    panel._visualize_unit()
    waiting(lambda: not panel.unit_view.is_busy, 60)
    panel.unit_view.patches.current.wait()
    assert any("photographs activates this unit" in text for text in texts(panel.unit_view))


def test_a_network_of_one_size_takes_any_photograph_and_what_a_cell_sees_is_told_in_its_pixels():
    keras.utils.set_random_seed(0)
    fixed = keras.Sequential(
        [L.Input((16, 16, 3)), L.Conv2D(4, 3, padding="same", name="conv"), L.Flatten(), L.Dense(2)]
    )
    panel = cw.FeatureMapPanel(fixed, np.random.default_rng(0).random((32, 64, 3), np.float32), "conv")
    panel.run()
    assert panel.state == "done"
    top, left, bottom, right = panel._last.seen_by(8, 8)
    assert (top, left, bottom, right) == (14, 28, 20, 40), "3 x 3 cells around, each 2 x 4 pixels"
    panel.close()


def test_an_atlas_shows_picture_and_patches_of_the_chosen_unit_at_once(net, opened, waiting, tmp_path):
    rng = np.random.default_rng(5)
    given = [rng.random((30, 30, 3), np.float32) for _ in range(3)]
    atlas = cw.render_atlas(net, tmp_path / "a", layers=["conv1"], steps=2, pictures=given)
    panel = opened(cw.FeatureMapPanel(net, given[0], "conv1", atlas=atlas))
    panel.run()
    view = panel.unit_view
    assert view.patches.screen.is_empty
    panel.unit = 4
    assert "What conv1 · 4 responds to" in view.optimized._title.value and not view.optimized.screen.is_empty
    assert not view.patches.screen.is_empty and "of the 3 pictures of the atlas" in view.patches._line.value
    assert not view.is_busy, "nothing is computed for that"
    before = view.patches.screen.data
    panel.unit = 5
    assert view.patches.screen.data != before
    panel._visualize_unit()
    view.optimized.current.wait()
    assert view.patches.current.job is None, "the atlas has searched already"
    panel.atlas = None
    assert view.patches.screen.is_empty and view.optimized.screen.is_empty
    panel.layer, panel.atlas = "conv2", atlas
    waiting(lambda: panel.state == "done")
    panel.unit = 4
    assert view.patches.screen.is_empty, "this layer is not in it"
    with pytest.raises(BadTarget, match="open_atlas"):
        panel.atlas = "atlas.zarr"
