"""Everything on one unit, on one page."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.activations.path_similarity import path_similarity
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.explain.unit_effect import unit_effect
from cnnwidgets.panels.unit.unit_panel import UnitPanel


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    return [rng.random((24, 32, 3), np.float32) for _ in range(3)]


@pytest.fixture
def panel(net, pictures, opened, waiting):
    made = opened(UnitPanel(net, "conv2", 7, pictures[0], pictures[1:], size=24, steps=3))
    made._place.run.wait()
    return made


def test_what_needs_no_optimizing_is_there_at_once(panel, net, pictures):
    plane = cw.feature_maps(net, pictures[0], "conv2")["conv2"][..., 7]
    facts = panel.facts
    assert facts.value == pytest.approx(plane.max()) and plane[facts.place] == plane.max()
    assert facts.box is not None and facts.responses.pictures == 2
    assert facts.responses.counts.sum() == 2 * plane.size
    assert "Responses from" in panel._place.histogram.value and not panel._place.map.is_empty
    assert panel.state == "idle" and panel.result is None


def test_its_classes_are_what_the_logits_lose_without_it(panel, net, pictures):
    effect = unit_effect(net, net.arrays(pictures[0]), "conv2", 7)
    kernel = net.model.get_layer("logits").kernel.numpy()
    mean = cw.feature_maps(net, pictures[0], "gap")["gap"][7]
    np.testing.assert_allclose(effect, mean * kernel[7], atol=1e-5)
    expected = {net.class_name(i): pytest.approx(float(value)) for i, value in enumerate(effect)}
    assert dict(panel.facts.classes) == expected and list(effect).count(0) == 0


def test_start_optimizes_both_ends_and_searches_patches(panel, waiting):
    panel.start()
    waiting(lambda: panel.state == "done" and not panel._is_busy_beside())
    assert panel.result.units == (7,) and panel.result.pictures.shape == (1, 24, 24, 3)
    for part in (panel._minimum, panel._patches):
        part.current.wait()
        assert not part.screen.is_empty and not part.traceback
    low, high = panel._minimum.current.job.frame.values[0], panel.result.values[0]
    assert -low < high, "the minimizing picture's objective is the negative response"


def test_run_returns_what_the_verb_returns(panel, net):
    result = panel.run()
    same = cw.visualize_units(net, "conv2", [7], size=24, steps=3)
    np.testing.assert_array_equal(result.pictures, same.pictures)
    assert not panel._is_busy_beside()


def test_its_code_makes_the_same_picture(panel, net):
    panel.run()
    code = panel.snippet()
    assert "visualize_units(" in code and "units=[7]" in code.replace("(7,)", "[7]")
    names = {"net": net, "cw": cw}
    exec(code.replace("import cnnwidgets as cw", ""), names)  # noqa: S102
    np.testing.assert_array_equal(names["pics"].pictures, panel.result.pictures)


def test_neighbors_and_connected_units_are_a_key_away(panel):
    panel._units.value += 1
    assert panel.unit == 8 and "conv2" in panel._layers.value
    lines = [label for label, _ in panel._connected.menu.options]
    feeding = panel.links.incoming[0]
    assert any(f"fed by {feeding.path} · {feeding.unit}" in line for line in lines)
    panel._connected.menu.choice = (feeding.path, feeding.unit)
    assert (panel.layer, panel.unit) == (feeding.path, feeding.unit)
    assert panel._units.value == feeding.unit and panel._layers.value == feeding.path
    panel._place.run.wait()


def test_its_links_are_those_by_weight(panel, net):
    kernel = net.model.get_layer("conv2").kernel.numpy()[..., 7]
    strength = np.abs(kernel).sum((0, 1))
    assert [link.unit for link in panel.links.incoming] == list(np.argsort(-strength))
    assert {link.path for link in panel.links.incoming} == {"conv1"}
    assert {link.path for link in panel.links.outgoing} == {"logits"} and len(panel.links.outgoing) == 4
    rows = panel._connected.columns[0]._rows.value
    assert 'aria-label="What feeds it"' in rows and " · conv1" in rows and rows.count("listitem") == 6


def test_another_layer_keeps_a_unit_that_exists(panel):
    panel.unit = 19
    panel.layer = "conv1"
    assert (panel.layer, panel.unit) == ("conv1", 0)
    panel._place.run.wait()
    assert panel.facts.plane is not None and panel.links.incoming == ()


def test_a_layer_without_rows_says_so(net, pictures, opened):
    panel = opened(UnitPanel(net, "logits", 2, pictures[0], pictures[1:]))
    panel._place.run.wait()
    assert panel.facts.plane is None and panel.facts.responses.counts.sum() == 2


def test_another_picture_is_measured_again(panel, pictures):
    before = panel.facts.value
    panel.picture = pictures[2]
    panel._place.run.wait()
    assert panel.facts.value != before


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("unit", 20, BadTarget), ("unit", -1, BadTarget), ("layer", "nope", BadTarget), ("steps", 0, BadTarget),
     ("picture", "nowhere.png", BadPicture), ("recipe", "x", BadTarget), ("pictures", [], BadPicture)],
)  # fmt: skip
def test_what_does_not_exist_is_refused_and_the_old_value_stays(panel, name, value, error):
    before = getattr(panel, name)
    with pytest.raises(error):
        setattr(panel, name, value)
    assert getattr(panel, name) is before or getattr(panel, name) == before
    assert panel.status


@pytest.mark.parametrize("arguments", [("nope", 0), ("conv2", 20), ("conv2", None), ("conv2", "a")])
def test_the_constructor_refuses_what_does_not_exist(net, page, living, arguments):
    with pytest.raises(BadTarget):
        UnitPanel(net, *arguments)
    assert living() == []


def test_closing_leaves_no_widget_behind(net, pictures, page, living):
    panel = UnitPanel(net, "conv2", 7, pictures[0], pictures[1:])
    panel._place.run.wait()
    panel.close()
    assert living() == []


def test_a_sample_is_shown_where_no_picture_is_given(net, pictures, opened):
    panel = opened(UnitPanel(net, "conv2", 7, pictures=pictures))
    panel._place.run.wait()
    assert panel.picture is None and panel.facts is not None


def settled(panel):
    """After what is looked up and measured at once."""
    panel._place.run.wait()
    panel._connected.run.wait()
    return panel


def test_connected_units_get_pictures_when_that_is_asked_for(panel, net, waiting):
    settled(panel)
    assert panel._connected.columns[0]._rows.value.count("not rendered yet") >= 6 and not panel._render_button.disabled
    panel._render_button.click()
    waiting(lambda: panel._render_button.disabled and not panel._connected.run.is_busy)
    panel._connected.run.wait()
    links = panel._connected.every_link
    assert set(panel._connected.kept.pictures) == {(link.path, link.unit) for link in links}
    link = links[0]
    alone = cw.visualize_units(net, link.path, [one.unit for one in links if one.path == link.path])
    expected = np.rint(alone.pictures[0] * 255)
    assert np.abs(panel._connected.kept.pictures[link.path, link.unit].pixels - expected).max() <= 1
    assert panel._connected.columns[0]._rows.value.count("data:image/jpeg") == len(panel.links.incoming)
    assert f"what {link.unit} · {link.path} responds to" in panel._connected.columns[0]._rows.value
    assert panel._render_button.disabled, "nothing is missing any more"


def test_what_was_rendered_once_is_there_at_once(panel, net, pictures, opened, waiting, tmp_path, monkeypatch):
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", str(tmp_path))
    settled(panel)
    panel._render_button.click()
    panel._connected.run.wait()
    again = settled(opened(UnitPanel(net, "conv2", 8, pictures[0], pictures[1:], size=24, steps=3)))
    found = [again._connected.kept.pictures[one.path, one.unit] for one in again.links.incoming]
    assert [one.pixels is not None for one in found] == [True] * 6
    assert again._connected.columns[0]._rows.value.count("data:image/jpeg") == 6


def test_a_click_on_a_connected_unit_goes_to_it(panel):
    links = panel.links.incoming
    panel._connected.columns[0]._clicked({"relativeY": 52 * 2 + 5, "boundingRectHeight": 52 * len(links)})
    assert (panel.layer, panel.unit) == (links[2].path, links[2].unit)
    settled(panel)


def test_stop_ends_the_pictures_of_connected_units(panel, waiting):
    settled(panel)
    panel._render_button.click()
    assert panel._is_busy_beside() and not panel._buttons["stop"].disabled
    panel.stop()
    panel._connected.run.wait()
    assert not panel._is_busy_beside()


def test_the_finished_picture_is_compared_with_photographs(panel, net, pictures, waiting):
    panel.run()
    panel._path.run.wait()
    found = panel.path_similarity
    assert found.layers == ("conv1",) and -1 <= found.similarity <= 1
    *_, same = path_similarity(net, "conv2", 7, panel.result.pictures[0], pictures[1:])
    assert found.similarity == pytest.approx(same.similarity) and found.reference == pytest.approx(same.reference)
    shown = panel._path.line.value
    assert f"<b>{found.similarity:.2f}</b>" in shown and f"each other: {found.reference:.2f}" in shown
    assert '<summary title="Do this picture and the photographs' in shown, "a tooltip, and the same words to open"
    panel.unit = 8
    assert panel.path_similarity is None and panel._path.line.value == ""
    panel.stop()


def test_a_unit_with_no_convolution_before_it_says_so(net, pictures, opened):
    panel = opened(UnitPanel(net, "conv1", 2, pictures[0], pictures[1:], size=24, steps=2))
    panel.run()
    panel._path.run.wait()
    assert panel.path_similarity is None and "No convolution leads to &#x27;conv1&#x27;" in panel._path.line.value


@pytest.fixture(scope="module")
def atlas(net, tmp_path_factory):
    rng = np.random.default_rng(5)
    given = [rng.random((30, 30, 3), np.float32) for _ in range(4)]
    folder = tmp_path_factory.mktemp("atlas") / "a"
    return cw.render_atlas(net, folder, layers=["conv1", "conv2"], steps=3, pictures=given)


def test_an_atlas_gives_picture_patches_histogram_and_connected_units(net, pictures, opened, atlas):
    panel = settled(opened(UnitPanel(net, "conv2", 7, pictures[0], size=24, steps=2, atlas=atlas)))
    assert panel.state == "idle" and panel.result is None, "nothing was optimized"
    assert not panel.screen.is_empty and "from the atlas: 64 x 64 px, 3 steps" in panel._caption.value
    assert not panel._patches.screen.is_empty and "of the 4 pictures of the atlas" in panel._patches._line.value
    counts, _ = atlas.histogram("conv2", 7)
    assert counts.sum() == 4 and "each of the 4 pictures of the atlas" in panel._place.histogram.value
    before = panel._patches.screen.data
    panel.start()
    panel._run.wait()
    assert panel.result is not None and panel._patches.current.job is None, "the atlas has searched already"
    panel._minimum.current.wait()
    panel._path.run.wait()
    assert panel._patches.screen.data == before
    panel.atlas = None
    panel._connected.run.wait()
    assert panel._patches.screen.is_empty and "Responses from" in panel._place.histogram.value


def test_an_atlas_with_default_settings_gives_pictures_of_connected_units(net, pictures, opened, tmp_path):
    whole = cw.render_atlas(net, tmp_path / "a", layers=["conv1"])
    panel = settled(opened(UnitPanel(net, "conv2", 7, pictures[0], pictures[1:], atlas=whole)))
    assert panel._connected.columns[0]._rows.value.count("data:image/jpeg") == 6
    assert "it has no layer" in panel.status and panel._patches.screen.is_empty


@pytest.mark.parametrize("wrong", ["atlas.zarr", 3])
def test_an_atlas_is_what_open_atlas_returns(net, panel, wrong):
    with pytest.raises(BadTarget, match="open_atlas"):
        panel.atlas = wrong
    with pytest.raises(BadTarget, match="open_atlas"):
        UnitPanel(net, "conv2", 7, atlas=wrong)
