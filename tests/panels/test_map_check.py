"""Whether a heatmap can be trusted: pixels vanish in its order, and all methods are compared."""

import io

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.jobs import worker
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.heatmaps import check_captions
from cnnwidgets.provenance.recipe import Recipe

L = keras.layers
NAMES = ["ant", "bee", "cat", "<b>dog</b>"]


@pytest.fixture(scope="module")
def named(build):
    """The small network with class names and a softmax."""
    model = build()
    return Network(keras.Model(model.input, L.Softmax()(model.output), name="named"), class_names=NAMES)


@pytest.fixture
def panel(named, photo, opened):
    """A panel whose map is there."""
    panel = opened(cw.HeatmapPanel(named, photo, target="bee"))
    panel.run()
    return panel


def button(panel, label):
    (found,) = (one for one in panel.trust.children[1].children if one.description == label)
    return found


def same(mine, other):
    return np.array_equal(mine.values, other.values) and (mine.area, mine.random_area) == (
        other.area,
        other.random_area,
    )


@pytest.mark.parametrize(("metric", "fill"), [("deletion", "blur"), ("insertion", "gray"), ("road", "blur")])
def test_the_check_is_what_the_verb_returns(panel, named, photo, metric, fill):
    curve = panel.check(metric, fill, steps=6)
    assert same(curve, cw.faithfulness(named, photo, panel.result[0], "bee", metric, 6, fill))
    assert panel.trust.curve is curve and panel.state == "done"


def test_the_button_checks_what_the_menus_say_and_the_curve_grows(panel, waiting, monkeypatch):
    drawn = []
    shown = panel.trust._checked
    monkeypatch.setattr(panel.trust.removal, "_on_frame", lambda f, done: (drawn.append(f), shown(f, done)))
    panel.trust.metric.value = "insertion"
    button(panel, "Check this map").click()
    waiting(lambda: panel.trust.curve is not None)
    assert panel.trust.curve.metric == "insertion" and panel.trust.removal.layout.display == ""
    assert not np.isnan(panel.trust.curve.values).any() and drawn[-1].step == drawn[-1].steps
    html = panel.trust.removal.curve.value
    assert html.count("<polyline") == 2 and "insertion for bee" in html and "dashed" in html


def test_the_areas_and_the_sentence_are_told(panel, photo):
    curve = panel.check(steps=15)
    text = panel.trust.removal.said.value
    assert f"{curve.area:.3f}" in text and f"{curve.random_area:.3f}" in text and "lower is better" in text
    assert "the 20 % that this map calls most important" in text and "a random 20 % leaves" in text
    assert 'role="status"' in text
    assert "without the 20%" in panel.trust.removal._line.value
    removed = np.abs(np.asarray(PIL.Image.open(io.BytesIO(panel.trust.removal.screen.data)), float) / 255 - photo)
    assert (removed.max(-1) > 0.02).mean() < 0.21


def curve_of(values, random, metric="deletion"):
    fractions = np.linspace(0, 1, len(values), dtype=np.float32)
    values, random = np.array(values, np.float32), np.array(random, np.float32)
    return Curve(fractions, values, float(values.mean()), float(random.mean()), metric, "blur", random)


@pytest.mark.parametrize(
    ("values", "random", "metric", "words"),
    [
        ([0.71, 0.03, 0], [0.71, 0.66, 0], "deletion", "Removing {} lowers tabby from 71 % to 3 %; {} leaves 66 %."),
        ([0.5, 0.8, 1], [0.5, 0.5, 1], "road", "Removing {} raises tabby from 50 % to 80 %; {} leaves 50 %."),
        ([0.5, 0.5, 0], [0.5, 0.5, 0], "deletion", "Removing {} leaves tabby at 50 %; {} leaves 50 %."),
        ([0.1, 0.6, 1], [0.1, 0.2, 0], "insertion", "Inserting {} raises tabby from 10 % to 60 %; {} gives 20 %."),
        ([12.5, -3.25, 0], [12.5, 11, 0], "deletion", "Removing {} lowers tabby from 12.5 to -3.25; {} leaves 11."),
    ],
)
def test_the_sentence(values, random, metric, words):
    curve = curve_of([*values, 0, 0, 0], [*random, 0, 0, 0], metric)
    words = words.format("the 20 % that this map calls most important", "a random 20 %")
    assert check_captions.sentence(curve, "tabby", are_shares=max(values) <= 1) == words


def test_numbers_that_are_no_probabilities_are_not_called_percent():
    words = check_captions.sentence(curve_of([0.5, 0.25, 0, 0, 0, 0], [0.5, 0.5, 0, 0, 0, 0]), "the age", False)
    assert "lowers the age from 0.5 to 0.25; a random 20 % leaves 0.5." in words


