"""A saved picture is made again from the recipe inside it: the same bytes."""

import io

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets.explain.overlays import unit_tiles
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.recorded_targets import pack_mask
from cnnwidgets.model.backend import keras
from cnnwidgets.pictures import read_png_metadata, to_png, to_uint8
from cnnwidgets.provenance.positions import renamed, with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions
from tests.tiny_networks import fill

L = keras.layers


def small(name="small"):
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(6, 3, padding="same", activation="relu", name="conv1")(x)
    x = L.Conv2D(20, 3, padding="same", activation="relu", name="conv2")(x)
    x = L.Conv2D(70, 3, 2, activation="relu", name="conv3")(x)
    model = keras.Model(picture, L.Dense(4, name="logits")(L.GlobalAveragePooling2D(name="gap")(x)), name=name)
    return fill(model)


@pytest.fixture(scope="module")
def net():
    return cw.Network(small(), "unit")


@pytest.fixture(scope="module")
def photo():
    rows, columns = np.mgrid[:40, :52] / 40
    picture = np.stack([rows, columns / 1.3, (np.sin(9 * columns) + 1) / 2], -1) + np.random.default_rng(1).random(
        (40, 52, 3)
    )
    return (127 * picture).astype(np.uint8)


@pytest.fixture
def saved(tmp_path):
    """`saved(panel)` is the path of what the panel makes, saved."""
    panels = []

    def save(panel, run=True):
        panels.append(panel)
        if run:
            panel.run()
        return panel.save(tmp_path / "picture.png")

    yield save
    for panel in panels:
        panel.close()


PANELS = {
    "gallery": lambda net, photo: cw.FilterGallery(net, "conv2", units=range(5), size=32, steps=4, seed=3),
    "classes": lambda net, photo: cw.ClassGallery(net, [2, 0], size=32, steps=4),
    "maps": lambda net, photo: cw.FeatureMapPanel(net, photo, "conv3"),
    "maps, as the books": lambda net, photo: cw.FeatureMapPanel(net, photo, "conv1", order="index", how="books"),
    "heatmap": lambda net, photo: cw.HeatmapPanel(net, photo, "conv2", opacity=0.4, threshold=0.1, colormap="magma"),
    "signed": lambda net, photo: cw.HeatmapPanel(net, photo, target=1, method="hirescam", colormap="RdBu_r"),
    "pixels": lambda net, photo: cw.HeatmapPanel(net, photo, target=2, method="smoothgrad", seed=4),
    "beside": lambda net, photo: cw.HeatmapPanel(net, photo, second_method="gradient", sanity_check=True, seed=1),
    "two classes": lambda net, photo: cw.HeatmapPanel(net, photo, target=0, second_target=3),
    "dream": lambda net, photo: cw.DeepDreamPanel(net, photo, {"conv2": 1.0, "conv1": 0.5}, octaves=2, steps=3, seed=2),
    "dream of a preset": lambda net, photo: cw.DeepDreamPanel(net, photo, octaves=2, steps=2, step_size=0.01),
    "nudge": lambda net, photo: cw.AdversarialPanel(net, photo, target=1, steps=3),
    "away": lambda net, photo: cw.AdversarialPanel(net, photo, epsilon=8 / 255, steps=4),
    "search": lambda net, photo: cw.AdversarialPanel(net, photo, target=1, steps=5, method="random_search", seed=6),
}  # fmt: skip
OF_A_PHOTOGRAPH = [name for name in PANELS if name not in ("gallery", "classes")]


@pytest.mark.parametrize("name", PANELS)
def test_what_a_panel_saves_is_made_again_byte_for_byte(net, photo, saved, name):
    path = saved(PANELS[name](net, photo))
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_a_dream_of_several_layers_is_the_same_whatever_order_they_were_given_in(net, photo, saved):
    weights = {"conv3": 0.3, "conv1": 0.7, "conv2": 0.1}
    path = saved(cw.DeepDreamPanel(net, photo, weights, octaves=1, steps=40))
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_another_page_of_maps_is_made_again(net, photo, saved):
    panel = cw.FeatureMapPanel(net, photo, "conv3")
    panel.run()
    panel._turn(1)
    path = saved(panel, run=False)
    assert len(read_png_metadata(path)["settings"]["shown"]) == 6
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_another_call_of_a_shared_layer_is_made_again(photo, saved):
    picture = keras.Input((None, None, 3))
    conv = L.Conv2D(3, 3, padding="same", name="conv")
    net = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(conv(conv(picture))))), "unit")
    path = saved(cw.FeatureMapPanel(net, photo, "conv", call=1))
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_several_pictures_are_given_again_as_they_were(photo, saved):
    left, right = (keras.Input((24, 24, 3), name=name) for name in ("left", "right"))
    conv = L.Conv2D(3, 3, name="conv")
    pooled = [L.GlobalAveragePooling2D()(conv(side)) for side in (left, right)]
    net = cw.Network(keras.Model([left, right], L.Dense(2)(L.Subtract()(pooled)), name="pair"), "unit")
    path = saved(cw.HeatmapPanel(net, [photo, 255 - photo], target=1))
    assert cw.rerun(path, net, [photo, 255 - photo]) == path.read_bytes()
    with pytest.raises(cw.BadPicture, match="another photograph"):
        cw.rerun(path, net, [255 - photo, photo])


