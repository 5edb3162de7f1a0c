"""Feature maps are the layers' own outputs, in one pass; shown as the books show them, and ranked."""

import warnings

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets import samples
from cnnwidgets.activations.feature_maps import display_maps, feature_maps, silent_share, top_units
from cnnwidgets.errors import BadModel, BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network

L = keras.layers


def close(found, expected):
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-4, atol=1e-5)


def submodel(model, *paths):
    return keras.Model(model.inputs[0], [model.get_layer(path).output for path in paths])


# -- feature maps


def test_all_layers_asked_for_come_as_they_are(net, noise):
    picture = noise(20, 24, 3)
    paths = ["conv1", "pool1", "conv2", "gap", "logits", "predictions"]
    found = feature_maps(net("plain"), picture, paths)
    assert list(found) == paths
    for path, expected in zip(paths, submodel(net("plain").model, *paths)(picture[None]), strict=True):
        close(found[path], expected[0])
    assert found["conv2"].shape == (10, 12, 12) and found["gap"].shape == (12,)


def test_all_convolutions_come_if_no_layer_is_named(net, noise):
    assert list(feature_maps(net("plain"), noise(16, 16, 3))) == ["conv1", "conv2"]
    assert list(feature_maps(net("nested"), noise(16, 16, 3))) == ["backbone/deep.v2/conv", "backbone/conv"]


def test_one_layer_may_be_named_by_the_last_part_of_its_path(net, noise):
    (path,) = feature_maps(net("nested"), noise(16, 16, 3), "deep.v2/conv")
    assert path == "backbone/deep.v2/conv"


def test_nested_models(net, noise):
    picture = noise(16, 20, 3)
    model = net("nested").model
    backbone = model.get_layer("backbone")
    deep = backbone.get_layer("deep.v2")(picture[None])
    found = feature_maps(net("nested"), picture, ["backbone/deep.v2/conv", "backbone/conv", "backbone"])
    for path, expected in zip(found, [deep, backbone.get_layer("conv")(deep), backbone(picture[None])], strict=True):
        close(found[path], expected[0])


def test_each_call_of_a_shared_layer(net, noise):
    picture = noise(16, 16, 3)
    conv = net("twice").model.get_layer("conv")
    first = conv(picture[None])
    close(feature_maps(net("twice"), picture, ["conv"])["conv"], first[0])
    close(feature_maps(net("twice"), picture, ["conv"], call=1)["conv"], conv(first)[0])


def test_without_names_only_layers_with_that_call_come(net, noise):
    left, right = noise(32, 32, 3), noise(32, 32, 3, seed=8)
    found = feature_maps(net("siamese"), [left, right], call=1)
    conv = net("siamese").model.get_layer("encoder").get_layer("conv")
    close(found["encoder/conv"], conv(right[None])[0])
    with pytest.raises(BadTarget, match="no convolution with a call 2"):
        feature_maps(net("siamese"), [left, right], call=2)


def test_channels_come_last_whatever_the_models_own_order(net, noise):
    picture = noise(32, 32, 3)
    paths = ["conv1", "bn1", "relu1", "pool1", "conv2", "gap"]
    expected = submodel(net("channels_first").model, *paths)(picture[None].transpose(0, 3, 1, 2))
    found = feature_maps(net("channels_first"), picture, paths)
    assert found["conv1"].shape == (30, 30, 6)
    for path, value in zip(paths, expected, strict=True):
        close(found[path], value[0] if path == "gap" else np.moveaxis(value[0], 0, -1))


def test_sequential_models(net, noise):
    digit = noise(32, 32)
    layers = net("sequential").model.layers
    found = feature_maps(net("sequential"), digit, ["conv", "pool", "predictions"])
    close(found["conv"], layers[0](digit[None, :, :, None])[0])
    close(found["pool"], layers[1](layers[0](digit[None, :, :, None]))[0])
    assert found["predictions"].shape == (4,)


def test_subclassed_models(net, noise):
    picture = noise(32, 32, 3)
    model = net("subclassed").model
    found = feature_maps(net("subclassed"), picture)
    assert list(found) == ["conv", "block/deep_conv"]
    close(found["conv"], model.conv(picture[None])[0])
    close(found["block/deep_conv"], model.block(model.conv(picture[None]))[0])