def test_a_map_of_each_picture_is_checked(opened):
    i = keras.Input((12, 12, 3), name="i")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(i))
    encoder = keras.Model(i, x, name="encoder")
    left, right = keras.Input((12, 12, 3), name="left"), keras.Input((12, 12, 3), name="right")
    both = L.Concatenate()([encoder(left), encoder(right)])
    net = Network(keras.Model([left, right], L.Dense(1, activation="sigmoid")(both), name="siamese"))
    pictures = list(np.random.default_rng(0).random((2, 12, 12, 3), dtype=np.float32))
    panel = opened(cw.HeatmapPanel(net, pictures))
    panel.run()
    assert [words for words, _ in panel.trust.which.options] == ["left · call 0", "right · call 1"]
    assert panel.trust.which.layout.display == ""
    curve = panel.check(steps=4, index=1)
    target = net.predict(pictures)[0].index
    assert same(curve, cw.faithfulness(net, pictures, panel.result[1], target, steps=4))


def test_a_regression_is_checked_in_its_own_numbers(opened):
    layers = [L.Input((8, 8, 3)), L.Conv2D(3, 3), L.GlobalAveragePooling2D(), L.Dense(1, name="age")]
    panel = opened(cw.HeatmapPanel(keras.Sequential(layers, name="regression"), np.ones((8, 8, 3), np.float32) / 2))
    panel.run()
    panel.check(steps=2)
    words = panel.trust.removal.said.value
    assert "value of output" in words and "value of output &#x27;age&#x27;:" not in words
    assert words.count("%") == 2, "only the share of the pixels is a percentage"


def test_a_map_no_better_than_chance_is_called_so():
    worse = curve_of([0.5, 0.5, 0.5], [0.5, 0.2, 0])
    assert "no better than a random order" in check_captions.areas(worse)
    assert "no better" not in check_captions.areas(curve_of([0.5, 0.5, 0.5], [0.5, 0.2, 0], "insertion"))


def test_another_map_has_not_been_checked(panel, waiting):
    panel.check(steps=3)
    panel.target = 2
    waiting(lambda: panel.state == "done")
    assert panel.trust.curve is None and panel.trust.removal.layout.display == "none"
    assert "check" not in panel.recipe_of().settings


@pytest.mark.parametrize("wrong", [{"metric": "x"}, {"fill": "white"}, {"steps": 0}, {"index": 1}])
def test_what_cannot_be_checked_is_refused(panel, wrong):
    with pytest.raises(BadTarget):
        panel.check(**wrong)
    with pytest.raises(BadTarget):
        panel.compare_methods(**wrong)


def test_without_a_map_there_is_nothing_to_check(named, photo, opened):
    panel = opened(cw.HeatmapPanel(named, photo))
    with pytest.raises(BadTarget, match="Press Start"):
        panel.check()
    button(panel, "Compare methods").click()
    assert "Press Start" in panel.status


def test_the_check_is_in_the_code_and_in_the_recipe(panel, named, photo, tmp_path):
    curve = panel.check("road", steps=4)
    names = {"net": named, "picture": photo}
    exec(panel.snippet(), names)
    assert same(names["curve"], curve)
    path = panel.save(tmp_path / "heat.png")
    check = Recipe.from_png(path).settings["check"]
    assert (check["metric"], check["steps"], check["target"], check["index"]) == ("road", 4, "bee", 0)
    assert cw.rerun(path, named, photo) == path.read_bytes()


def test_all_methods_are_compared_the_best_first(panel, named, photo):
    results = panel.compare_methods(steps=4)
    assert {one.method for one in results} == set(method_guide.WORDS)
    areas = [one.curve.area for one in results if one.curve is not None]
    assert areas == sorted(areas) and len(areas) == len(results)
    assert all(one.seconds > 0 for one in results)
    (own,) = (one for one in results if one.method == "grad_cam")
    (heat,) = cw.class_activation_map(named, photo, target="bee")
    assert np.array_equal(own.heat.map, heat.map)
    assert same(own.curve, cw.faithfulness(named, photo, heat, "bee", steps=4))
    table = panel.trust.methods.table.value
    assert table.index(method_guide.label(results[0].method)) < table.index(method_guide.label(results[-1].method))
    assert f"{areas[0]:.3f}" in table and f"{areas[0]:.3f}" in panel.trust.methods.said.value


def test_stop_keeps_the_methods_that_are_there(panel, waiting):
    button(panel, "Compare methods").click()
    waiting(lambda: len(panel.trust.results) >= 2)
    assert not panel._buttons["stop"].disabled
    panel._buttons["stop"].click()
    waiting(lambda: not panel.trust.is_busy)
    assert len(panel.trust.results) >= 2 and panel.state == "done" and worker().jobs == ()


def test_a_network_without_positions_compares_attributions(opened):
    model = keras.Sequential([L.Input((8, 8, 3)), L.Flatten(), L.Dense(3, activation="softmax")], name="flat")
    panel = opened(
        cw.HeatmapPanel(model, np.random.default_rng(0).random((8, 8, 3), dtype=np.float32), method="gradient")
    )
    panel.run()
    results = panel.compare_methods(steps=2)
    assert {one.method for one in results} == {m for m in method_guide.WORDS if not method_guide.is_map(m)}
