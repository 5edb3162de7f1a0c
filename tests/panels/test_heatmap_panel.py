"""Where a network looks: what the panel shows, asks again, paints anew, compares and hides."""

import io
import random

import numpy as np
import PIL.Image
import pytest

import cnnwidgets as cw
from cnnwidgets import pictures
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.explain.overlays import comparison, method_guide
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.panels.heatmaps.heatmap_panel import HeatmapPanel
from cnnwidgets.provenance.recipe import Recipe
from tests.panels.pixels import read
from tests.tiny_networks import fill

L = keras.layers
NAMES = ["ant", "bee", "cat", "<b>dog</b>"]


@pytest.fixture(scope="module")
def siamese():
    """One encoder for two pictures of one size, and one sigmoid."""
    i = keras.Input((16, 16, 3), name="i")
    x = L.Conv2D(6, 3, activation="relu", name="conv")(i)
    encoder = keras.Model(i, L.GlobalAveragePooling2D(name="gap")(x), name="encoder")
    left, right = keras.Input((16, 16, 3), name="left"), keras.Input((16, 16, 3), name="right")
    x = L.Concatenate(name="both")([encoder(left), encoder(right)])
    return fill(keras.Model([left, right], L.Dense(1, activation="sigmoid", name="same")(x), name="siamese"))


@pytest.fixture
def make(named, photo, opened):
    """`make(...)` is a panel of the network with names, closed after the test."""
    return lambda *arguments, **keywords: opened(HeatmapPanel(named, photo, *arguments, **keywords))


@pytest.fixture
def requests(monkeypatch):
    """Every map that is requested in this test."""
    asked = []
    frames = comparison.MapRequest.frames

    def noted(request, picture):
        asked.append(request)
        return frames(request, picture)

    monkeypatch.setattr(comparison.MapRequest, "frames", noted)
    return asked


def shown(panel):
    return np.asarray(PIL.Image.open(io.BytesIO(panel.screen.data)))


def same(mine, others):
    pairs = list(zip(mine, others, strict=True))
    names = all((a.path, a.call, a.input) == (b.path, b.call, b.input) for a, b in pairs)
    return names and all(np.array_equal(a.map, b.map) and np.array_equal(a.raw, b.raw) for a, b in pairs)


# What it shows.


def test_the_result_is_what_the_verb_returns(make, named, photo):
    panel = make("conv1", "bee", "hirescam")
    assert same(panel.run(), cw.class_activation_map(named, photo, "conv1", "bee", "hirescam"))
    assert panel.state == "done" and panel.progress == 1 and panel.frames_shown >= 1
    assert "bee" in panel.status


def test_without_settings_it_explains_the_top_class_at_the_last_layer(make, named, photo):
    panel = make()
    assert same(panel.run(), cw.class_activation_map(named, photo)) and panel.layer == "conv2"
    assert named.predict(photo)[0].name in panel.status


@pytest.mark.parametrize("method", ["smoothgrad", "occlusion", "gradient"])
def test_attributions_are_methods_too(make, named, photo, method):
    assert same(make(method=method, seed=2).run(), cw.attribution(named, photo, None, method, seed=2))


def test_a_bare_model_will_do(build, photo, opened):
    model = build()
    panel = opened(HeatmapPanel(model, photo))
    assert same(panel.run(), cw.class_activation_map(model, photo))


@pytest.mark.parametrize("kind", [list, dict])
def test_two_pictures_have_a_view_each(siamese, opened, texts, kind):
    numbers = np.random.default_rng(0)
    pair = [numbers.uniform(size=(16, 16, 3)), numbers.uniform(size=(20, 40, 3))]
    given = pair if kind is list else dict(zip(["left", "right"], pair, strict=True))
    panel = opened(HeatmapPanel(siamese, given))
    heat = panel.run()
    assert [one.input for one in heat] == ["left", "right"] and same(heat, cw.class_activation_map(siamese, given))
    assert [tile.photo.shape[:2] for tile in panel._shown_tiles.tiles] == [(16, 16), (20, 40)]
    captions = panel.screen.over.value
    assert "left · call 0" in captions and "right · call 1" in captions
    assert panel.hide(39, 19, tile=1).name == "class 1" or panel.hide(39, 19, tile=1).name == "class 0"