@pytest.mark.parametrize("kind", [cw.DeepDreamPanel, cw.AdversarialPanel])
def test_an_earlier_step_is_made_again(net, photo, saved, kind):
    panel = kind(net, photo, steps=500)
    panel.observe(lambda change: panel._stop_soon(), "frames_shown")
    path = saved(panel)
    settings = read_png_metadata(path)["settings"]
    assert panel.state == "stopped" and settings["until"] == panel.result.step < panel.result.steps
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_a_heatmap_that_was_stopped_is_made_again(net, photo, saved):
    panel = cw.HeatmapPanel(net, photo, method="occlusion")
    panel.observe(lambda change: panel._stop_soon(), "frames_shown")
    path = saved(panel)
    assert panel.state == "stopped" and read_png_metadata(path)["settings"]["until"] >= 1
    assert cw.rerun(path, net, photo) == path.read_bytes()


def test_a_photograph_may_be_the_file_it_came_from(net, photo, saved, tmp_path):
    file = tmp_path / "photo.png"
    file.write_bytes(to_png(photo))
    path = saved(cw.AdversarialPanel(net, str(file), steps=2))
    assert cw.rerun(path, net, file) == cw.rerun(path, net, photo) == path.read_bytes()


# What cannot be made again.


@pytest.mark.parametrize("name", OF_A_PHOTOGRAPH)
def test_without_the_photograph_or_with_another_it_says_what_to_give(net, photo, saved, name):
    path = saved(PANELS[name](net, photo))
    with pytest.raises(cw.BadPicture, match=r"needs the photograph it began with\. Give it as picture="):
        cw.rerun(path, net)
    other = photo.copy()
    other[0, 0, 0] ^= 1
    with pytest.raises(cw.BadPicture, match=r"another photograph .* Give the original"):
        cw.rerun(path, net, other)


def test_other_weights_are_refused(net, photo, saved):
    path = saved(cw.AdversarialPanel(net, photo, steps=1))
    other = small()
    other.weights[0].assign_add(other.weights[0] * 0 + 1e-3)
    with pytest.raises(cw.BadModel, match="differs from the network of the picture"):
        cw.rerun(path, other, photo)


def test_a_network_of_ones_own_is_asked_for(net, photo, saved):
    path = saved(cw.AdversarialPanel(net, photo, steps=1))
    with pytest.raises(cw.BadTarget, match="Give it as net"):
        cw.rerun(path, picture=photo)


def test_a_steered_dream_says_that_its_settings_do_not_tell(net, photo, saved):
    panel = cw.DeepDreamPanel(net, photo, "conv2", octaves=1, steps=300)
    once = []

    def steer(_change):
        if not once:
            once.append(True)
            panel.step_size = 0.005

    panel.observe(steer, "frames_shown")
    path = saved(panel)
    with pytest.raises(cw.BadTarget, match="changed while it ran"):
        cw.rerun(path, net, photo)


def test_a_function_as_target_says_so(net, photo, saved):
    path = saved(cw.HeatmapPanel(net, photo, target=lambda output: output[:, 0] - output[:, 1]))
    with pytest.raises(cw.BadTarget, match="explains a function"):
        cw.rerun(path, net, photo)


def test_another_network_beside_says_so(net, photo, saved):
    path = saved(cw.HeatmapPanel(net, photo, second_net=cw.Network(small("other"), "tf")))
    with pytest.raises(cw.BadTarget, match="compares with the network 'other'"):
        cw.rerun(path, net, photo)


def test_another_network_of_the_same_name_beside_is_not_taken_for_the_first(net, photo, saved):
    other = cw.Network(small(net.name), "unit")
    other.model.set_weights([2 * weight for weight in other.model.get_weights()])
    path = saved(cw.HeatmapPanel(net, photo, second_net=other))
    with pytest.raises(cw.BadTarget, match="compares with"):
        cw.rerun(path, net, photo)


