"""Accentuated photographs stay near the photograph and gain on the objective; caricatures resemble its activation."""

from collections import deque

import numpy as np
import pytest

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.visualize import objectives, transforms
from cnnwidgets.visualize.objectives import channel, class_logit, unit
from cnnwidgets.visualize.photographs.accentuation import accentuate
from cnnwidgets.visualize.photographs.caricature import caricature
from cnnwidgets.visualize.terms.of_photographs import Resemblance
from cnnwidgets.visualize.terms.term import Activation

SMOOTH = np.linspace(0.2, 0.8, 32 * 40 * 3, dtype=np.float32).reshape(32, 40, 3)  # [H, W, 3]


def last(frames):
    return deque(frames, maxlen=1).pop()


@pytest.fixture(scope="module")
def photo(noise):
    """Half smooth, half noise, 40 wide and 32 high."""
    return (SMOOTH + noise(32, 40, 3)) / 2


def test_an_accentuation_gains_on_its_objective_and_streams_every_step(net, photo, value_of):
    plain, objective = net("plain"), channel("conv2", 3)
    frames = list(accentuate(plain, photo, objective, steps=12))
    assert [(f.step, f.steps) for f in frames] == [(n, 12) for n in range(1, 13)]
    made, original = frames[-1].pictures, frames[-1].original
    assert made.shape == original.shape == (1, 32, 40, 3)
    assert made.dtype == np.float32
    assert made.min() >= 0
    assert made.max() <= 1
    np.testing.assert_allclose(original[0], photo, atol=1e-6)
    assert value_of(plain, objective, made)[0] > value_of(plain, objective, original)[0] + 0.1


def test_its_first_value_is_that_of_the_photograph_without_any_penalty(net, photo, value_of):
    plain, objective = net("plain"), channel("conv2", 3)
    frame = next(accentuate(plain, photo, objective, strength=3.0, transforms=[]))
    assert frame.values[0] == pytest.approx(value_of(plain, objective, photo[None])[0], rel=1e-3)
    later = last(accentuate(plain, photo, objective, strength=3.0, steps=8, transforms=[]))
    before = last(accentuate(plain, photo, objective, strength=3.0, steps=7, transforms=[]))
    assert later.values[0] == pytest.approx(value_of(plain, objective, before.pictures)[0], rel=1e-3)


@pytest.mark.parametrize("objective", [channel("conv1", 2), channel("conv2", 5), class_logit(3)])
def test_a_greater_strength_holds_the_photograph_more(net, photo, objective):
    plain = net("plain")
    made = [last(accentuate(plain, photo, objective, strength=s, steps=16)) for s in (0, 1, 10)]
    distances = [float(f.distances[0]) for f in made]
    assert distances[0] > distances[1] > distances[2] > 0
    moved = [np.abs(f.pictures - f.original).mean() for f in made]
    assert moved[0] > moved[2]


def test_the_distance_is_that_of_the_early_layer(net, photo):
    plain = net("plain")
    frame = last(accentuate(plain, photo, channel("conv2", 3), steps=4, early_layer="conv1"))

    def activation(pictures):
        with plain.record(["conv1"]) as recording:
            plain.call([pictures])
        return recording.activation("conv1").numpy()

    a, b = activation(frame.pictures), activation(frame.original)
    assert frame.early_layer == "conv1"
    assert frame.distances[0] == pytest.approx(np.linalg.norm(a - b) / np.linalg.norm(b), rel=1e-4)


def test_one_strength_suits_objectives_of_any_scale(net, photo):
    plain = net("plain")
    one = last(accentuate(plain, photo, channel("conv2", 3), steps=8)).pictures
    many = last(accentuate(plain, photo, 1000 * channel("conv2", 3), steps=8)).pictures
    assert np.abs(one - many).mean() < 0.005


def test_several_units_are_accentuated_each_in_the_same_photograph(net, photo):
    plain = net("plain")
    both = last(accentuate(plain, photo, channel("conv2", [3, 5]), steps=8))
    alone = last(accentuate(plain, photo, channel("conv2", 5), steps=8))
    assert both.pictures.shape == (2, 32, 40, 3)
    assert both.distances.shape == (2,)
    assert np.abs(both.pictures[1] - alone.pictures[0]).mean() < 0.005
    assert np.abs(both.pictures[0] - both.pictures[1]).max() > 0.05


@pytest.mark.parametrize("verb", ["accentuate", "caricature"])
def test_the_same_seed_gives_the_same_bytes(net, photo, verb):
    def make(seed):
        if verb == "accentuate":
            return last(accentuate(net("plain"), photo, channel("conv2", 3), steps=4, seed=seed)).pictures.tobytes()
        return last(caricature(net("plain"), photo, "conv2", steps=4, seed=seed)).pictures.tobytes()

    assert make(1) == make(1)
    assert make(1) != make(2)


def test_a_strength_that_is_a_function_is_called_before_each_step(net, photo):
    called = []

    def strength():
        called.append(1)
        return 1.0

    steered = last(accentuate(net("plain"), photo, channel("conv2", 3), strength, steps=5)).pictures
    assert len(called) >= 5
    assert steered.tobytes() == last(accentuate(net("plain"), photo, channel("conv2", 3), steps=5)).pictures.tobytes()