@pytest.mark.parametrize("name", ["inputs_as_list", "inputs_as_dict"])
def test_a_picture_and_a_table(net, noise, name):
    picture, table = noise(32, 32, 3), np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    found = feature_maps(net(name), {"photo": picture, "age": table}, ["conv", "table"])
    close(found["conv"], net(name).model.get_layer("conv")(picture[None])[0])
    close(found["table"], net(name).model.get_layer("table")(table[None])[0])


def test_half_precision_comes_as_float32(net, noise):
    picture = noise(16, 16, 3)
    found = feature_maps(net("mixed_float16"), picture)["conv"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, net("mixed_float16").model.get_layer("conv")(picture[None])[0], atol=1e-2)


def test_pictures_of_any_size_are_traced_once(build, noise):
    traced = []

    def preprocess(x):
        traced.append(x.shape)
        return x

    net = Network(build("plain"), preprocess=preprocess)
    assert net.layers and not traced
    for height, width in ((16, 16), (24, 16), (40, 50)):
        maps = feature_maps(net, noise(height, width, 3), ["conv1", "conv2"])
        assert maps["conv1"].shape == (height, width, 8)
    assert len(traced) == len(set(traced)) == 1 + 3, "one graph of any size; room is checked for each small one"


def test_the_model_is_untouched(build, noise, snapshot_of):
    model = build("with_state")
    before = snapshot_of(model)
    feature_maps(model, noise(16, 16, 3))
    with pytest.raises(BadTarget):
        feature_maps(model, noise(16, 16, 3), ["nope"])
    assert snapshot_of(model) == before


@pytest.mark.parametrize(
    "name, layers, call, words",
    [
        ("plain", ["nope"], 0, "no layer 'nope'"),
        ("plain", ["conv1"], 1, "no call 1. Its calls are 0 to 0"),
        ("plain", ["conv1"], -1, "no call -1"),
        ("plain", ["conv1"], True, "no call True"),
        ("plain", ["picture"], 0, "never called"),
        ("plain", [], 0, "layers must name at least one layer"),
        ("plain", 7, 0, "no layer 7"),
        ("plain", None, -1, "call must be an integer"),
        ("plain", None, 1, "no convolution with a call 1"),
        ("dense_only", None, 0, "no convolution"),
    ],
)
def test_unknown_layers_and_calls_are_refused_in_words(net, noise, name, layers, call, words):
    with pytest.raises(BadTarget, match=words):
        feature_maps(net(name), noise(16, 16, 3), layers, call=call)


