"""Pictures of classes: the class asked for, by index or name, and a word where the network sees another."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.classes import ClassesSettings, visualize_classes

NAMES = ["cat", "dog", "crane", "crane", "shark"]


@pytest.fixture(scope="module")
def named(build):
    return Network(build("plain"), class_names=NAMES)


def test_a_picture_of_a_class_is_128_pixels_unless_asked_otherwise(named, build):
    assert ClassesSettings(["dog"]).check(named).canvas.shape == (128, 128, 3)
    fixed = Network(build("dense_only"))
    assert ClassesSettings([0]).check(fixed).canvas.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "size, recipe, fed",
    [
        (128, "fourier", (192, 192)),
        ((96, 64), "natural", (144, 96)),
        (200, "fourier", (224, 224)),
        (224, "fourier", None),
        (300, "fourier", None),
        (128, "textbook", None),
    ],
)
def test_a_network_of_any_size_sees_the_pictures_larger_whatever_size_it_is_said_to_have(build, size, recipe, fed):
    for own in (None, 32, 224, (100, 60), "picture"):  # no part of a recipe or of a cache's key
        net = Network(build("plain"), class_names=NAMES, size=own)
        assert ClassesSettings(["dog"], size, recipe=recipe).check(net).canvas.fed == fed


def test_the_result_says_what_the_network_sees(named):
    pics = visualize_classes(named, ["dog", 4], size=16, steps=6)
    assert pics.units == (1, 4) and pics.pictures.shape == (2, 16, 16, 3)
    logits = keras.Model(named.model.input, named.model.get_layer("logits").output)
    larger = keras.ops.image.resize((np.round(pics.pictures * 255) / 255).astype(np.float32), (24, 24))
    answers = logits(larger).numpy()
    np.testing.assert_allclose(pics.values, [answers[0, 1], answers[1, 4]], rtol=1e-4, atol=1e-5)
    for row, wanted in enumerate(pics.units):
        seen = int(answers[row].argmax())
        assert pics.notes[row] == ("" if seen == wanted else f"the network sees {NAMES[seen]} instead")


def test_a_start_without_a_gradient_is_told(build):
    model = build("plain")
    dead = model.get_layer("conv1")
    dead.bias.assign([-1e4] * dead.filters)
    pics = visualize_classes(Network(model, class_names=NAMES), [0, 1, 2], size=16, steps=2)
    assert all(note.startswith("not optimized: no gradient at the start") for note in pics.notes)
    assert sum("the network sees" in note for note in pics.notes) >= 2


def test_a_picture_that_failed_names_the_class_that_is_seen_instead(build):
    model = build("plain")
    model.get_layer("logits").bias.assign([1e3, 0, 0, 0, 0])
    pics = visualize_classes(Network(model, class_names=NAMES), [0, 1], size=16, steps=2)
    assert pics.notes == ("", "the network sees cat instead")


def test_a_class_alone_is_the_same_bytes_as_among_others(named):
    among = visualize_classes(named, [0, 1, 4], size=16, steps=40)
    alone = visualize_classes(named, [4], size=16, steps=40)
    assert alone.pictures[0].tobytes() == among.pictures[2].tobytes()


def test_the_two_classes_of_one_sigmoid_pull_apart(net):
    pics = visualize_classes(net("siamese"), [0, 1], steps=8)
    assert pics.values[1] > -pics.values[0] + 0.1  # each value is the logit of its own side


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"classes": ["bird"]}, "no class 'bird'.*cat"),
        ({"classes": ["crane"]}, "ambiguous.*2, 3"),
        ({"classes": [5]}, "no class 5. Choose an index from 0 to 4"),
        ({"classes": [-1]}, "no class -1"),
        ({"classes": [True]}, "no class True"),
        ({"classes": []}, "classes must name at least one class"),
        ({"classes": "dog"}, r"classes must .*goldfish.*, got 'dog'"),
        ({"classes": 3}, "classes must .*got 3"),
        ({"output": 1}, "no output 1"),
        ({"recipe": "none"}, "no recipe 'none'"),
        ({"size": 5}, "size must .*got 5"),
        ({"steps": 0}, "steps must .*got 0"),
        ({"seed": "x"}, "seed must .*got 'x'"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_refused_in_words(named, wrong, words):
    with pytest.raises(BadTarget, match=words):
        visualize_classes(named, **{"classes": [0], "size": 16, "steps": 2, **wrong})