def test_the_picture_shown_is_the_overlay(make, photo):
    panel = make(target="cat")
    panel.run()
    expected = pictures.to_uint8(pictures.overlay(pictures.resize(photo, (384, 512)), panel.result[0].map))
    seen = shown(panel)[:384]
    assert seen.shape == (384, 512, 3) and np.abs(seen.astype(int) - expected).max() <= 8


def test_each_class_has_its_probability_beside_its_name(make, named, photo):
    panel = make()
    panel.run()
    for line in named.predict(photo):
        assert f"{line.probability:.1%}" in panel.side.bars.value
    assert panel.side.bars.value.count("cnnw-wanted") == 1


def test_foreign_names_are_escaped(make, texts):
    panel = make(target="<b>dog</b>", second_target="ant")
    panel.run()
    panel._buttons["code"].click()
    assert "<b>dog</b>" not in " ".join(texts(panel)) and "&lt;b&gt;dog" in panel.side.bars.value


def test_a_note_is_said_first(make):
    panel = make(method="eigen_cam")
    panel.run()
    assert panel.status.startswith("Not class-specific: ")


def test_a_picture_with_a_text_equivalent(make, texts):
    panel = make(target="cat")
    panel.run()
    assert "Grad-CAM" in panel.screen.over.value and "cat" in panel.screen.over.value
    assert 'role="img"' in panel._legend.value and 'role="list"' in panel.side.bars.value


# Asked again.


def test_before_the_first_start_nothing_is_computed(make, requests):
    panel = make()
    panel.target, panel.layer = "bee", "conv1"
    assert requests == [] and panel.state == "idle" and panel.screen.is_empty


