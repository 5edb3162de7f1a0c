"""What a network makes of a picture never depends on the pictures that share its batch."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.explain import pass_cost
from cnnwidgets.model.backend import keras, tf

L = keras.layers


class StatisticsOfTheBatch(L.Layer):
    def __init__(self):
        super().__init__()
        self.normalization = L.BatchNormalization()

    def call(self, inputs):
        return self.normalization(inputs, training=True)


def of_range(x):
    return (x - tf.reduce_min(x)) / (tf.reduce_max(x) - tf.reduce_min(x) + 1e-6)


def of_each_range(x):
    low, high = (of(x, [1, 2, 3], keepdims=True) for of in (tf.reduce_min, tf.reduce_max))
    return (x - low) / (high - low + 1e-6)


MIXING = {
    "range of the batch": (L.Lambda(of_range), "unit"),
    "statistics of the batch": (StatisticsOfTheBatch(), "unit"),
    "one picture alone": (L.Lambda(lambda x: tf.reshape(x, [1, 10, 12, 6])), "unit"),
    "a function of the batch": (L.Identity(), lambda x: x / tf.reduce_max(x)),
}
APART = {
    "nothing": (L.Identity(), "unit"),
    "range of the picture": (L.Lambda(of_each_range), "unit"),
    "another shape": (L.Reshape([10, 12, 6]), "unit"),
    "a function of the picture": (L.Identity(), lambda x: of_each_range(x)),
}


def network(layer, preprocess):
    keras.utils.set_random_seed(4)
    given = keras.Input((12, 14, 3))
    x = L.Conv2D(6, 3, activation="relu", name="conv")(given)
    x = L.GlobalMaxPooling2D()(layer(x))
    return cw.Network(keras.Model(given, L.Dense(4, name="scores")(x)), preprocess)


@pytest.mark.parametrize("kind", [*MIXING, *APART])
def test_it_is_known_whether_pictures_may_share_a_batch(kind):
    assert network(*{**MIXING, **APART}[kind]).takes_batches == (kind in APART)


METHODS = {"occlusion": {}, "rise": {"samples": 12}, "smoothgrad": {"samples": 3}}


def maps(net, picture):
    found = {method: cw.attribution(net, picture, 1, method, **more)[0].raw for method, more in METHODS.items()}
    cams = ("score_cam", "ablation_cam")
    return found | {method: cw.class_activation_map(net, picture, "conv", 1, method)[0].raw for method in cams}


@pytest.mark.parametrize("kind", MIXING)
def test_changed_copies_of_a_picture_are_rated_alone(noise, monkeypatch, kind):
    net, picture = network(*MIXING[kind]), noise(12, 14, 3)
    found = maps(net, picture)
    monkeypatch.setattr(pass_cost, "MOST_COPIES", 1)
    monkeypatch.setattr(pass_cost, "MOST_CHANNELS", 1)
    for method, alone in maps(net, picture).items():
        np.testing.assert_array_equal(found[method], alone, err_msg=method)


@pytest.mark.parametrize("kind", MIXING)
def test_the_picture_of_a_unit_does_not_depend_on_its_neighbors(kind):
    net = network(*MIXING[kind])
    both, alone = (cw.visualize_units(net, "scores", units, steps=3).pictures for units in ([2, 0], [2]))
    np.testing.assert_array_equal(both[:1], alone)
