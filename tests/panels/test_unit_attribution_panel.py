"""Which units carried a decision: rows, positions, units switched off, and every kind of model."""

import io
import re

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.jobs import worker
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.unit.unit_pictures import Progress, UnitPainter, UnitPicture
from cnnwidgets.panels.unit_attribution.unit_rows_run import MOST_ROWS
from cnnwidgets.provenance.recipe import Recipe
from tests.tiny_networks import MODELS, seeded

L = keras.layers


@pytest.fixture(scope="module")
def kinds():
    """`kinds(name)` is a network of a kind that users bring, and pictures for it; each is made once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = Network(seeded(MODELS[name]()))
        return made[name], inputs_for(made[name])

    return get


def inputs_for(net):
    """Pictures and tables of the sizes that a network takes."""
    random = np.random.default_rng(7)
    shapes = [(*(n or 24 for n in i.size), i.channels) if i.is_picture else i.shape for i in net.inputs]
    made = [random.random(shape, dtype=np.float32) for shape in shapes]
    return made if len(made) > 1 else made[0]


@pytest.fixture
def rendering():
    """For tests in which pictures of units are really optimized."""


@pytest.fixture(autouse=True)
def painter(request, monkeypatch):
    """Pictures of units are gray at once in all other tests: optimizing them takes seconds."""
    gray = UnitPicture(np.full((4, 4, 3), 128, np.uint8))
    if "rendering" not in request.fixturenames:
        monkeypatch.setattr(UnitPainter, "frames", lambda *asked: iter([Progress(dict.fromkeys(asked[-1], gray))]))


@pytest.fixture
def make(named, photo, opened):
    """`make(...)` is a panel of the network with names, closed after the test."""
    return lambda *arguments, **keywords: opened(cw.UnitAttributionPanel(named, photo, *arguments, **keywords))


def same(mine, others):
    pairs = list(zip(mine, others, strict=True))
    return all(
        (a.path, a.call, a.input, a.note, a.target) == (b.path, b.call, b.input, b.note, b.target)
        and np.array_equal(a.parts, b.parts)
        for a, b in pairs
    )


def shown(panel):
    return np.asarray(PIL.Image.open(io.BytesIO(panel.screen.data))).astype(int)


def row_of(panel, unit):
    return next(row for row in panel.rows.rows if row.unit == unit and row.layout.display == "")


def visible(panel):
    return [row.unit for row in panel.rows.rows if row.layout.display == ""]


# What it shows.


def test_the_result_is_what_the_verb_returns(make, named, photo):
    panel = make("conv1", "bee", "cat")
    assert same(panel.run(), cw.unit_attribution(named, photo, "conv1", "bee", "cat"))
    assert panel.state == "done" and panel.progress == 1 and panel.frames_shown >= 1


def test_without_settings_it_is_the_top_class_at_the_last_layer(make, named, photo):
    panel = make()
    assert same(panel.run(), cw.unit_attribution(named, photo)) and panel.layer == "conv2"
    assert panel.predictions == named.predict(photo, 10)
    assert named.predict(photo)[0].name in panel._caption.value


def test_the_rows_are_the_strongest_units_for_and_against(make):
    panel = make(target="bee")
    (found,) = panel.run()
    speaks_for = [u for u in panel.units if found.shares[u] > 0]
    against = [u for u in panel.units if found.shares[u] < 0]
    assert panel.units == (*speaks_for, *against) == tuple(visible(panel)) and len(panel.units) == MOST_ROWS
    ranked = np.argsort(-found.shares, kind="stable").tolist()
    assert speaks_for == ranked[: len(speaks_for)] and against == ranked[::-1][: len(against)]
    assert speaks_for and against
    for unit in panel.units:
        row = row_of(panel, unit)
        assert f"{found.shares[unit]:+.3g}" in row.bar.value and "background-image" in row.map.value
        assert f"unit {unit}" in row.bar.value and f"where unit {unit} is evidence" in row.map.value


@pytest.mark.usefixtures("rendering")
def test_the_pictures_of_the_rows_are_those_of_a_gallery_and_both_keep_them(make, named, opened, monkeypatch):
    opened(cw.FilterGallery(named, "conv1", units=[0])).run()
    panel = make("conv1")
    panel.run()
    pics = cw.visualize_units(named, "conv1", panel.units)
    for unit, picture, note in zip(panel.units, pics.pictures, pics.notes, strict=True):
        drawn = panel._last.pictures[unit]
        assert np.array_equal(drawn.pixels, np.rint(255 * picture)) and drawn.note == note
        assert f"what unit {unit} of conv1 responds to" in row_of(panel, unit).picture.value
    monkeypatch.setattr("cnnwidgets.visualize.units.UnitsPlan.frames", None)
    gallery = opened(cw.FilterGallery(named, "conv1", units=[1]))
    gallery._recall()
    assert gallery.status.startswith("From the cache")
    again = make("conv1")
    again.run()
    assert again.state == "done" and all(again._last.pictures[unit].pixels is not None for unit in again.units)


@pytest.mark.usefixtures("rendering")
def test_a_page_of_a_gallery_serves_the_rows(make, named, opened, monkeypatch):
    opened(cw.FilterGallery(named, "conv1", units=range(6))).run()
    panel = make("conv1")
    monkeypatch.setattr("cnnwidgets.visualize.units.UnitsPlan.frames", None)
    panel.run()
    assert panel.state == "done" and {one.note for one in panel._last.pictures.values()} == {""}


@pytest.mark.usefixtures("rendering")
def test_units_come_from_the_atlas(make, named, tmp_path, monkeypatch):
    cw.render_atlas(named, tmp_path / "a.zarr", layers=["conv1"], size=64, steps=32)
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "")
    panel = make("conv1", atlas=cw.open_atlas(tmp_path / "a.zarr"))
    monkeypatch.setattr("cnnwidgets.visualize.units.UnitsPlan.frames", None)
    panel.run()
    assert panel.state == "done" and all(panel._last.pictures[unit].pixels is not None for unit in panel.units)


@pytest.mark.usefixtures("rendering")
def test_shares_stay_right_where_a_unit_cannot_be_rendered(make, named, photo, monkeypatch):
    def refuse(*_):
        raise BadTarget("Out of paint.")

    monkeypatch.setattr("cnnwidgets.visualize.units.UnitsPlan.frames", refuse)
    panel = make("conv1")
    assert same(panel.run(), cw.unit_attribution(named, photo, "conv1")) and panel.state == "done"
    assert "Out of paint." in row_of(panel, panel.units[0]).picture.value


def test_a_bare_model_is_taken_and_its_new_weights_are_seen(build, photo, opened, settled):
    model = build()
    panel = opened(cw.UnitAttributionPanel(model, photo, target=1))
    before = panel.run()
    seeded(model, seed=5)
    panel.place = (6, 20)
    settled(panel)
    assert same(panel.result, cw.unit_attribution(model, photo, target=1)) and not same(before, panel.result)


def test_names_of_strangers_do_no_harm(make):
    panel = make(target=3, against=1)
    panel.run()
    every = [panel._caption.value, panel._legend.value, panel.bars._bars.value, panel.rows._heads[0].value]
    assert "<b>dog" not in "".join(every) and "&lt;b&gt;dog" in every[0]


# A position.


def test_a_click_shows_the_units_at_that_position_strongest_first_and_back(make, settled):
    panel = make(target="bee")
    (found,) = panel.run()
    everywhere, picture = panel.units, shown(panel)
    panel._clicked(20.5 / 32, 6.5 / 24)
    settled(panel)
    assert panel.place == (6, 20)
    here = found.at(6, 20)
    order = [int(u) for u in np.argsort(-np.abs(here), kind="stable") if here[u]][:MOST_ROWS]
    assert list(panel.units) == order == visible(panel)
    assert f"{here[order[0]]:+.3g}" in row_of(panel, order[0]).bar.value and "at this position" in panel.status
    assert np.abs(shown(panel) - picture).max() > 100, "the position is marked"
    assert (panel.position._x.value, panel.position._y.value) == (20, 6)
    panel.position.everywhere.click()
    settled(panel)
    assert panel.place is None and panel.units == everywhere and np.array_equal(shown(panel), picture)


def test_the_numbers_and_the_button_do_what_a_click_does(make, settled):
    panel = make()
    panel.run()
    panel.position._x.value, panel.position._y.value = 3, 5
    panel.position.here.click()
    settled(panel)
    assert panel.place == (5, 3)


def test_a_position_needs_no_second_attribution(make, settled, monkeypatch):
    panel = make()
    result = panel.run()
    monkeypatch.setattr("cnnwidgets.explain.unit_attribution.UnitAttributionSettings.check", None)
    panel.place = [0, 31]
    settled(panel)
    assert panel.state == "done" and panel.result == result


@pytest.mark.parametrize("place", [(24, 0), (0, 32), (-1, 0), (1.5, 2), "middle", (1,), 3])
def test_a_position_outside_is_refused_and_the_old_one_stays(make, place):
    panel = make()
    panel.run()
    with pytest.raises(BadTarget, match="24 x 32"):
        panel.place = place
    assert panel.place is None


# A unit.


def test_a_unit_is_chosen_by_its_button_and_its_evidence_lies_on_the_photograph(make, settled):
    panel = make(target="bee")
    panel.run()
    whole, unit = shown(panel), panel.units[2]
    row_of(panel, unit).choose.click()
    assert panel.unit == unit and f"Evidence of unit {unit}" in panel._caption.value
    assert not np.array_equal(shown(panel), whole)
    assert "cnnw-chosen-unit" in row_of(panel, unit)._dom_classes
    row_of(panel, unit).choose.click()
    assert panel.unit is None and np.array_equal(shown(panel), whole)


def test_a_unit_without_a_row_gets_one(make, settled):
    panel = make()
    (found,) = panel.run()
    other = next(u for u in range(20) if u not in panel.units)
    panel.unit = other
    settled(panel)
    assert panel.units[-1] == other and len(panel.units) == MOST_ROWS
    assert np.array_equal(panel.result[0].shares, found.shares)


@pytest.mark.parametrize("unit", [20, -1, "3", 1.5])
def test_a_unit_that_does_not_exist_is_refused(make, unit):
    panel = make()
    with pytest.raises(BadTarget, match="0 to 19"):
        panel.unit = unit
    assert panel.unit is None


# Switched off.


def test_a_check_box_switches_a_unit_off_and_the_bars_show_both(make, named, photo, settled):
    panel = make(target="bee")
    panel.run()
    first, second = panel.units[:2]
    row_of(panel, first).is_on.value = False
    assert panel.without == {"conv2": (first,)}
    assert panel.predict_without() == named.predict(photo, 10, without={"conv2": [first]})
    row_of(panel, second).is_on.value = False
    after = named.predict(photo, 10, without={"conv2": [first, second]})
    assert panel.predict_without() == after and panel.predictions == named.predict(photo, 10)
    table = panel.bars._bars.value
    assert all(f"{line.probability:.1%}" in table for line in after) and "without" in table
    assert "units" in panel.bars.words and f"{min(first, second)}, {max(first, second)}" in panel.bars.words
    assert not row_of(panel, first).is_on.value and "cnnw-off" in row_of(panel, first)._dom_classes
    panel.bars.all_on.click()
    assert panel.without == {} and row_of(panel, first).is_on.value and panel.bars.all_on.disabled
    assert panel.predict_without() == named.predict(photo, 10)


def test_units_of_several_layers_are_off_together(make, named, photo, settled):
    panel = make(without={"conv1": [0, 1]})
    panel.run()
    settled(panel)
    row_of(panel, panel.units[0]).is_on.value = False
    off = {"conv1": [0, 1], "conv2": [panel.units[0]]}
    assert panel.predict_without() == named.predict(photo, 10, without=off)
    panel.layer = "conv1"
    settled(panel)
    assert panel.without == {path: tuple(units) for path, units in off.items()}
    assert not row_of(panel, 0).is_on.value
    assert panel.predict_without() == named.predict(photo, 10, without=off)


def test_the_model_is_untouched_while_units_are_off(build, photo, opened):
    model = build()
    before = [weight.numpy().tobytes() for weight in model.weights]
    panel = opened(cw.UnitAttributionPanel(model, photo, without={"conv2": range(20)}))
    panel.run()
    panel.predict_without()
    assert before == [weight.numpy().tobytes() for weight in model.weights]
    assert cw.Network(model).predict(photo) == panel.predictions[:5]


@pytest.mark.parametrize("without", [{"nope": [1]}, {"conv2": [20]}, {"conv2": [-1]}, [3], 7, {"conv2": ["a"]}])
def test_what_cannot_be_off_is_refused(make, without):
    panel = make()
    with pytest.raises(BadTarget):
        panel.without = without
    assert panel.without == {}
    with pytest.raises(BadTarget):
        make(without=without)


def test_another_picture_is_predicted_without_the_same_units(make, named, photo, settled):
    panel = make(without={"conv2": [1]})
    panel.run()
    other = photo[:, ::-1].copy()
    panel.picture = other
    settled(panel)
    assert panel.predictions == named.predict(other, 10)
    assert panel.predict_without() == named.predict(other, 10, without={"conv2": [1]})
    assert same(panel.result, cw.unit_attribution(named, other))


# Settings.


@pytest.mark.parametrize(
    ("setting", "error"),
    [({"layer": "nope"}, BadTarget), ({"target": "unicorn"}, BadTarget), ({"target": 9}, BadTarget),
     ({"against": "bee", "target": "bee"}, BadTarget), ({"of": "x"}, BadTarget), ({"call": 1}, BadTarget),
     ({"output": 1}, BadTarget), ({"seed": 0.5}, BadTarget), ({"size": -3}, BadTarget), ({"atlas": 3}, BadTarget)],
)  # fmt: skip
def test_what_the_verb_refuses_is_refused_at_once(make, setting, error):
    with pytest.raises(error):
        make(**setting)


def test_a_picture_that_is_none_is_refused(named):
    with pytest.raises(BadPicture):
        cw.UnitAttributionPanel(named, "no.png")


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer", "conv1"), ("target", 1), ("against", "bee"), ("of", "log_odds"), ("size", 16), ("call", 0)],
)
def test_a_changed_setting_is_computed_at_once(make, named, photo, settled, name, value):
    panel = make(target=2)
    panel.run()
    setattr(panel, name, value)
    settled(panel)
    assert panel.state == "done"
    assert same(panel.result, cw.unit_attribution(named, photo, **{"target": 2, name: value}))


def test_a_refused_setting_leaves_the_old_one(make, settled):
    panel = make(target=2)
    panel.run()
    for name, value in {"target": "unicorn", "against": 2, "layer": "nope", "of": "x"}.items():
        before = getattr(panel, name)
        with pytest.raises(BadTarget):
            setattr(panel, name, value)
        assert getattr(panel, name) == before
    panel.controls._inputs["against"].value = "cat"
    assert panel.against is None and "against" in panel.status and panel.controls._inputs["against"].value == ""


def test_the_menus_set_the_traits(make, settled):
    panel = make()
    panel.run()
    panel.controls._inputs["layer"].value = "conv1"
    panel.controls._inputs["against"].value = "bee; 3"
    settled(panel)
    assert panel.layer == "conv1" and panel.against == ["bee", 3]
    panel.classes._list.value = 2
    settled(panel)
    assert panel.target == 2 and panel.result[0].target == 2


# Files and code.


def test_the_code_and_the_recipe_make_the_same(make, named, photo, tmp_path):
    panel = make("conv1", "bee", "cat", of="log_odds", without={"conv2": [3, 4]})
    found = panel.run()
    names = {"net": named, "picture": photo}
    exec(panel.snippet(), names)
    assert same(names["found"], found) and names["predictions"] == panel.predict_without()[:5]
    path = panel.save(tmp_path / "units.png")
    recipe = Recipe.from_png(path)
    settings = {"layer": "conv1", "target": "bee", "against": "cat", "of": "log_odds"}
    assert recipe.verb == "unit_attribution" and settings.items() <= dict(recipe.settings).items()
    assert recipe.settings["shown"] == panel.units and recipe == panel.recipe_of()
    assert cw.rerun(path, named, photo) == path.read_bytes()


def test_a_function_is_named_in_the_code(make, named, photo, tmp_path):
    target = lambda output: output[:, 2] - output[:, 1]  # noqa: E731
    panel = make(target=target)
    found = panel.run()
    names = {"net": named, "picture": photo, "target": target}
    exec(panel.snippet(), names)
    assert same(names["found"], found) and panel.save(tmp_path / "own.png").is_file()


def test_a_gif_and_a_still_are_there(make, tmp_path):
    panel = make()
    panel.run()
    assert panel.save(tmp_path / "units.gif").stat().st_size > 100
    assert panel._repr_mimebundle_()["image/png"]
    with pytest.raises(BadTarget):
        panel.save(tmp_path / "units.jpg")


def test_stop_keeps_what_is_there(make, named, photo, waiting):
    panel = make()
    panel.start()
    waiting(lambda: panel.frames_shown)
    panel.stop()
    assert panel.state in ("stopped", "done") and same(panel.result, cw.unit_attribution(named, photo))
    assert worker().jobs == ()


@pytest.mark.parametrize("is_run", [False, True])
def test_nothing_is_left_when_it_is_closed(page, living, named, photo, is_run):
    panel = cw.UnitAttributionPanel(named, photo)
    if is_run:
        panel.run()
    panel.close()
    assert living() == []


# Every kind of model.


@pytest.mark.parametrize("name", ["siamese", "dense_only", "channels_first", "subclassed", "inputs_as_dict"])
def test_every_kind_of_model(kinds, opened, tmp_path, name):
    net, pictures = kinds(name)
    panel = opened(cw.UnitAttributionPanel(net, pictures))
    assert same(panel.run(), cw.unit_attribution(net, pictures)) and panel.state == "done"
    off = {panel.layer: panel.units[:2]}
    panel.without = off
    assert panel.predict_without() == net.predict(pictures, 10**6, without=off)
    path = panel.save(tmp_path / "units.png")
    assert cw.rerun(path, net, pictures) == path.read_bytes()


def test_a_layer_that_is_called_twice_has_a_menu_of_its_calls(kinds, opened, settled):
    net, pictures = kinds("siamese")
    panel = opened(cw.UnitAttributionPanel(net, pictures))
    assert [one.input for one in panel.run()] == ["left", "right"]
    menu = panel.controls._inputs["call"]
    lines = ["the first with a part in it", "call 0 · left", "call 1 · right"]
    assert [words for words, _ in menu.options] == lines and menu.layout.display == ""
    left = shown(panel)
    menu.value = 2
    settled(panel)
    assert panel.call == 1 and [one.input for one in panel.result] == ["right"]
    assert not np.array_equal(shown(panel), left)
    assert panel._last.shown.input == "right" and menu.value == 2


def test_a_layer_without_positions_says_so(kinds, opened):
    net, pictures = kinds("dense_only")
    panel = opened(cw.UnitAttributionPanel(net, pictures))
    panel.run()
    assert panel.layer == "hidden" and "no rows and columns" in panel._caption.value
    assert "background-image" not in row_of(panel, panel.units[0]).map.value and panel.position.here.disabled
    panel._clicked(0.5, 0.5)
    assert panel.place is None and "no rows and columns" in panel.status


def test_values_are_not_called_classes(photo, opened, settled, texts):
    x = picture = keras.Input((24, 32, 3), name="picture")
    x = L.GlobalAveragePooling2D()(L.Conv2D(5, 3, activation="relu", name="conv")(x))
    model = seeded(keras.Model(picture, L.Dense(2, name="box")(x), name="regression"))
    model.compile(loss="mse")
    panel = opened(cw.UnitAttributionPanel(model, photo))
    panel.run()
    assert panel.classes.layout.display == "none" and panel.numbers.layout.display == ""
    assert panel.controls._inputs["against"].layout.display == "none"
    panel.without = {"conv": [0, 1]}
    after = panel.predict_without()
    assert after == panel.net.predict(photo, without={"conv": [0, 1]})
    assert f"{after[0].probability:.4g}" in panel.bars._bars.value and "%" not in panel.bars._bars.value
    words = "; ".join([panel.status, panel.bars.words, panel._caption.value, panel._legend.value, *texts(panel.rows)])
    assert "class" not in re.sub("<[^>]*>", "", words).lower()
    panel.numbers.choice = 1
    settled(panel)
    assert panel.target == 1 and "value 1 of output" in panel._caption.value


def test_notes_of_the_verb_are_shown(build, photo, opened):
    model = build()
    panel = opened(cw.UnitAttributionPanel(model, photo, "logits"))
    panel.run()
    noted = [one for one in cw.unit_attribution(model, photo, "logits") if one.note]
    assert all(one.note.split(":")[0] in panel._notes.value for one in noted)