def test_another_photograph_unit_or_strength_traces_nothing_anew(net, photo):
    traced = []

    class Counting:
        def __call__(self, pictures, seeds, shared):
            traced.append(1)
            return pictures

    counting = [Counting()]
    last(accentuate(net("plain"), photo, channel("conv2", 3), steps=2, transforms=counting))
    count = len(traced)
    last(accentuate(net("plain"), photo[:, ::-1], channel("conv2", 4), 2.0, steps=3, transforms=counting))
    assert len(traced) == count
    last(caricature(net("plain"), photo, "conv2", steps=2, transforms=counting))
    count = len(traced)
    last(caricature(net("plain"), photo[:, ::-1], "conv2", steps=2, power=0.0, transforms=counting))
    assert len(traced) == count


LAYERS = {
    "plain": "conv2",
    "sequential": "conv",
    "nested": "backbone/conv",
    "siamese": "encoder/conv",
    "twice": "conv",
    "dense_only": "hidden",
    "subclassed": "block/deep_conv",
    "inputs_as_list": "conv",
    "inputs_as_dict": "conv",
    "channels_first": "conv2",
    "mixed_float16": "conv",
    "with_state": "conv",
}


@pytest.mark.parametrize("name", LAYERS)
def test_any_model_accentuates_and_makes_caricatures(net, photo, snapshot_of, name):
    network = net(name)
    before = snapshot_of(network.model)
    given = [photo, photo[::-1]] if name == "siamese" else photo
    layer = LAYERS[name]
    made = last(accentuate(network, given, unit(layer, 1), steps=3))
    drawn = last(caricature(network, given, layer, steps=3))
    for frame in (made, drawn):
        channels = network.inputs[network.picture_inputs[0]].channels
        assert frame.pictures.shape[0] == 1
        assert frame.pictures.shape[3] == channels
        height, width = frame.pictures.shape[1:3]
        assert width / height == pytest.approx(40 / 32, rel=0.1), "the photograph's aspect is kept"
        assert np.isfinite(frame.pictures).all()
    assert snapshot_of(network.model) == before


def test_a_caricature_comes_to_resemble_the_photographs_activation(net, photo):
    frames = list(caricature(net("plain"), photo, "conv2", steps=40, transforms=[]))
    assert frames[-1].values[0] > frames[0].values[0]
    assert frames[-1].values[0] > 0.5
    assert frames[-1].pictures.shape == (1, 32, 40, 3)


def test_the_value_of_a_caricature_is_one_for_the_photograph_itself():
    seen = tf.constant(np.random.default_rng(0).random((1, 4, 5, 6)).astype(np.float32))
    for power in (0.0, 2.0):
        term = Resemblance(layer="conv2", power=power)
        activation = Activation(seen, None, False, beside=seen)
        assert term.value(activation, term.numbers(1)).numpy() == pytest.approx([1.0], abs=1e-4)
        other = Activation(3 * seen, None, False, beside=seen)
        assert term.value(other, term.numbers(1)).numpy() == pytest.approx([3.0], abs=1e-3)


def test_a_network_without_a_gradient_says_that_nothing_changed(photo):
    picture = keras.Input((None, None, 3))
    conv = keras.layers.Conv2D(2, 3, activation="relu", name="conv", bias_initializer=keras.initializers.Constant(-1e6))
    out = keras.layers.Conv2D(2, 3, name="last")(conv(picture))
    model = keras.Model(picture, out)
    frame = last(accentuate(Network(model), photo, objectives.channel("last", 0), steps=2))
    assert "no gradient" in frame.notes[0]
    np.testing.assert_allclose(frame.pictures, frame.original, atol=0.01)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"strength": -1}, BadTarget, "strength must be a finite number from 0"),
        ({"strength": "much"}, BadTarget, "strength must be"),
        ({"strength": float("nan")}, BadTarget, "strength must be"),
        ({"steps": 0}, BadTarget, "steps must be an integer from 1 to 2048, got 0."),
        ({"objective": channel("nope", 3)}, BadTarget, "There is no layer 'nope'"),
        ({"objective": channel("conv2", 99)}, BadTarget, "no unit 99"),
        ({"objective": "conv2"}, BadTarget, "Expected an objective"),
        ({"early_layer": "nope"}, BadTarget, "There is no layer 'nope'"),
        ({"early_layer": "picture"}, BadTarget, "is never called"),
        ({"transforms": "jitter"}, BadTarget, "transforms must be a list"),
        ({"picture": "no-such-file.jpg"}, BadPicture, "no-such-file.jpg"),
        ({"size": 0}, BadTarget, "size must be"),
        ({"seed": 1.5}, BadTarget, "seed must be an integer"),
    ],
)
def test_bad_input_is_refused_before_any_computing(net, photo, given, error, words):
    arguments = {"picture": photo, "objective": channel("conv2", 3), **given}
    with pytest.raises(error, match=words.replace("(", r"\(")):
        accentuate(net("plain"), **arguments)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"layer": "nope"}, "There is no layer 'nope'"),
        ({"layer": 3}, "There is no layer 3"),
        ({"power": -1}, "power must be a finite number from 0 to 16"),
        ({"call": 1}, "no call 1"),
        ({"steps": 4000}, "steps must be an integer from 1 to 2048"),
    ],
)
def test_a_bad_caricature_is_refused_before_any_computing(net, photo, given, words):
    with pytest.raises(BadTarget, match=words):
        caricature(net("plain"), photo, **{"layer": "conv2", **given})


def test_transforms_act_on_picture_and_photograph_alike(net, photo):
    """Where a picture is the photograph, no transform makes a distance."""
    frame = next(accentuate(net("plain"), photo, 0 * channel("conv2", 3), transforms=[transforms.crop(0.5, 0.6)]))
    np.testing.assert_allclose(frame.pictures, frame.original, atol=0.02)
