"""Everything on one unit, on one page."""

from __future__ import annotations

import numpy as np
import pytest

import cnnwidgets as cw
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
    made._measuring.wait()
    return made


def test_what_needs_no_optimizing_is_there_at_once(panel, net, pictures):
    plane = cw.feature_maps(net, pictures[0], "conv2")["conv2"][..., 7]
    facts = panel.facts
    assert facts.value == pytest.approx(plane.max()) and plane[facts.place] == plane.max()
    assert facts.box is not None and facts.responses.pictures == 2
    assert facts.responses.counts.sum() == 2 * plane.size
    assert "Responses from" in panel._histogram.value and not panel._map.is_empty
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
    lines = [label for label, _ in panel._connected.options]
    feeding = panel.links.incoming[0]
    assert any(f"fed by {feeding.path} · {feeding.unit}" in line for line in lines)
    panel._connected.choice = (feeding.path, feeding.unit)
    assert (panel.layer, panel.unit) == (feeding.path, feeding.unit)
    assert panel._units.value == feeding.unit and panel._layers.value == feeding.path
    panel._measuring.wait()


def test_its_links_are_those_by_weight(panel, net):
    kernel = net.model.get_layer("conv2").kernel.numpy()[..., 7]
    strength = np.abs(kernel).sum((0, 1))
    assert [link.unit for link in panel.links.incoming] == list(np.argsort(-strength))
    assert {link.path for link in panel.links.incoming} == {"conv1"}
    assert {link.path for link in panel.links.outgoing} == {"logits"} and len(panel.links.outgoing) == 4
    assert "What feeds it" in panel._feeds.value and " · conv1" in panel._feeds.value


def test_another_layer_keeps_a_unit_that_exists(panel):
    panel.unit = 19
    panel.layer = "conv1"
    assert (panel.layer, panel.unit) == ("conv1", 0)
    panel._measuring.wait()
    assert panel.facts.plane is not None and panel.links.incoming == ()


def test_a_layer_without_rows_says_so(net, pictures, opened):
    panel = opened(UnitPanel(net, "logits", 2, pictures[0], pictures[1:]))
    panel._measuring.wait()
    assert panel.facts.plane is None and panel.facts.responses.counts.sum() == 2


def test_another_picture_is_measured_again(panel, pictures):
    before = panel.facts.value
    panel.picture = pictures[2]
    panel._measuring.wait()
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
    panel._measuring.wait()
    panel.close()
    assert living() == []


def test_a_sample_is_shown_where_no_picture_is_given(net, pictures, opened):
    panel = opened(UnitPanel(net, "conv2", 7, pictures=pictures))
    panel._measuring.wait()
    assert panel.picture is None and panel.facts is not None
