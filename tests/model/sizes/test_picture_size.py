"""The size at which a network looks at a photograph, in every verb that takes one."""

import io
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from PIL import Image

import cnnwidgets as cw
from cnnwidgets import samples
from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.explain.hidden_region import hide_region
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.backend import tf
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import fed_size
from cnnwidgets.model.sizes.trained_size import trained_size
from cnnwidgets.pictures import resize

L = keras.layers


def any_size(*front):
    """A convolution, the mean of each channel and three scores, for pictures of any size."""
    x = picture = keras.Input((None, None, 3), name="picture")
    for layer in front:
        x = layer(x)
    x = L.Conv2D(4, 3, padding="same", name="conv")(x)
    model = keras.Model(picture, L.Dense(3, name="scores")(L.GlobalAveragePooling2D()(x)))
    numbers = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(numbers.normal(0, 0.5, weight.shape))
    return model


class Edges(keras.Model):
    """One convolution: an edge detector."""

    def __init__(self):
        super().__init__(name="edges")
        self.conv = L.Conv2D(2, 3, padding="same", name="conv")

    def call(self, x, training=False):
        return self.conv(x)


class EdgesOfASize(Edges):
    def build(self, input_shape=(None, 64, 64, 3)):
        self.conv.build(input_shape)


class EdgesOfAnySize(Edges):
    def build(self, input_shape=None):
        self.conv.build((None, None, None, 3))


class Flattened(Edges):
    def __init__(self):
        super().__init__()
        self.flatten, self.scores = L.Flatten(), L.Dense(3)

    def call(self, x, training=False):
        return self.scores(self.flatten(self.conv(x)))


# -- from a picture's size to the one that is fed


@pytest.mark.parametrize(
    "given, takes, size, fed",
    [
        ((300, 451), (None, None), 224, (149, 224)),
        ((451, 300), (None, None), 224, (224, 149)),
        ((30, 40), (None, None), 224, (168, 224)),  # enlarged
        ((300, 400), (None, None), (96, 160), (96, 128)),  # as large as fits
        ((6000, 8000), (None, None), 224, (168, 224)),
        ((6000, 8000), (None, None), None, (768, 1024)),
        ((6000, 8000), (None, None), "picture", (768, 1024)),
        ((30, 40), (None, None), None, (30, 40)),
        ((5000, 2), (None, None), 224, (224, 1)),
        ((300, 400), (32, 24), None, (32, 24)),
        ((300, 400), (None, 64), None, (48, 64)),  # the aspect is kept where one side is fixed
        ((300, 400), (60, None), None, (60, 80)),
    ],
)
def test_the_longer_side_is_brought_to_the_size_and_the_aspect_kept(given, takes, size, fed):
    info = InputInfo("picture", (*takes, 3))
    assert fed_size(given, info, size) == fed
    assert fed_size(fed, info, size) == fed, "brought to it again, it stays"


def test_brought_to_a_size_twice_is_brought_to_it_once():
    numbers, info = np.random.default_rng(0), InputInfo("picture", (None, None, 3))
    for height, width, high, wide in numbers.integers(1, 700, (300, 4)).tolist():
        for size in (high, (high, wide)):
            once = fed_size((height, width), info, size)
            assert fed_size(once, info, size) == once


# -- which size a network knows


def test_bundled_networks_know_the_size_they_were_trained_at(bundled):
    assert bundled.size == 224
    assert "224 px on the longer side" in bundled.size_note


def test_a_network_takes_the_size_it_is_given():
    network = Network(any_size(), "unit", size=48)
    assert (network.size, network.arrays(np.zeros((90, 60, 3)))[0].shape) == (48, (1, 48, 32, 3))
    assert "48 px" in network.size_note
    network = Network(any_size(), "unit", size=(48, 80))
    assert (network.size, network.arrays(np.zeros((90, 60, 3)))[0].shape) == ((48, 80), (1, 48, 32, 3))


def test_where_nothing_is_known_the_pictures_own_size_is_used_and_the_note_says_so():
    network = Network(any_size(), "unit")
    assert network.size is None
    assert "picture's own size, up to 1,024 px" in network.size_note
    assert network.arrays(np.zeros((90, 60, 3)))[0].shape == (1, 90, 60, 3)