def test_a_picture_without_a_recipe_is_refused(net, photo):
    with pytest.raises(cw.BadPicture):
        cw.rerun(to_png(photo), net, photo)


def unnamed(names=(None, None)):
    """Two convolutions of one shape, and two outputs, that leave their names to Keras."""
    keras.utils.set_random_seed(2)
    x = picture = keras.Input((32, 32, 3))
    for name in names:
        x = L.Conv2D(3, 3, padding="same", activation="elu", name=name)(x)
    pooled = L.GlobalAveragePooling2D()(x)
    return cw.Network(keras.Model(picture, [L.Dense(2)(pooled), L.Dense(2)(pooled)], name="unnamed"), "unit")


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def convolutions(net):
    return [info.path for info in net.layers if info.kind == "conv"]


def of_the_second(net, photo):
    """Panels of the second convolution, which in the next network of this kind has another name."""
    first, second = convolutions(net)
    output = net.outputs[1].name
    yield cw.FilterGallery(net, second, units=range(2), size=32, steps=2)
    yield cw.HeatmapPanel(net, photo, second, target=0, output=output, second_method="hirescam")
    yield cw.DeepDreamPanel(net, photo, {first: 0.5, second: 1.0}, octaves=1, steps=2)
    yield cw.FeatureMapPanel(net, photo, second)


def test_the_same_network_under_other_names_makes_the_same_bytes(photo, saved):
    net = unnamed()
    for panel in of_the_second(net, photo):
        path = saved(panel)
        again = unnamed()
        assert not set(convolutions(again)) & set(convolutions(net))
        assert cw.rerun(path, again, photo) == path.read_bytes()


def test_a_name_that_another_layer_has_now_never_means_that_layer(photo, saved):
    net = unnamed()
    swapped = unnamed(convolutions(net)[::-1])
    assert convolutions(swapped) == convolutions(net)[::-1]
    for panel in of_the_second(net, photo):
        path = saved(panel)
        assert cw.rerun(path, swapped, photo) == path.read_bytes()


def test_a_recipe_without_positions_goes_by_the_names(net, photo, saved):
    path = saved(cw.FeatureMapPanel(net, photo, "conv3"))
    recipe = read_png_metadata(path)
    assert recipe["settings"].pop("positions") == {"conv3": [i.path for i in net.layers].index("conv3")}
    again = cw.rerun(to_png(np.zeros((1, 1, 3), np.uint8), recipe), net, photo)
    assert np.array_equal(pixels(again), pixels(path.read_bytes()))


@pytest.mark.parametrize("positions", [{"conv3": 99}, {"conv3": "1"}, {"conv3": -1}, 3])
def test_positions_that_the_network_does_not_have_are_refused(net, photo, saved, positions):
    recipe = read_png_metadata(saved(cw.FeatureMapPanel(net, photo, "conv3")))
    recipe["settings"]["positions"] = positions
    with pytest.raises(cw.BadTarget, match="positions"):
        cw.rerun(to_png(np.zeros((1, 1, 3), np.uint8), recipe), net, photo)


# Verbs whose pictures are made from a recipe alone, and targets that are regions.

MASK = np.zeros((40, 52), bool)
MASK[5:9, 30:44] = True


def remade(net, verb, settings, photo):
    """A PNG of a recipe, made again."""
    held = HeldPicture(net, photo)
    settings = {"picture": held.digest, **settings}
    recipe = Recipe(verb, net.name, net.fingerprint(), with_positions(settings, net), installed_versions(), "cpu")
    return pixels(cw.rerun(to_png(np.zeros((1, 1, 3), np.uint8), recipe.to_dict()), net, photo)), recipe


def run_snippet(recipe, net, photo):
    names = {"net": net, "picture": photo}
    exec(recipe.snippet(), names)
    return names


def segmentation():
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    model = keras.Model(picture, L.Conv2D(3, 1, activation="softmax", name="classes")(x), name="segmentation")
    numbers = np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(numbers.normal(0, 0.5, tuple(weight.shape)))
    return cw.Network(model, "unit", class_names=["sky", "road", "tree"])


