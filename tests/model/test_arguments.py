"""Whatever a setting gets that it cannot be is refused in words before anything is computed, by every verb alike."""

import math
import re

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.activations.receptive_field import ReceptiveField
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.sanity_check import randomized
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network

o = cw.objectives
PICTURE = np.full((130, 130, 3), 0.5, np.float32)
FIELD = ReceptiveField((3, 3), (1.0, 1.0), (-1, -1), (16, 16), (16, 16))
WRONG = (-1, 10**9, "abc", None, True, 1.5, math.nan, [None], 3j)


CHANNEL = o.channel("conv2", 0)


def ascend(net, objective=CHANNEL, **keywords):
    return cw.ascend(net, objective, **{"size": 16, "steps": 1, **keywords})


def units(net, layer="conv2", units=(0,), **keywords):
    return cw.visualize_units(net, layer, units, **{"size": 16, "steps": 1, **keywords})


def classes(net, classes=(0,), **keywords):
    return cw.visualize_classes(net, classes, **{"size": 16, "steps": 1, **keywords})


# setting -> (what is done with a value, which of WRONG it takes after all)
SETTINGS = {
    "ascend objective": (lambda net, v: ascend(net, v), ()),
    "ascend size": (lambda net, v: ascend(net, size=v), (None,)),
    "ascend steps": (lambda net, v: ascend(net, steps=v), ()),
    "ascend seed": (lambda net, v: ascend(net, seed=v), (-1, 10**9)),
    "ascend held": (lambda net, v: ascend(net, held=v), (None,)),
    "ascend parametrization": (lambda net, v: ascend(net, parametrization=v), (None,)),
    "ascend transforms": (lambda net, v: ascend(net, transforms=v), (None,)),
    "ascend optimizer": (lambda net, v: ascend(net, optimizer=v), (None,)),
    "channel layer": (lambda net, v: ascend(net, o.channel(v, 0)), ()),
    "channel unit": (lambda net, v: ascend(net, o.channel("conv2", v)), ()),
    "channel call": (lambda net, v: ascend(net, o.channel("conv2", 0, call=v)), ()),
    "neuron row": (lambda net, v: ascend(net, o.neuron("conv2", 0, row=v)), (None,)),
    "neuron column": (lambda net, v: ascend(net, o.neuron("conv2", 0, column=v)), (None,)),
    "layer call": (lambda net, v: ascend(net, o.layer("conv2", call=v)), ()),
    "direction vector": (lambda net, v: ascend(net, o.direction("conv2", v)), ()),
    "direction call": (lambda net, v: ascend(net, o.direction("conv2", [1.0] * 12, call=v)), ()),
    "diversity call": (lambda net, v: ascend(net, o.channel("conv2", 0) + o.diversity("conv2", call=v)), ()),
    "class_logit target": (lambda net, v: ascend(net, o.class_logit(v)), ()),
    "class_logit output": (lambda net, v: ascend(net, o.class_logit(0, output=v)), (None,)),
    "rival_logits output": (lambda net, v: ascend(net, o.rival_logits(0, output=v)), (None,)),
    "visualize_units layer": (lambda net, v: units(net, v), ()),
    "visualize_units units": (lambda net, v: units(net, units=v), ()),
    "visualize_units unit": (lambda net, v: units(net, units=[v]), ()),
    "visualize_units call": (lambda net, v: units(net, call=v), ()),
    "visualize_units size": (lambda net, v: units(net, size=v), (None,)),
    "visualize_units steps": (lambda net, v: units(net, steps=v), ()),
    "visualize_units recipe": (lambda net, v: units(net, recipe=v), ()),
    "visualize_units seed": (lambda net, v: units(net, seed=v), (-1, 10**9)),
    "visualize_units held": (lambda net, v: units(net, held=v), (None,)),
    "visualize_classes classes": (lambda net, v: classes(net, v), ()),
    "visualize_classes class": (lambda net, v: classes(net, [v]), ()),
    "visualize_classes output": (lambda net, v: classes(net, output=v), (None,)),
    "visualize_classes size": (lambda net, v: classes(net, size=v), (None,)),
    "visualize_classes steps": (lambda net, v: classes(net, steps=v), ()),
    "visualize_classes recipe": (lambda net, v: classes(net, recipe=v), ()),
    "visualize_classes seed": (lambda net, v: classes(net, seed=v), (-1, 10**9)),
    "feature_maps layers": (lambda net, v: cw.feature_maps(net, PICTURE, v), (None,)),
    "feature_maps layer": (lambda net, v: cw.feature_maps(net, PICTURE, [v]), ()),
    "feature_maps call": (lambda net, v: cw.feature_maps(net, PICTURE, ["conv1"], call=v), ()),
    "feature_maps call of all": (lambda net, v: cw.feature_maps(net, PICTURE, call=v), ()),
    "top_units layer": (lambda net, v: cw.top_units(net, PICTURE, v), ()),
    "top_units count": (lambda net, v: cw.top_units(net, PICTURE, "conv1", v), (10**9,)),
    "top_units by": (lambda net, v: cw.top_units(net, PICTURE, "conv1", by=v), ()),
    "top_units call": (lambda net, v: cw.top_units(net, PICTURE, "conv1", call=v), ()),
    "top_patches layer": (lambda net, v: cw.top_patches(net, [PICTURE], v, 0), ()),
    "top_patches unit": (lambda net, v: cw.top_patches(net, [PICTURE], "conv1", v), ()),
    "top_patches count": (lambda net, v: cw.top_patches(net, [PICTURE], "conv1", 0, v), (10**9,)),
    "top_patches per_picture": (lambda net, v: cw.top_patches(net, [PICTURE], "conv1", 0, per_picture=v), (10**9,)),
    "top_patches call": (lambda net, v: cw.top_patches(net, [PICTURE], "conv1", 0, call=v), ()),
    "receptive_field layer": (lambda net, v: cw.receptive_field(net, v), ()),
    "receptive_field unit": (lambda net, v: cw.receptive_field(net, "conv1", v), (None,)),
    "receptive_field size": (lambda net, v: cw.receptive_field(net, "conv1", size=v), (None,)),
    "receptive_field call": (lambda net, v: cw.receptive_field(net, "conv1", call=v), ()),
    "box row": (lambda net, v: FIELD.box(v, 0), ()),
    "box column": (lambda net, v: FIELD.box(0, v), ()),
    "map layer": (lambda net, v: cw.class_activation_map(net, PICTURE, v), (None,)),
    "map target": (lambda net, v: cw.class_activation_map(net, PICTURE, target=v), (None,)),
    "map method": (lambda net, v: cw.class_activation_map(net, PICTURE, method=v), ()),
    "map output": (lambda net, v: cw.class_activation_map(net, PICTURE, output=v), (None,)),
    "map call": (lambda net, v: cw.class_activation_map(net, PICTURE, "conv2", 0, call=v), (None,)),
    "map seed": (lambda net, v: cw.class_activation_map(net, PICTURE, seed=v), (-1, 10**9)),
    "attribution target": (lambda net, v: cw.attribution(net, PICTURE, v), (None,)),
    "attribution method": (lambda net, v: cw.attribution(net, PICTURE, method=v), ()),
    "attribution output": (lambda net, v: cw.attribution(net, PICTURE, output=v), (None,)),
    "attribution samples": (lambda net, v: cw.attribution(net, PICTURE, samples=v), (None,)),
    "attribution noise": (lambda net, v: cw.attribution(net, PICTURE, noise=v), ()),
    "attribution seed": (lambda net, v: cw.attribution(net, PICTURE, seed=v), (-1, 10**9)),
    "deepdream layers": (lambda net, v: cw.deepdream(net, PICTURE, v), (None,)),
    "deepdream layer": (lambda net, v: cw.deepdream(net, PICTURE, [v]), ()),
    "deepdream weight": (lambda net, v: cw.deepdream(net, PICTURE, {"conv1": v}), (-1, 10**9, 1.5)),
    "deepdream octaves": (lambda net, v: cw.deepdream(net, PICTURE, octaves=v), ()),
    "deepdream octave_scale": (lambda net, v: cw.deepdream(net, PICTURE, octave_scale=v), (1.5,)),
    "deepdream steps": (lambda net, v: cw.deepdream(net, PICTURE, steps=v), ()),
    "deepdream step_size": (lambda net, v: cw.deepdream(net, PICTURE, step_size=v), (None,)),
    "deepdream jitter": (lambda net, v: cw.deepdream(net, PICTURE, jitter=v), ()),
    "deepdream tile": (lambda net, v: cw.deepdream(net, PICTURE, tile=v), (None,)),
    "deepdream seed": (lambda net, v: cw.deepdream(net, PICTURE, seed=v), (-1, 10**9)),
    "adversarial target": (lambda net, v: cw.adversarial(net, PICTURE, v), (None,)),
    "adversarial epsilon": (lambda net, v: cw.adversarial(net, PICTURE, epsilon=v), ()),
    "adversarial steps": (lambda net, v: cw.adversarial(net, PICTURE, steps=v), ()),
    "adversarial method": (lambda net, v: cw.adversarial(net, PICTURE, method=v), ()),
    "adversarial output": (lambda net, v: cw.adversarial(net, PICTURE, output=v), (None,)),
    "adversarial seed": (lambda net, v: cw.adversarial(net, PICTURE, seed=v), (-1, 10**9)),
    "predict top": (lambda net, v: net.predict(PICTURE, top=v), (10**9,)),
    "predict output": (lambda net, v: net.predict(PICTURE, output=v), (None,)),
    "randomized seed": (lambda net, v: randomized(net, v), (-1, 10**9)),
    "Network preprocess": (lambda net, v: cw.Network(net.model, v), ()),
    "Network class_names": (lambda net, v: cw.Network(net.model, class_names=v), (None,)),
    "Network name": (lambda net, v: cw.Network(net.model, name=v), ("abc", None)),
    "jitter": (lambda net, v: cw.transforms.jitter(v), (10**9,)),
    "crop": (lambda net, v: cw.transforms.crop(v), ()),
    "noise": (lambda net, v: cw.transforms.noise(v), ()),
    "scale": (lambda net, v: cw.transforms.scale(v), ()),
    "rotate": (lambda net, v: cw.transforms.rotate(v), (1.5,)),
    "fourier": (lambda net, v: cw.parametrizations.fourier(v), (1.5,)),
    "adam": (lambda net, v: cw.optimizers.adam(v), (10**9, 1.5)),
    "momentum_sign": (lambda net, v: cw.optimizers.momentum_sign(v), (10**9, 1.5)),
}


