"""The patches that most excite a unit are where they should be: around the dot that its filter looks for."""

import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets import samples
from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.activations.patches import PatchesSettings, top_patches
from cnnwidgets.activations.receptive_field import receptive_field
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network

L = keras.layers


def blob_finder(*more, size=(None, None), padding="same"):
    """Unit 0 of "blob" finds a bright dot on black; unit 1 of it never fires."""
    conv = L.Conv2D(2, 5, padding=padding, activation="relu", name="blob")
    model = keras.Sequential([keras.Input((*size, 3)), conv, *more])
    rows, columns = np.mgrid[-2:3, -2:3]
    kernel = np.zeros((5, 5, 3, 2), np.float32)
    kernel[..., 0] = (np.exp(-(rows**2 + columns**2) / 2) - 0.1)[..., None]
    conv.set_weights([kernel, np.array([0, -1], np.float32)])
    return Network(model, preprocess="unit")


def dots(*places, size=(48, 64)):
    """A black picture with bright dots, each as (row, column, brightness)."""
    picture = np.zeros((*size, 3), np.float32)
    for row, column, brightness in places:
        picture[row, column] = brightness
    return picture


def centre(box):
    top, left, bottom, right = box
    return (top + bottom - 1) / 2, (left + right - 1) / 2


def test_the_box_is_centred_on_the_dot():
    pictures = [dots((20, 31, 0.5)), dots(), dots((9, 50, 1.0))]
    found = top_patches(blob_finder(), pictures, "blob", 0)
    assert [(patch.picture, patch.place, patch.box) for patch in found] == [
        (2, (9, 50), (7, 48, 12, 53)), (0, (20, 31), (18, 29, 23, 34)),
    ]  # fmt: skip
    assert [patch.value for patch in found] == pytest.approx([2.7, 1.35], rel=1e-5)
    for patch in found:
        top, left, bottom, right = patch.box
        assert np.array_equal(patch.pixels, pictures[patch.picture][top:bottom, left:right])


def test_deeper_layers_see_larger_patches_around_the_dot():
    net = blob_finder(L.MaxPooling2D(2, name="pool"), L.DepthwiseConv2D(3, padding="same", name="deep"))
    net.model.get_layer("deep").set_weights([np.ones((3, 3, 2, 1), np.float32), np.zeros(2, np.float32)])
    (patch,) = top_patches(net, [dots((20, 31, 1.0))], "deep", 0)
    assert patch.pixels.shape == (10, 10, 3) and np.abs(np.subtract(centre(patch.box), (20, 31))).max() <= 3
    assert receptive_field(net, "deep", size=(48, 64)).box(*patch.place) == patch.box


def test_at_the_border_the_box_stays_inside_the_picture():
    (patch,) = top_patches(blob_finder(), [dots((0, 63, 1.0))], "blob", 0)
    assert patch.box == (0, 61, 3, 64) and patch.pixels.shape == (3, 3, 3)


def test_a_network_of_fixed_size_is_shown_in_the_given_pictures_pixels():
    picture = dots(size=(64, 128))
    picture[40:42, 100:104] = 1  # one pixel of what the network gets
    (patch,) = top_patches(blob_finder(size=(32, 32)), [picture], "blob", 0)
    assert (patch.place, patch.box) == ((20, 25), (36, 92, 46, 112))
    assert np.array_equal(patch.pixels, picture[36:46, 92:112])


def test_a_layer_that_sees_all_shows_the_whole_picture():
    net = blob_finder(L.GlobalMaxPooling2D(name="gap"))
    pictures = [dots((20, 31, 0.5)), dots((20, 31, 1.0), size=(30, 40))]
    found = top_patches(net, pictures, "gap", 0)
    assert [(p.picture, p.place, p.box) for p in found] == [(1, (0, 0), (0, 0, 30, 40)), (0, (0, 0), (0, 0, 48, 64))]


def test_one_patch_comes_from_each_picture_unless_more_are_asked_for():
    picture = dots((10, 10, 1.0), (30, 50, 0.9), (30, 53, 0.5), (40, 20, 0.3))
    assert [p.place for p in top_patches(blob_finder(), [picture], "blob", 0)] == [(10, 10)]
    found = top_patches(blob_finder(), [picture], "blob", 0, per_picture=9)
    assert [p.place for p in found] == [(10, 10), (30, 50), (30, 53), (40, 20)]
    assert [p.place for p in top_patches(blob_finder(), [picture], "blob", 0, 2, per_picture=9)] == [(10, 10), (30, 50)]


def test_a_place_in_the_middle_of_a_better_ones_box_is_left_out():
    """A unit answers about as much next to its best place: that is the same thing seen again."""
    picture = dots((10, 10, 1.0), (11, 10, 0.9), (10, 13, 0.5))
    found = top_patches(blob_finder(), [picture], "blob", 0, per_picture=9)
    for i, one in enumerate(found):
        for other in found[:i]:
            assert np.abs(np.subtract(one.place, other.place)).max() > 2
    assert found[0].place in [(10, 10), (11, 10)] and len(found) > 1