def test_units_of_an_attribution_are_drawn_again_and_its_snippet_finds_the_same(net, photo):
    settings = {
        "layer": "conv2",
        "target": 1,
        "against": [0, 2],
        "shown": [3, 0, 7],
        "columns": 2,
        "without": {"conv2": [3]},
    }
    made, recipe = remade(net, "unit_attribution", settings, photo)
    found = cw.unit_attribution(net, photo, "conv2", 1, [0, 2])
    expected = unit_tiles.mosaic(found[0], cw.load_picture(photo), [3, 0, 7], 2)
    assert np.array_equal(made, to_uint8(expected))
    names = run_snippet(recipe, net, photo)
    assert np.array_equal(names["found"][0].shares, found[0].shares)
    assert names["predictions"] == net.predict(photo, without={"conv2": [3]}) != net.predict(photo)


def test_layers_of_units_switched_off_follow_the_layers_of_a_network_under_other_names(photo):
    net, again = unnamed(), unnamed()
    first, second = convolutions(net)
    settings = with_positions({"layer": second, "without": {first: [0]}}, net)
    assert renamed(settings, again)["without"] == {convolutions(again)[0]: [0]}


@pytest.mark.parametrize("several", [False, True])
def test_a_check_of_maps_is_made_again_from_the_settings_of_the_maps(net, photo, several):
    one = {"verb": "class_activation_map", "layer": "conv2", "target": 1, "method": "hirescam"}
    two = {"verb": "attribution", "target": 1, "method": "gradient", "index": 0}
    heat = {"HiResCAM": one, "Gradient": two} if several else one
    made, recipe = remade(net, "faithfulness", {"heat": heat, "target": 1, "steps": 4, "until": 1}, photo)
    assert made.shape == (40, 52, 3)
    names = run_snippet(recipe, net, photo)
    maps = {
        "HiResCAM": cw.class_activation_map(net, photo, "conv2", 1, "hirescam")[0],
        "Gradient": cw.attribution(net, photo, 1, "gradient")[0],
    }
    expected = cw.faithfulness(net, photo, maps if several else maps["HiResCAM"], 1, steps=4)
    for name, curve in names["curve"].items() if several else [("", names["curve"])]:
        assert np.array_equal(curve.values, (expected[name] if several else expected).values)


def test_a_check_of_a_map_that_no_verb_makes_is_refused(net, photo):
    with pytest.raises(cw.BadTarget, match="must be a map by class_activation_map or attribution"):
        remade(net, "faithfulness", {"heat": {"verb": "ascend", "steps": 2}}, photo)


@pytest.mark.parametrize("where", [MASK, (5, 30, 9, 44)], ids=["mask", "box"])
def test_a_region_as_target_is_made_again_and_written_as_code(photo, saved, where):
    net = segmentation()
    target = cw.targets.region("road", where)
    path = saved(cw.HeatmapPanel(net, photo, "conv", target=target))
    assert cw.rerun(path, net, photo) == path.read_bytes()
    recipe = Recipe.from_png(path)
    assert len(recipe.to_json()) < 3000
    (heat,) = run_snippet(recipe, net, photo)["heat"]
    assert np.array_equal(heat.raw, cw.class_activation_map(net, photo, "conv", cw.targets.region("road", MASK))[0].raw)


@pytest.mark.parametrize(
    "target", [{"class": 1}, {"box": [0, 0, 4, 4]}, {"class": 1, "mask": "!", "size": [4, 4]},
               {"class": 1, "mask": pack_mask(MASK), "size": [40, 53]}, {"class": 1, "box": [3, 3, 3, 9]},
               {"class": 1, "mask": pack_mask(MASK), "size": [10**6, 10**6]}, {"class": 1, "box": 3}],
)  # fmt: skip
def test_a_damaged_region_is_refused(photo, target):
    with pytest.raises(cw.BadTarget):
        remade(
            segmentation(), "unit_attribution", {"layer": "conv", "target": target, "shown": [0], "columns": 1}, photo
        )


@pytest.mark.parametrize(
    ("verb", "settings"),
    [
        ("accentuate", {"layer": "conv2", "unit": 3, "strength": 2.0, "steps": 3, "size": 40, "seed": 1}),
        ("caricature", {"layer": "conv2", "steps": 3, "power": 1.0, "call": 0, "size": 40, "seed": 1}),
    ],
)
def test_a_picture_of_a_photograph_is_made_again_and_its_snippet_makes_the_same(net, photo, verb, settings):
    given = {**settings, "picture": HeldPicture(net, photo).digest}
    recipe = Recipe(verb, net.name, net.fingerprint(), given, installed_versions(), "cpu")
    names = {"net": net, "picture": photo}
    exec(recipe.snippet(), names)
    png = to_png(to_uint8(names["frame"].pictures[0]), recipe.to_dict())
    assert cw.rerun(png, net, photo) == png
    with pytest.raises(cw.BadPicture, match="another photograph"):
        cw.rerun(png, net, photo[::-1])