@pytest.fixture(scope="module")
def fresh(build):
    """A network whose layers are known, and of which nothing is traced."""
    net = Network(build("plain"))
    assert net.layers
    return net


@pytest.mark.parametrize("setting", SETTINGS)
def test_what_a_setting_cannot_be_is_refused_in_words_before_any_computing(fresh, monkeypatch, setting):
    monkeypatch.setattr(Network, "call", lambda *_: pytest.fail("the network was run"))
    use, taken = SETTINGS[setting]
    for value in WRONG:
        if any(value is one or (type(value) is type(one) and value == one) for one in taken):
            continue
        if setting in ("neuron row", "neuron column") and value == 10**9:
            continue  # how many there are is known by the picture's size: see below
        with pytest.raises(BadTarget) as refused:
            use(fresh, value)
        words = str(refused.value)
        assert any(shown in words for shown in (repr(value), repr(value).strip("[]"))), words  # the value
        assert re.search(r"\. [A-Z]|\(| must |^Expected ", words), words  # and what to do
        assert "{{" not in words and "\n" not in words and "\x1b" not in words and len(words) < 400
        assert not re.search(r"[:(] ?\.|\bof ?\.|, ,", words), words  # no list of choices without a choice


@pytest.mark.parametrize(
    "place, words", [((24, 0), "row must .*from 0 to 23, got 24"), ((0, 10**9), "column must .*from 0 to 31")]
)
def test_a_neuron_outside_its_map_is_refused_with_the_maps_size(net, place, words):
    with pytest.raises(BadTarget, match=words):
        cw.ascend(net("plain"), o.neuron("conv1", 0, *place), size=(24, 32), steps=1)