def test_bad_pictures_are_refused_in_words(net, noise):
    with pytest.raises(BadPicture, match="NaN"):
        feature_maps(net("plain"), np.full((16, 16, 3), np.nan))
    with pytest.raises(BadPicture, match="1 x 1 pixels are too small"):
        feature_maps(net("plain"), noise(1, 1, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name, layer", [("linear", "conv"), ("plain", "conv2"), ("with_state", "bn")])
def test_numbers_that_are_not_finite_are_told_with_their_layer(build, noise, name, layer, value):
    """Even where the device's ReLU makes 0 of NaN, so that the map looks silent."""
    model = build(name)
    weight = model.get_layer(layer).weights[0]
    weight.assign(np.full(weight.shape, value))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(
            BadModel, match=f"The output of the layer '{layer}' .*. The weights '{weight.path}' of .* hold NaN"
        ):
            feature_maps(model, noise(16, 16, 3), [layer])


# -- display


def as_in_the_book(image):
    """Chollet, "Deep Learning with Python", second edition, listing 9.14."""
    image = image.copy()
    if image.sum() != 0:
        image -= image.mean()
        image /= image.std()
        image *= 64
        image += 128
    return np.clip(image, 0, 255).astype("uint8")


def test_maps_look_as_in_the_books(noise):
    maps = 9 * noise(7, 5, 4) - 2
    maps[..., 3] = 0
    shown = display_maps(maps)
    assert (shown.shape, shown.dtype) == ((4, 7, 5), np.uint8)
    for unit in range(4):
        difference = shown[unit].astype(int) - as_in_the_book(maps[..., unit])
        assert abs(difference).max() <= 1 and (difference != 0).mean() <= 0.03, "but for the order of rounding"
    assert not shown[3].any()


def test_maps_by_range_go_from_black_to_white(noise):
    maps = noise(7, 5, 3) * [1, 100, -1e-3]
    low, high = maps.min((0, 1)), maps.max((0, 1))
    expected = np.round(255 * (maps - low) / (high - low)).transpose(2, 0, 1)
    shown = display_maps(maps, "range")
    assert np.array_equal(shown.min((1, 2)), [0, 0, 0]) and np.array_equal(shown.max((1, 2)), [255, 255, 255])
    assert abs(shown.astype(int) - expected).max() <= 1 and (shown != expected).mean() <= 0.03


@pytest.mark.parametrize("how", ["books", "range"])
def test_a_flat_map_is_plain(how, noise):
    flat = np.full((4, 4, 3), [0, 0.1, -7], np.float32)
    flat[0, 0, 1] = np.nextafter(np.float32(0.1), np.float32(1))  # rounding is no structure
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = display_maps(flat, how)
    assert [set(plane.flat) for plane in shown] == [{0}, {128}, {128}]


def test_maps_given_are_not_changed(noise):
    maps = noise(4, 4, 3)
    before = maps.copy()
    display_maps(maps)
    assert np.array_equal(maps, before)


@pytest.mark.parametrize("maps", [np.zeros(4), np.zeros((3, 3)), np.zeros((0, 3, 2)), np.full((2, 2, 2), np.nan)])
def test_what_are_no_maps_is_refused_in_words(maps):
    with pytest.raises(BadPicture, match=r"maps must be finite numbers \[h, w, units\]"):
        display_maps(maps)


def test_an_unknown_way_is_refused_in_words(noise):
    with pytest.raises(BadTarget, match="how must be one of 'books', 'range', got 'jet'"):
        display_maps(noise(2, 2, 2), "jet")


def test_the_share_of_silent_units():
    maps = np.zeros((3, 3, 4), np.float32)
    maps[1, 2, 0], maps[..., 1] = 0.5, -1
    assert silent_share(maps) == 0.75
    assert silent_share(np.array([0.0, 1.0, 2.0, 3.0])) == 0.25


def test_maps_of_a_photograph_show_the_cat():
    net = cw.load_network("squeezenet")
    cat = samples.sample("chelsea")[::2, ::2]
    shown = display_maps(feature_maps(net, cat, ["conv1"], size="picture")["conv1"])
    assert shown.shape == (64, 75, 113)
    grey = cat.mean(-1)[: 2 * 75 : 2, : 2 * 113 : 2]
    alike = [abs(np.corrcoef(plane.ravel(), grey.ravel())[0, 1]) for plane in shown if plane.std() > 0]
    assert max(alike) > 0.8, "a unit for brightness shows the picture itself"
    assert all(plane.std() > 0 for plane in shown)


# -- which units


def test_top_units_are_those_with_the_highest_values(net, noise):
    picture = noise(16, 16, 3)
    maps = np.asarray(net("plain").model.get_layer("conv1")(picture[None]))[0]
    for by, values in (("max", maps.max((0, 1))), ("mean", maps.mean((0, 1)))):
        found = top_units(net("plain"), picture, "conv1", 3, by=by)
        assert [one.unit for one in found] == list(np.argsort(-values)[:3])
        np.testing.assert_allclose([one.value for one in found], np.sort(values)[:-4:-1], rtol=1e-4)
    assert [type(x) for x in found[0]] == [int, float]
    assert len(top_units(net("plain"), picture, "conv1", 99)) == 8


def test_top_units_of_a_layer_without_rows_and_columns(net, noise):
    picture = noise(16, 16, 3)
    (best,) = top_units(net("plain"), picture, "predictions", 1)
    (likely,) = net("plain").predict(picture, top=1)
    assert best.unit == likely.index and best.value == pytest.approx(likely.probability, rel=1e-5)


@pytest.mark.parametrize(
    "keywords, words",
    [
        ({"by": "median"}, "by must be one of 'max', 'mean', got 'median'"),
        ({"count": 0}, "count must .*got 0"), ({"count": 2.5}, "got 2.5"), ({"count": True}, "got True"),
    ],
)  # fmt: skip
def test_unknown_measures_and_counts_are_refused_in_words(net, noise, keywords, words):
    with pytest.raises(BadTarget, match=words):
        top_units(net("plain"), noise(16, 16, 3), "conv1", **keywords)