CHANGES = [
    {"target": "ant"},
    {"target": 1},
    {"layer": "conv1"},
    {"method": "layer_cam"},
    {"method": "gradient"},
    {"second_method": "eigen_cam"},
    {"second_target": "ant"},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_after_it_a_change_is_shown_at_once(make, settled, requests, change):
    panel = make()
    panel.run()
    before = len(requests)
    (name, value), = change.items()  # fmt: skip
    setattr(panel, name, value)
    settled(panel)
    assert len(requests) > before and panel.state == "done"
    assert any(getattr(q, name.removeprefix("second_")) == value for q in panel._last.requests)


def test_another_picture_is_shown_at_once(make, named, photo, settled):
    panel = make()
    panel.run()
    code = panel.recipe_of()
    panel.picture = photo[:, ::-1]
    settled(panel)
    assert same(panel.result, cw.class_activation_map(named, photo[:, ::-1]))
    assert panel.recipe_of().settings["picture"] != code.settings["picture"]


def test_a_changed_array_is_not_seen(make, named, photo, opened):
    mine = photo.copy()
    panel = opened(HeatmapPanel(named, mine))
    mine[:] = 0
    assert same(panel.run(), cw.class_activation_map(named, photo))


def test_new_weights_are_seen(build, photo, opened, settled):
    model = build()
    panel = opened(HeatmapPanel(model, photo, target=1))
    panel.run()
    fill(model, seed=5)
    panel.target = 2
    settled(panel)
    assert same(panel.result, cw.class_activation_map(model, photo, target=2))


def test_the_newest_setting_wins(make, named, photo, settled):
    panel = make()
    panel.run()
    for target in [0, 1, 2, 3, 0, 1]:
        panel.target = target
    settled(panel)
    assert same(panel.result, cw.class_activation_map(named, photo, target=1)) and "bee" in panel.status


def test_the_code_and_recipe_are_those_of_what_is_shown(make, named, photo, tmp_path):
    panel = make("conv1", "bee", "layer_cam", opacity=0.5, threshold=0.25, seed=4)
    heat = panel.run()
    names = {"net": named, "picture": photo}
    exec(panel.snippet(), names)
    assert same(names["heat"], heat)
    recipe = Recipe.from_png(panel.save(tmp_path / "heat.png"))
    settings = {"layer": "conv1", "target": "bee", "method": "layer_cam", "opacity": 0.5, "threshold": 0.25, "seed": 4}
    assert recipe.verb == "class_activation_map" and settings.items() <= dict(recipe.settings).items()
    assert len(recipe.settings["picture"]) == 64 and recipe == panel.recipe_of()


def test_the_code_of_an_attribution(make, named, photo):
    panel = make(target=2, method="smoothgrad", seed=1)
    heat = panel.run()
    names = {"net": named, "picture": photo}
    exec(panel.snippet(), names)
    assert panel.recipe_of().verb == "attribution" and same(names["heat"], heat)


def test_a_function_is_named_in_the_code(make, named, photo, tmp_path):
    target = lambda output: output[:, 2] - output[:, 1]  # noqa: E731
    panel = make(target=target)
    heat = panel.run()
    names = {"net": named, "picture": photo, "target": target}
    exec(panel.snippet(), names)
    assert same(names["heat"], heat) and panel.save(tmp_path / "own.png").is_file()
    assert panel.hide(5, 5).name == "" and "your function" in panel.status


# The method follows the layer.


def test_the_method_follows_the_depth_and_says_so(make, settled):
    panel = make()
    panel.layer = "conv1"
    assert panel.method == "layer_cam" and "now LayerCAM" in panel.status
    panel.run()
    assert "now LayerCAM" in panel.status
    panel.layer = "conv2"
    settled(panel)
    assert panel.method == "grad_cam" and panel.status.startswith("The method is now Grad-CAM")
    panel.target = 1
    settled(panel)
    assert "now" not in panel.status


@pytest.mark.parametrize("by", ["constructor", "trait", "menu"])
def test_a_method_that_was_chosen_stays(make, by):
    panel = make(method="hirescam") if by == "constructor" else make()
    if by == "trait":
        panel.method = "xgrad_cam"
    elif by == "menu":
        panel.controls._inputs["method"].value = "score_cam"
    chosen = panel.method
    panel.layer = "conv1"
    assert panel.method == chosen != "layer_cam" and panel.status == ""


# Painted anew.


@pytest.mark.parametrize(("name", "value"), [("opacity", 0.1), ("threshold", 0.8), ("colormap", "RdBu_r")])
def test_paint_needs_no_network(make, settled, requests, name, value):
    panel = make(target="cat")
    panel.run()
    before, heat, count = shown(panel), panel.result, len(requests)
    setattr(panel, name, value)
    now = shown(panel)
    assert np.abs(now.astype(int) - before).max() > 20
    settled(panel)
    exact = shown(panel)
    assert panel.screen._image.format == "png" and np.abs(exact.astype(int) - now).mean() < 3
    assert len(requests) == count and panel.result is heat and panel.state == "done"


def test_without_opacity_only_the_picture_is_left(make, photo, tmp_path):
    panel = make(opacity=0)
    panel.run()
    assert np.array_equal(read(panel.save(tmp_path / "heat.png")), pictures.to_uint8(photo))


def test_a_png_is_the_overlay_at_the_pictures_own_size(make, photo, tmp_path):
    panel = make(target="cat", opacity=0.6, colormap="magma")
    heat = panel.run()
    expected = pictures.to_uint8(pictures.overlay(photo, heat[0].map, "magma", 0.6))
    assert np.abs(read(panel.save(tmp_path / "heat.png")).astype(int) - expected).max() <= 1


def test_a_threshold_hides_what_is_below_it(make, photo, tmp_path):
    panel = make(target="cat", threshold=0.5)
    heat = panel.run()[0].map
    saved = read(panel.save(tmp_path / "heat.png"))
    untouched = (saved == pictures.to_uint8(photo)).all(-1)
    assert untouched[heat < 0.49].all() and not untouched[heat > 0.51].any() and (heat > 0.51).any()


# Side by side.


def test_two_classes_share_a_color_scale(make, named, photo, tmp_path):
    panel = make(target="cat", second_target="bee")
    panel.run()
    tiles = panel._shown_tiles
    raws = [tile.heat.raw.max() for tile in tiles.tiles]
    assert tiles.columns == 2 and tiles.shares_scale
    assert tiles.largest(0) == tiles.largest(1) == pytest.approx(max(*raws, 0))
    assert same([tiles.tiles[1].heat], cw.class_activation_map(named, photo, target="bee"))
    assert same(panel.result, cw.class_activation_map(named, photo, target="cat"))
    assert read(panel.save(tmp_path / "both.png")).shape == (24, 66, 3)


def test_two_methods_explain_the_same_class(make, named, photo):
    panel = make(target="cat", second_method="eigen_cam")
    panel.run()
    first, second = panel._shown_tiles.tiles
    assert same([second.heat], cw.class_activation_map(named, photo, target="cat", method="eigen_cam"))
    assert not panel._shown_tiles.shares_scale and "each map's largest" in panel._legend.value.replace("&#x27;", "'")


def test_another_network_stands_beside_with_its_own_last_layer(make, build, photo):
    other = Network(build("first", name="other"), class_names=NAMES[::-1])
    panel = make(target=0, second_net=other)
    panel.run()
    second = panel._shown_tiles.tiles[1]
    assert same([second.heat], cw.class_activation_map(other, photo, target="ant"))
    assert "other" in panel.screen.over.value
    (beside,) = panel.recipe_of().settings["beside"]
    assert (beside["network"], beside["fingerprint"]) == ("other", other.fingerprint())
    before = panel.recipe_of().key()
    other.model.set_weights([2 * weight for weight in other.model.get_weights()])
    assert panel.recipe_of().key() != before, "another network beside it is another picture"


def test_the_hints_name_the_method_for_early_layers_as_the_panel_chooses_it():
    early = [method for method in method_guide.WORDS if "early" in method_guide.sentence(method)]
    assert early == [method_guide.BEFORE] and not [
        m for m in method_guide.WORDS if "any layer" in method_guide.sentence(m)
    ]


def test_the_sanity_check_is_another_map_of_the_same_class(make, named, photo):
    before = [weight.numpy() for weight in named.model.weights]
    panel = make(sanity_check=True)
    panel.run()
    first, second = panel._shown_tiles.tiles
    assert not np.allclose(first.heat.map, second.heat.map) and "shuffled weights" in panel.screen.over.value
    assert panel._last.predictions[0].name in panel.screen.over.value
    assert all(np.array_equal(a, b) for a, b in zip(before, named.model.weights, strict=True))


def test_shuffling_leaves_the_model_and_the_users_random_numbers_alone(build):
    model = build()
    before, state = [weight.numpy() for weight in model.weights], random.getstate()
    copy, again, other = randomized(model), randomized(model), randomized(model, seed=1)
    assert random.getstate() == state
    assert all(np.array_equal(a, b) for a, b in zip(before, model.weights, strict=True))
    kernels = [one.model.get_layer("conv2").kernel.numpy() for one in (copy, again, other)]
    assert np.array_equal(kernels[0], kernels[1]) and not np.array_equal(kernels[0], kernels[2])
    assert np.array_equal(np.sort(kernels[0].ravel()), np.sort(model.get_layer("conv2").kernel.numpy().ravel()))
    assert not np.array_equal(kernels[0], model.get_layer("conv2").kernel.numpy())


class Stubborn(keras.Model):
    """A model that cannot be copied."""

    def __init__(self, secret):
        super().__init__(name="stubborn")
        self.conv, self.pool, self.head = L.Conv2D(4, 3, name="c"), L.GlobalAveragePooling2D(), L.Dense(2)

    def call(self, x, training=False):
        return self.head(self.pool(self.conv(x)))


def test_a_model_that_cannot_be_copied_is_said_to_be_so(photo, opened, settled):
    model = Stubborn("secret")
    model(np.zeros((1, 24, 32, 3), np.float32))
    with pytest.raises(BadModel, match="cannot be copied"):
        randomized(model)
    panel = opened(HeatmapPanel(model, photo))
    heat = panel.run()
    panel.sanity_check = True
    settled(panel)
    assert panel.state == "error" and "cannot be copied" in panel.status and same(panel.result, heat)
    panel.sanity_check = False
    settled(panel)
    assert panel.state == "done"


# A hidden region.


def click(panel, x, y, width=512, height=408):
    """A click at a share (x, y) of the picture on the page."""
    event = {"relativeX": x * width, "relativeY": y * height, "boundingRectWidth": width, "boundingRectHeight": height}
    panel.screen._events._dom_handlers(event)


def test_a_click_tells_the_evidence_and_what_changes(make, named, photo, settled):
    panel = make(target="cat")
    heat = panel.run()[0]
    x, y = 20, 9
    click(panel, (x + 0.5) / 32, (y + 0.5) / 24 * 384 / 408)
    settled(panel)
    assert f"x {x}, y {y}: evidence {heat.raw[y, x]:.3g}, {heat.map[y, x]:.0%} of the largest." in panel.region.line
    covered = photo.copy()
    covered[7:11, 18:22] = 0.5
    index = NAMES.index("cat")
    before, after = (next(p.probability for p in named.predict(one) if p.index == index) for one in (photo, covered))
    assert panel.hidden.before == pytest.approx(before) and panel.hidden.after == pytest.approx(after, abs=1e-5)
    assert f"{after:.1%}" in panel.region.line and after != before


def test_a_hidden_region_is_marked_until_the_next_run(make, settled):
    panel = make()
    panel.run()
    settled(panel)
    plain = shown(panel)
    panel.hide(16, 12)
    settled(panel)
    marked = shown(panel)
    assert (marked[190:200, 250:262] == 128).all() and not np.array_equal(plain, marked)
    panel.start()
    settled(panel)
    assert panel.hidden is None and np.array_equal(shown(panel), plain)


def test_the_keyboard_reaches_every_position(make, waiting):
    panel = make()
    panel.run()
    panel.region._x.value, panel.region._y.value = 31, 23
    panel.region._button.click()
    waiting(lambda: panel.hidden is not None)
    assert panel.hidden.square == pytest.approx((28 / 32, 20 / 24, 1, 1))
    panel.region._x.max = 100
    panel.region._x.value = 99
    panel.region._button.click()
    assert "outside the picture" in panel.status and panel.state == "done"


def test_a_click_on_an_empty_panel_does_nothing(make):
    panel = make()
    click(panel, 0.5, 0.5)
    assert "no map yet" in panel.status and panel.state == "idle"


@pytest.mark.parametrize("position", [(-1, 0), (32, 0), (0, 24)])
def test_a_position_outside_is_refused(make, position):
    panel = make()
    with pytest.raises(BadTarget, match="no map yet"):
        panel.hide(0, 0)
    panel.run()
    with pytest.raises(BadTarget, match="outside the picture"):
        panel.hide(*position)
    with pytest.raises(BadTarget, match="no map 1"):
        panel.hide(0, 0, tile=1)


# Choosing a class.


def test_the_networks_own_classes_come_first_in_the_menu(make, named, photo):
    panel = make()
    panel.run()
    first, *others = panel.controls.classes.shown
    assert first == f"the top class ({named.predict(photo)[0].name})"
    assert [line.split("  ")[-1] for line in others] == [p.name for p in named.predict(photo)]


def test_a_class_can_be_chosen_before_the_first_start(make, named, photo):
    panel = make()
    assert panel.controls.classes.shown == ("the top class", *NAMES)
    panel.controls.classes._list.index = 2
    assert panel.target == 1 and same(panel.run(), cw.class_activation_map(named, photo, target=1))


def test_the_menus_say_what_is_set(make):
    panel = make(second_method="eigen_cam", second_target=2, sanity_check=True, opacity=0.25, colormap="magma")
    inputs = panel.controls._inputs
    controls = {name: widget.value for name, widget in inputs.items()}
    assert inputs["second_method"].choice == "eigen_cam" and inputs["second_method"].label == "Eigen-CAM"
    assert controls["second_target"] == "2" and controls["sanity_check"]
    assert controls["opacity"] == 0.25 and controls["colormap"] == "magma" and controls["layer"] == "conv2"
    panel.controls._inputs["second_method"].choice = None
    panel.controls._inputs["second_target"].value = "bee"
    assert panel.second_method is None and panel.second_target == "bee"


def test_the_search_finds_a_class_and_choosing_it_explains_it(make, settled):
    panel = make()
    panel.run()
    menu = panel.controls.classes
    menu._search.value = "BEE"
    assert [line.split("  ")[-1] for line in menu.shown[1:]] == ["bee"]
    menu._list.index = 1
    settled(panel)
    assert panel.target == 1 and "bee" in panel.status
    menu._search.value = ""
    menu._list.index = 0
    settled(panel)
    assert panel.target is None


# What cannot be.

WRONG = [
    ({"layer": "nope"}, BadTarget, "nearest|there are"),
    ({"layer": "gap"}, BadTarget, "no rows and columns"),
    ({"method": "grad_cat"}, BadTarget, "grad_cam"),
    ({"target": "elephant"}, BadTarget, "elephant"),
    ({"target": 4}, BadTarget, "0 to 3"),
    ({"output": 3}, BadTarget, "no output"),
    ({"seed": 1.5}, BadTarget, "1.5"),
    ({"opacity": 1.2}, BadTarget, "opacity"),
    ({"threshold": "much"}, BadTarget, "threshold"),
    ({"colormap": "jet"}, BadTarget, "viridis"),
    ({"second_method": "nope"}, BadTarget, "nope"),
]


@pytest.mark.parametrize(("setting", "error", "words"), WRONG, ids=str)
def test_the_constructor_raises_what_the_verb_would(make, setting, error, words):
    with pytest.raises(error, match=words):
        make(**setting)


@pytest.mark.parametrize(("setting", "error", "words"), WRONG, ids=str)
def test_a_setting_that_cannot_be_leaves_the_old_one(make, setting, error, words):
    panel = make()
    (name, value), = setting.items()  # fmt: skip
    before = getattr(panel, name)
    with pytest.raises(error):
        setattr(panel, name, value)
    assert getattr(panel, name) == before


def test_no_picture_is_refused(named):
    with pytest.raises(BadPicture):
        HeatmapPanel(named, "nowhere.png")
    with pytest.raises(BadPicture):
        HeatmapPanel(named, [1, 2, 3])


def test_what_a_control_asks_in_vain_is_said_in_the_status_line(make):
    panel = make()
    panel.run()
    panel.controls._inputs["second_target"].value = "elephant"
    assert "elephant" in panel.status and panel.second_target is None and panel.state == "done"
    assert panel.controls._inputs["second_target"].value == ""


# Closing.


def test_a_panel_that_has_run_leaves_no_widget(named, photo, page, living, settled):
    panel = HeatmapPanel(named, photo)
    made = len(living())
    panel.run()
    panel.hide(3, 3)
    for name, value in [("layer", "conv1"), ("target", 2), ("opacity", 0.2), ("second_target", 1)]:
        setattr(panel, name, value)
        settled(panel)
    panel.controls._more.value = True
    assert len(living()) == made, "widgets are made once and changed, not made anew"
    panel.close()
    panel.close()
    assert living() == []


def test_a_stopped_slow_method_keeps_its_last_map(make, waiting, settled):
    panel = make(method="rise")
    panel.start()
    waiting(lambda: panel.frames_shown)
    panel.stop()
    settled(panel)
    assert panel.state in ("stopped", "done") and panel.result[0].map.shape == (24, 32)


def test_repr_is_one_line(make):
    assert repr(make()) == "HeatmapPanel('small', idle)"