def test_numpys_numbers_are_numbers(net):
    layer, call, output = o.channel("conv2", np.int64(3), call=np.int32(0)), np.int64(0), np.int64(0)
    assert len(list(cw.ascend(net("plain"), layer, size=np.int64(16), steps=np.int8(1), seed=np.uint8(3)))) == 1
    assert cw.feature_maps(net("plain"), PICTURE, ["conv1"], call=call)
    assert net("plain").predict(PICTURE, top=np.int64(2), output=output)
    assert cw.transforms.noise(np.float32(0.5)).deviation == 0.5


@pytest.mark.parametrize("output", ["kind", 1, np.int64(1)])
def test_an_objective_may_name_its_output(noise, output):
    picture = keras.Input((16, 16, 3))
    layers = keras.layers
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(picture))
    heads = {"box": layers.Dense(4)(x), "kind": layers.Dense(2, activation="softmax")(x)}
    net = cw.Network(keras.Model(picture, heads))
    first = next(cw.ascend(net, o.class_logit(1, output=output), steps=1))
    again = next(cw.ascend(net, o.class_logit(1, output="kind"), steps=1))
    assert first.pictures.tobytes() == again.pictures.tobytes()
    with pytest.raises(BadTarget, match="no class 2"):
        cw.ascend(net, o.class_logit(2, output=output))
    with pytest.raises(BadTarget, match="no output 'knd'.*kind"):
        cw.ascend(net, o.class_logit(0, output="knd"))