def test_pictures_in_which_the_unit_is_silent_are_left_out():
    assert top_patches(blob_finder(), [dots(), dots((5, 5, 1.0))], "blob", 1) == []


def test_the_best_are_known_after_each_picture():
    pictures = (dots((8, 8, brightness)) for brightness in (0.2, 0.6, 0.1, 0.4))
    seen = [[p.picture for p in found] for found in PatchesSettings("blob", 0, 2).check(blob_finder()).search(pictures)]
    assert seen == [[0], [1, 0], [1, 0], [1, 3]]


def test_any_kind_of_picture_is_taken(tmp_path):
    image = Image.fromarray((255 * dots((20, 31, 1.0))).astype(np.uint8))
    image.save(tmp_path / "dot.png")
    many = np.stack([dots((20, 31, 1.0))] * 2)
    for pictures in ([image, str(tmp_path / "dot.png"), tmp_path / "dot.png"], many):
        found = top_patches(blob_finder(), pictures, "blob", 0)
        assert [p.place for p in found] == [(20, 31)] * len(pictures)


@pytest.mark.parametrize(
    "name, layer, call, which", [("siamese", "encoder/conv", 1, 1), ("inputs_as_dict", "conv", 0, 0)]
)
def test_of_several_inputs_the_patch_is_of_the_one_that_the_layer_sees(net, noise, name, layer, call, which):
    first, second = noise(32, 32, 3), noise(32, 32, 3, seed=3)
    given = [first, second] if name == "siamese" else {"photo": first, "age": np.ones(4)}
    (patch,) = top_patches(net(name), [given], layer, 2, call=call)
    top, left, bottom, right = patch.box
    assert np.array_equal(patch.pixels, (first, second)[which][top:bottom, left:right])
    owner = net(name).model.get_layer("encoder") if name == "siamese" else net(name).model
    answer = owner.get_layer("conv")((first, second)[which][None])[..., 2].numpy()
    assert patch.value == pytest.approx(float(answer.max()), rel=1e-4)


def test_grey_and_many_channels_are_shown_in_three():
    picture = keras.Input((16, 16, 7))
    net = Network(keras.Model(picture, L.Conv2D(2, 3, name="conv")(picture)), preprocess="unit")
    given = np.random.default_rng(0).random((16, 16, 7)).astype(np.float32)
    (patch,) = top_patches(net, [given], "conv", 0)
    assert patch.pixels.shape == (3, 3, 3)


@pytest.mark.parametrize(
    "pictures", ["cat.png", b"GIF89a", dots((5, 5, 1.0)), Image.new("RGB", (8, 8)), {"photo": dots()}, None, 7]
)
def test_one_picture_instead_of_many_is_refused_in_words(pictures):
    with pytest.raises(BadPicture, match="pictures must be a list of pictures"):
        top_patches(blob_finder(), pictures, "blob", 0)


def test_no_picture_at_all_is_refused_in_words():
    with pytest.raises(BadPicture, match="at least one picture, got none"):
        top_patches(blob_finder(), [], "blob", 0)


@pytest.mark.parametrize(
    "arguments, keywords, words",
    [
        (("nope", 0), {}, "no layer 'nope'"),
        (("blob", 2), {}, "no unit 2. Its units are 0 to 1"),
        (("blob", 0), {"call": 1}, "no call 1"),
        (("blob", 0), {"count": 0}, "count must .*got 0"),
        (("blob", 0), {"per_picture": 0}, "per_picture must .*got 0"),
    ],
)
def test_wrong_settings_are_refused_before_any_picture_is_read(arguments, keywords, words):
    with pytest.raises(BadTarget, match=words):
        PatchesSettings(*arguments, **keywords).check(blob_finder())


def test_a_layer_that_sees_no_picture_is_refused_in_words(net):
    with pytest.raises(BadTarget, match="cannot be followed back to a picture"):
        PatchesSettings("table", 0).check(net("inputs_as_list"))


def test_a_patch_alone_excites_the_unit_exactly_as_in_its_photograph():
    """So the box holds all that the unit's cell sees: 7 pixels in the 1 x 1 branch of a concatenation, not 15."""
    net = cw.load_network("squeezenet")
    found = top_patches(
        net, [samples.sample(name) for name in ("coffee", "chelsea")], "fire2_concat", 10, 2, size="picture"
    )
    assert {patch.picture for patch in found} == {0, 1}
    for patch in found:
        assert patch.pixels.shape == (7, 7, 3)
        black = np.zeros((40, 40, 3), np.float32)
        black[16:23, 16:23] = patch.pixels  # 4 cells of 4 pixels from the corner
        alone = feature_maps(net, black, ["fire2_concat"], size="picture")["fire2_concat"]
        assert alone[4, 4, 10] == pytest.approx(patch.value, rel=1e-4)
