"""A gallery over the logits: named tiles, classes added and removed, the same pictures as the verb."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras

L = keras.layers


@pytest.fixture
def net():
    keras.utils.set_random_seed(0)
    picture = L.Input((None, None, 3))
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv")(picture)
    x = L.GlobalAveragePooling2D()(x)
    model = keras.Model(picture, L.Dense(3, activation="softmax")(x))
    return cw.Network(model, class_names=["ant", "bee", "cat"])


@pytest.fixture
def gallery(net):
    made = cw.ClassGallery(net, ["bee", 2], size=24, steps=4)
    yield made
    made.close()


def test_the_result_is_that_of_the_verb(gallery, net):
    made = gallery.run()
    expected = cw.visualize_classes(net, [1, 2], size=24, steps=4)
    np.testing.assert_array_equal(made.pictures, expected.pictures)
    assert made.units == (1, 2)


def test_tiles_are_called_by_their_class(gallery):
    gallery.run()
    assert "bee" in gallery.screen.over.value
    assert "cat" in gallery.screen.over.value


def test_a_class_is_added_by_name_and_an_unknown_one_is_refused(gallery):
    gallery._guarded(gallery._add_class, "ant")
    assert gallery.classes == (1, 2, 0)
    gallery._guarded(gallery._add_class, "dog")
    assert gallery.classes == (1, 2, 0)
    assert "no class 'dog'" in gallery.status


def test_the_chosen_class_is_removed_but_never_the_last(gallery):
    gallery._guarded(gallery._remove_chosen)
    assert "No class is chosen" in gallery.status
    gallery._assign(unit=2)
    gallery._remove_chosen()
    assert gallery.classes == (1,)
    gallery._assign(unit=1)
    gallery._guarded(gallery._remove_chosen)
    assert gallery.classes == (1,)


def test_the_code_makes_the_same_pictures(gallery, net):
    made = gallery.run()
    names = {"net": net}
    exec(gallery.snippet(), names)
    np.testing.assert_array_equal(names["pics"].pictures, made.pictures)


def test_the_constructor_raises_what_the_verb_raises(net):
    with pytest.raises(cw.BadTarget, match="no class 'dog'"):
        cw.ClassGallery(net, ["dog"])