def test_a_fixed_network_has_its_own_size_and_refuses_another(net):
    network = net("sequential")
    assert network.size == 32
    assert "stretched" in network.size_note
    assert network.predict(np.zeros((40, 30)), size=32) == network.predict(np.zeros((40, 30)))
    for size in (64, "picture"):
        with pytest.raises(BadTarget, match="takes 32 x 32 px, so size=.*Leave size out"):
            network.predict(np.zeros((40, 30)), size=size)
        with pytest.raises(BadTarget, match="takes 32 x 32 px"):
            Network(network.model, size=size)


@pytest.mark.parametrize("size", [0, 5000, 2.5, True, "own", (1, 2, 3), (0, 4), [], {}])
def test_a_size_that_does_not_exist_is_refused_with_what_does(size):
    model = any_size()
    for ask in (
        lambda: Network(model, size=size),
        lambda: Network(model, "unit").predict(np.zeros((9, 9, 3)), size=size),
    ):
        with pytest.raises(BadTarget, match="size must be pixels from 1 to 4096"):
            ask()


@pytest.mark.parametrize(
    "make, size",
    [
        (keras.applications.MobileNetV2, 224),
        (keras.applications.EfficientNetB3, 300),
        (keras.applications.EfficientNetV2B1, 240),
        (keras.applications.InceptionV3, 299),
    ],
)
def test_families_are_known_by_name_and_inside_a_model_by_their_layers(make, size):
    backbone = make(weights=None, include_top=False, input_shape=(None, None, 3))
    assert trained_size(backbone).size == size
    half = backbone.layers[len(backbone.layers) // 2].output
    cut = keras.Model(backbone.inputs, half, name="mine")
    picture = keras.Input((None, None, 3))
    built_on = keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(cut(picture))), name="classifier")
    found = trained_size(built_on)
    assert found.size == size
    assert "give size= if this one was trained at another" in found.why


def test_what_a_model_keeps_shows_its_size():
    model = any_size()
    converter = SimpleNamespace(image_size=(48, 48))
    model.preprocessor = SimpleNamespace(image_converter=converter)
    assert Network(model, "unit").size == 48
    x = keras.Input((40, 40, 3))
    inner = keras.Model(x, L.Conv2D(2, 3)(x), name="backbone")
    picture = keras.Input((None, None, 3))
    assert Network(keras.Model(picture, L.GlobalAveragePooling2D()(inner(picture))), "unit").size == 40
    network = Network(any_size(L.Resizing(32, 32, name="to_32")), "unit")
    assert network.size is None
    assert "'to_32'" in network.size_note
    assert "32 x 32 px" in network.size_note


# -- models that keep the shape of their first call


@pytest.mark.parametrize("make", [Edges, EdgesOfASize, EdgesOfAnySize])
def test_a_subclassed_model_of_any_size_sees_the_picture_at_its_own(make, noise):
    model = make()
    if make is Edges:
        model(np.zeros((1, 64, 64, 3), np.float32))
    else:
        model.build()
    picture = noise(48, 80, 3)
    network = Network(model, "none")
    maps = cw.feature_maps(network, picture, ["conv"])["conv"]
    np.testing.assert_allclose(maps, np.asarray(model(picture[None] * 255))[0], rtol=1e-5, atol=1e-4)


def test_a_model_that_takes_one_size_only_keeps_that_of_its_first_call():
    model = Flattened()
    model(np.zeros((1, 24, 16, 3), np.float32))
    network = Network(model, "unit")
    assert network.inputs[0].shape == (24, 16, 3)
    assert network.size == (24, 16)
    assert len(network.predict(np.zeros((48, 48, 3)))) == 3


