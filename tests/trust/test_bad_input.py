"""What nobody can use is refused in two sentences, by every verb alike, before anything is computed."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras

L = keras.layers
NOBODY = [-1, 10**9, "abc", True, 1.5, math.nan, [], {}, object(), b"x"]


def told(call) -> str:
    """The message of a refusal, which has to be one of ours and readable."""
    with pytest.raises(cw.CnnWidgetsError) as refusal:
        made = call()
        list(made) if hasattr(made, "__next__") else None
    text = str(refusal.value)
    assert isinstance(refusal.value, ValueError)
    assert text.endswith((".", ").")) and (". " in text or ", got " in text) and len(text) < 400, text
    assert "\x1b" not in text and "{{" not in text and "Traceback" not in text and "\n" not in text, text
    return text


# Of layers, units, classes and settings.

BY_LAYER = {
    "visualize_units": lambda net, photo, layer: cw.visualize_units(net, layer, [0], 16, 1),
    "ascend": lambda net, photo, layer: cw.ascend(net, cw.objectives.channel(layer, 0), 16, 1),
    "feature_maps": lambda net, photo, layer: cw.feature_maps(net, photo, [layer]),
    "class_activation_map": lambda net, photo, layer: cw.class_activation_map(net, photo, layer),
    "deepdream": lambda net, photo, layer: cw.deepdream(net, photo, [layer], 1, steps=1),
    "top_units": lambda net, photo, layer: cw.top_units(net, photo, layer),
    "top_patches": lambda net, photo, layer: cw.top_patches(net, [photo], layer, 0),
    "receptive_field": lambda net, photo, layer: cw.receptive_field(net, layer),
    "FilterGallery": lambda net, photo, layer: cw.FilterGallery(net, layer, [0], 16, 1),
    "FeatureMapPanel": lambda net, photo, layer: cw.FeatureMapPanel(net, photo, layer),
    "HeatmapPanel": lambda net, photo, layer: cw.HeatmapPanel(net, photo, layer),
    "UnitAttributionPanel": lambda net, photo, layer: cw.UnitAttributionPanel(net, photo, layer),
    "DeepDreamPanel": lambda net, photo, layer: cw.DeepDreamPanel(net, photo, [layer]),
    "LayerPicker": lambda net, photo, layer: cw.LayerPicker(net, layer),
}
PANELS_THAT_CHOOSE = ("FilterGallery", "FeatureMapPanel", "HeatmapPanel", "UnitAttributionPanel", "LayerPicker")
BY_UNIT = {
    "visualize_units": lambda net, photo, unit: cw.visualize_units(net, "conv2", [unit], 16, 1),
    "ascend": lambda net, photo, unit: cw.ascend(net, cw.objectives.channel("conv2", unit), 16, 1),
    "top_patches": lambda net, photo, unit: cw.top_patches(net, [photo], "conv2", unit),
    "FilterGallery": lambda net, photo, unit: cw.FilterGallery(net, "conv2", [unit], 16, 1),
}
BY_CLASS = {
    "visualize_classes": lambda net, photo, one: cw.visualize_classes(net, [one], 16, 1),
    "ascend": lambda net, photo, one: cw.ascend(net, cw.objectives.class_logit(one), 16, 1),
    "class_activation_map": lambda net, photo, one: cw.class_activation_map(net, photo, target=one),
    "attribution": lambda net, photo, one: cw.attribution(net, photo, one, "gradient"),
    "adversarial": lambda net, photo, one: cw.adversarial(net, photo, one, steps=1),
    "ClassGallery": lambda net, photo, one: cw.ClassGallery(net, [one], 16, 1),
    "HeatmapPanel": lambda net, photo, one: cw.HeatmapPanel(net, photo, target=one),
    "UnitAttributionPanel": lambda net, photo, one: cw.UnitAttributionPanel(net, photo, target=one),
    "AdversarialPanel": lambda net, photo, one: cw.AdversarialPanel(net, photo, one),
}
BY_STEPS = {
    "visualize_units": lambda net, photo, steps: cw.visualize_units(net, "conv2", [0], 16, steps),
    "visualize_classes": lambda net, photo, steps: cw.visualize_classes(net, [0], 16, steps),
    "ascend": lambda net, photo, steps: cw.ascend(net, cw.objectives.channel("conv2", 0), 16, steps),
    "deepdream": lambda net, photo, steps: cw.deepdream(net, photo, "conv2", 1, steps=steps),
    "adversarial": lambda net, photo, steps: cw.adversarial(net, photo, steps=steps),
    "FilterGallery": lambda net, photo, steps: cw.FilterGallery(net, "conv2", [0], 16, steps),
    "ClassGallery": lambda net, photo, steps: cw.ClassGallery(net, [0], 16, steps),
    "DeepDreamPanel": lambda net, photo, steps: cw.DeepDreamPanel(net, photo, steps=steps),
    "AdversarialPanel": lambda net, photo, steps: cw.AdversarialPanel(net, photo, steps=steps),
}


@pytest.mark.parametrize("verb", BY_LAYER)
def test_no_layer_is_refused_with_those_there_are(net, photo, verb):
    for value in [*NOBODY, None, "conv", "conv1/conv1"]:
        if value is None and verb in ("class_activation_map", *PANELS_THAT_CHOOSE):
            continue  # their own choice
        text = told(lambda value=value: BY_LAYER[verb](net, photo, value))
        assert "conv1" in text, text


@pytest.mark.parametrize("verb", BY_UNIT)
def test_no_unit_is_refused_with_the_range(net, photo, verb):
    for value in [*NOBODY, None, 20]:
        text = told(lambda value=value: BY_UNIT[verb](net, photo, value))
        assert any(words in text for words in ("0 to 19", "must be", "at least one unit")), text


@pytest.mark.parametrize("verb", BY_CLASS)
def test_no_class_is_refused_with_the_range(net, photo, verb):
    for value in [*NOBODY, None, 4]:
        if value is None and verb not in ("visualize_classes", "ascend", "ClassGallery"):
            continue  # the top class
        text = told(lambda value=value: BY_CLASS[verb](net, photo, value))
        assert any(word in text for word in ("0 to 3", "index", "class", "at least one class")), text


@pytest.mark.parametrize("verb", BY_STEPS)
def test_no_number_of_steps_is_refused_with_the_range(net, photo, verb):
    for value in [*NOBODY, None, 0, 2049]:
        assert "1 to 2048" in told(lambda value=value: BY_STEPS[verb](net, photo, value))


@pytest.mark.parametrize("size", [0, 7, 1025, -1, 10**9, "abc", True, 1.5, (16,), (16, 16, 16), (16, 10**9), math.nan])
def test_no_size_is_refused_with_the_range(net, size):
    for call in (
        lambda: cw.visualize_units(net, "conv2", [0], size, 1),
        lambda: cw.ascend(net, cw.objectives.channel("conv2", 0), size, 1),
        lambda: cw.FilterGallery(net, "conv2", [0], size, 1),
        lambda: cw.ClassGallery(net, [0], size, 1),
    ):
        assert "8" in (text := told(call)) and "1024" in text.replace(",", ""), text


# Of pictures.

WITH_PICTURE = {
    "predict": lambda net, photo: net.predict(photo),
    "feature_maps": lambda net, photo: cw.feature_maps(net, photo, ["conv2"]),
    "class_activation_map": lambda net, photo: cw.class_activation_map(net, photo),
    "attribution": lambda net, photo: cw.attribution(net, photo, method="gradient"),
    "deepdream": lambda net, photo: list(cw.deepdream(net, photo, "conv2", 1, steps=1)),
    "adversarial": lambda net, photo: list(cw.adversarial(net, photo, steps=1)),
}


@pytest.mark.parametrize("verb", WITH_PICTURE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (700, 1), (3, 3), (8, 8)])
def test_a_picture_of_any_size_is_used_or_refused_in_words(net, verb, shape):
    picture = np.full((*shape, 3), 90, np.uint8)
    try:
        WITH_PICTURE[verb](net, picture)
    except cw.BadPicture as refusal:
        assert min(shape) < 8 and str(refusal).endswith(".")


@pytest.mark.parametrize("verb", WITH_PICTURE)
def test_what_is_no_picture_is_refused_by_every_verb(net, verb):
    for value in [None, 3, "no/such.png", b"text", np.full((8, 8, 3), np.nan), np.zeros((8, 8, 7)), np.zeros(3)]:
        assert isinstance(value, object) and told(lambda value=value: WITH_PICTURE[verb](net, value))


# Of what the numbers of a network may be.


def test_a_thousand_random_filters_give_no_nan():
    """Filters without weights, with tiny and with huge ones, behind normalizations that divide by nearly nothing."""
    picture = keras.Input((None, None, 3))
    x = L.Conv2D(1000, 3, activation="relu", name="filters")(L.BatchNormalization(name="bn")(picture))
    net = cw.Network(keras.Model(picture, L.Dense(2)(L.GlobalAveragePooling2D()(x))), "unit")
    numbers = np.random.default_rng(0)
    kernel, bias = net.model.get_layer("filters").weights
    scale = 10.0 ** numbers.uniform(-12, 6, 1000) * (numbers.random(1000) > 0.1)
    kernel.assign(numbers.normal(size=kernel.shape) * scale)
    bias.assign(numbers.normal(size=1000) * scale * 10)
    net.model.get_layer("bn").moving_variance.assign([1e-30, 0.0, 1e10])
    values = []
    for first in range(0, 1000, 100):
        for frame in cw.ascend(net, cw.objectives.channel("filters", range(first, first + 100)), size=8, steps=5):
            assert np.isfinite(frame.values).all() and np.isfinite(frame.pictures).all()
        values += frame.values.tolist()
    assert len(values) == 1000 and values.count(0) > 50 and sum(value > 0 for value in values) > 300


@pytest.mark.parametrize("what", [None, 3, "squeezenet", keras.Sequential([L.Dense(2)]), L.Dense(2), object()])
def test_what_is_no_built_model_is_refused_by_every_panel(what, photo):
    for panel in (cw.FilterGallery, cw.LayerPicker, lambda net: cw.ClassGallery(net, [0])):
        assert told(lambda panel=panel: panel(what))
    for panel in (cw.FeatureMapPanel, cw.HeatmapPanel, cw.UnitAttributionPanel, cw.DeepDreamPanel, cw.AdversarialPanel):
        assert told(lambda panel=panel: panel(what, photo))
