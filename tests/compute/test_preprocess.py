"""Each preprocessing is the one of keras.applications, and `auto` finds the right one and says so."""

from __future__ import annotations

import numpy as np
import pytest

from cnnwidgets.compute.backend import keras
from cnnwidgets.compute.network import Network
from cnnwidgets.compute.preprocess import MODES, resolve
from cnnwidgets.errors import BadTarget

L = keras.layers
APPLICATIONS = keras.applications


def grey_levels(noise, channels=3):
    return noise(2, 5, 4, channels) * 255


def model_named(name, *layers, channels=3):
    return keras.Sequential([keras.Input((None, None, channels)), *layers, L.Conv2D(2, 3)], name=name)


@pytest.mark.parametrize("mode", ["tf", "caffe", "torch"])
def test_a_mode_equals_that_of_keras_applications(noise, mode):
    pictures = grey_levels(noise)
    expected = APPLICATIONS.imagenet_utils.preprocess_input(pictures.copy(), data_format="channels_last", mode=mode)
    np.testing.assert_allclose(MODES[mode](pictures), expected, atol=2e-4 if mode == "caffe" else 2e-6)


def test_none_and_unit_are_what_they_say(noise):
    pictures = grey_levels(noise)
    np.testing.assert_array_equal(MODES["none"](pictures), pictures)
    np.testing.assert_allclose(MODES["unit"](pictures), pictures / 255, rtol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("mode", ["none", "unit", "tf"])
def test_modes_without_colors_take_any_number_of_channels(noise, mode, channels):
    preprocess, _ = resolve(mode, model_named("own", channels=channels), channels)
    assert preprocess(grey_levels(noise, channels)).shape == (2, 5, 4, channels)


@pytest.mark.parametrize(
    "name, family",
    [
        ("vgg16", "vgg16"), ("vgg19", "vgg19"), ("resnet50", "resnet"), ("resnet152", "resnet"),
        ("resnet101v2", "resnet_v2"), ("mobilenet_1.00_224", "mobilenet"), ("mobilenetv2_1.00_224", "mobilenet_v2"),
        ("inception_v3", "inception_v3"), ("inception_resnet_v2", "inception_resnet_v2"), ("xception", "xception"),
        ("densenet121", "densenet"), ("NASNet", "nasnet"), ("nasnet_mobile", "nasnet"),
        ("efficientnetb0", "efficientnet"), ("efficientnetv2-s", "inception_v3"),  # which has the same mode
    ],
)  # fmt: skip
def test_auto_treats_a_family_as_keras_applications_does(noise, name, family):
    network = Network(model_named(name))
    pictures = grey_levels(noise)
    expected = getattr(APPLICATIONS, family).preprocess_input(pictures.copy())
    np.testing.assert_allclose(network.preprocess(pictures), expected, atol=2e-4)
    assert f"recognised as {name}" in network.preprocess_note


# Of each family the member that is quickest to build, and what else it needs.
FAMILIES = {
    "convnext": ("ConvNeXtTiny", {}),
    "densenet": ("DenseNet121", {}),
    "efficientnet": ("EfficientNetB0", {}),
    "efficientnet_v2": ("EfficientNetV2B0", {}),
    "inception_resnet_v2": ("InceptionResNetV2", {"input_shape": (75, 75, 3)}),
    "inception_v3": ("InceptionV3", {"input_shape": (75, 75, 3)}),
    "mobilenet": ("MobileNet", {"alpha": 0.25}),
    "mobilenet_v2": ("MobileNetV2", {"alpha": 0.35}),
    "mobilenet_v3": ("MobileNetV3Small", {}),
    "nasnet": ("NASNetMobile", {}),
    "resnet": ("ResNet50", {}),
    "resnet_v2": ("ResNet50V2", {}),
    "vgg16": ("VGG16", {}),
    "vgg19": ("VGG19", {}),
    "xception": ("Xception", {"input_shape": (71, 71, 3)}),
}
ALIASES = {"imagenet_utils", "resnet50"}


def of_keras(family, **more):
    name, keywords = FAMILIES[family]
    settings = {"input_shape": (32, 32, 3), "include_top": False, "weights": None, **keywords, **more}
    return getattr(APPLICATIONS, name)(**settings)


def test_every_family_of_keras_applications_is_looked_at():
    modules = {name for name in dir(APPLICATIONS) if hasattr(getattr(APPLICATIONS, name), "preprocess_input")}
    assert modules - ALIASES == set(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_recognises_real_keras_applications(noise, family):
    model, pictures = of_keras(family), grey_levels(noise)
    preprocess, note = resolve("auto", model, 3)
    expected = getattr(APPLICATIONS, family).preprocess_input(pictures.copy())
    np.testing.assert_allclose(preprocess(pictures), expected, atol=1e-5)
    assert f"recognised as {model.name}" in note or "inside the model does the scaling" in note
    head = L.Dense(2)(L.GlobalAveragePooling2D()(model.output))
    for mine in (keras.Model(model.input, head, name="mine"), keras.Sequential([model, L.Flatten()], name="mine")):
        preprocess, note = resolve("auto", mine, 3)
        np.testing.assert_allclose(preprocess(pictures), expected, atol=1e-5)
        assert "a guess" not in note


@pytest.mark.parametrize(
    "family, mode",
    [("convnext", "torch"), ("mobilenet_v3", "tf"), ("efficientnet_v2", "torch")],
)
def test_a_family_built_without_its_scaling_gets_the_same_from_outside(noise, family, mode):
    whole, bare = of_keras(family), of_keras(family, include_preprocessing=False)
    preprocess, note = resolve("auto", bare, 3)
    assert note.startswith(f"{mode!r}: ") and f"recognised as {bare.name}" in note
    bare.set_weights(whole.get_weights())
    pictures = noise(2, 32, 32, 3) * 255
    inside, outside = whole(pictures).numpy(), bare(preprocess(pictures)).numpy()
    assert np.abs(outside - inside).max() < 0.02 * np.abs(inside).max()


def test_auto_recognises_a_backbone_inside_a_model(noise):
    inner = model_named("vgg16")
    network = Network(model_named("my_cats", keras.Sequential([keras.Input((None, None, 3)), inner], name="head")))
    np.testing.assert_array_equal(network.preprocess(grey_levels(noise)), MODES["caffe"](grey_levels(noise)))
    assert network.preprocess_note == (
        "'caffe': the network takes BGR 0..255 less the ImageNet mean (recognised as vgg16 of keras.applications)"
    )


@pytest.mark.parametrize(
    "layer", [L.Rescaling(1 / 255, name="scaling"), L.Normalization(mean=0.5, variance=0.1, name="scaling")]
)
def test_a_model_that_scales_by_itself_gets_grey_levels_as_they_are(noise, layer):
    network = Network(model_named("vgg16", layer))
    np.testing.assert_array_equal(network.preprocess(grey_levels(noise)), grey_levels(noise))
    assert "'scaling' inside the model" in network.preprocess_note


def test_a_rescaling_behind_the_first_convolution_is_no_preprocessing():
    note = Network(model_named("own", L.Conv2D(3, 3), L.Rescaling(0.1))).preprocess_note
    assert note.startswith("'unit'")
    assert "a guess" in note


def test_auto_says_that_it_guesses(net):
    assert net("plain").preprocess_note.startswith("'unit': the network takes 0..1 (a guess")


def test_auto_guesses_for_a_family_that_was_rebuilt_for_grey_pictures(noise):
    network = Network(model_named("vgg16", channels=1))
    np.testing.assert_allclose(network.preprocess(grey_levels(noise, 1)), noise(2, 5, 4, 1), rtol=1e-6)
    assert "a guess for 1 channels" in network.preprocess_note


def test_a_function_gets_grey_levels_and_its_answer_goes_to_the_model(build, noise, run):
    seen = []

    def mine(pictures):
        seen.append(pictures)
        return pictures / 255 - 0.25

    network, pictures = Network(build("plain"), preprocess=mine), noise(1, 8, 8, 3)
    np.testing.assert_allclose(run(network, pictures), network.model(pictures - 0.25), atol=1e-6)
    np.testing.assert_allclose(seen[-1], pictures * 255, rtol=1e-6)
    assert "your own" in network.preprocess_note


def test_an_asked_for_mode_wins_over_what_is_recognised():
    network = Network(model_named("vgg16"), preprocess="tf")
    assert network.preprocess is MODES["tf"]
    assert "as you asked" in network.preprocess_note


@pytest.mark.parametrize("name", ["cafe", "", "AUTO", None, 3, ["tf"]])
def test_an_unknown_preprocessing_is_refused_with_the_choices(net, name):
    with pytest.raises(BadTarget, match="There is no preprocessing .*auto, none, unit, tf, caffe, torch"):
        Network(net("plain").model, preprocess=name)


@pytest.mark.parametrize("mode", ["caffe", "torch"])
def test_a_preprocessing_of_colors_is_refused_for_other_channels(mode):
    with pytest.raises(BadTarget, match="for 3 channels and this network takes 1"):
        Network(model_named("own", channels=1), preprocess=mode)