def test_a_classifier_that_was_trained_knows_the_size_of_its_training():
    model = keras.Sequential([L.Conv2D(2, 3, padding="same"), L.GlobalAveragePooling2D(), L.Dense(2)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 24, 24, 3), np.float32), np.zeros((2, 2)), batch_size=2, verbose=0)
    network = Network(model, "unit")
    assert network.size == 24
    assert "first called on, before it was trained" in network.size_note
    assert network.arrays(np.zeros((30, 60, 3)))[0].shape == (1, 12, 24, 3)


# -- what the verbs do with it


@pytest.fixture(scope="module")
def bundled():
    return cw.load_network("efficientnet_lite0")


@pytest.fixture(scope="module")
def coffee():
    return samples.sample("coffee")


def test_a_photograph_is_recognized_whatever_its_size(bundled, coffee):
    for width in (300, 640, 1200):
        best = bundled.predict(resize(coffee, (round(width * 2 / 3), width)), 1)[0]
        assert (best.name, best.probability > 0.85) == ("espresso", True)
    assert bundled.predict(coffee, 1, size="picture")[0].probability < 0.1, "which is why"


@pytest.mark.parametrize("size, fed", [(None, (32, 48)), (24, (16, 24)), ((40, 40), (27, 40)), ("picture", (40, 60))])
def test_every_verb_looks_at_the_same_size(noise, size, fed):
    network, picture = Network(any_size(), "unit", size=48), noise(40, 60, 3)
    feed = network.arrays(picture, size)
    assert feed[0].shape[1:3] == fed
    scores = np.asarray(network.call([tf.constant(feed[0])])[0])[0].astype(float)
    expected = np.exp(scores) / np.exp(scores).sum()
    predicted = sorted(network.predict(picture, size=size))
    np.testing.assert_allclose([line.probability for line in predicted], expected, rtol=1e-4)
    assert cw.feature_maps(network, picture, ["conv"], size=size)["conv"].shape == (*fed, 4)
    (heat,) = cw.class_activation_map(network, picture, size=size)
    assert (heat.raw.shape, heat.map.shape) == (fed, (40, 60))
    (heat,) = cw.attribution(network, picture, method="gradient", size=size)
    assert (heat.raw.shape, heat.map.shape) == ((40, 60), (40, 60))
    (patch,) = cw.top_patches(network, [picture], "conv", 1, 1, size=size)
    assert patch.value == cw.feature_maps(network, picture, ["conv"], size=size)["conv"][..., 1].max()
    units = {one.unit: one.value for one in cw.top_units(network, picture, "conv", size=size)}
    assert units[1] == patch.value
    hidden = hide_region(network, picture, (0.5, 0.5), size=size)
    assert hidden.before == pytest.approx(max(expected), rel=1e-4)
    *_, frame = cw.adversarial(network, picture, steps=2, size=size)
    assert frame.pictures.shape[1:3] == frame.original.shape[1:3] == fed
    *_, dream = cw.deepdream(network, picture, "conv", octaves=1, steps=1)
    assert dream.pictures.shape[1:3] == (40, 60), "a dream has the picture's own size"


@pytest.mark.parametrize("size", [None, 24, (40, 40), "picture"])
def test_a_perturbed_picture_that_is_saved_and_read_again_is_predicted_as_its_frame_says(noise, size):
    network = Network(any_size(), "unit", size=48)
    *_, frame = cw.adversarial(network, noise(45, 61, 3), epsilon=8 / 255, steps=3, size=size)
    file = io.BytesIO()
    Image.fromarray(np.round(frame.pictures[0] * 255).astype(np.uint8)).save(file, "PNG")
    again = network.predict(file.getvalue(), 1, size=size)[0]
    assert again.index == frame.prediction.index
    assert again.probability == pytest.approx(frame.prediction.probability, abs=1e-5)


def test_a_shuffled_copy_looks_at_the_same_size(noise):
    network = Network(any_size(), "unit", size=48)
    assert randomized(network).size == 48


def test_a_size_that_leaves_nothing_of_the_picture_is_refused_with_the_remedy(bundled):
    squeezenet = cw.load_network("squeezenet", size=64)
    assert squeezenet.size == 64
    with pytest.raises(BadPicture, match="too small for this network.*larger size="):
        squeezenet.predict(np.zeros((2000, 100, 3), np.uint8))
