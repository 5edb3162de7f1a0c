"""Networks of any size whose maps fit only at multiples of 2^n take photographs of every size."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.frame import last_of
from cnnwidgets.model.backend import keras

L = keras.layers
PICTURE = np.random.default_rng(0).integers(0, 256, (37, 53, 3), np.uint8)


def unet(levels, join=L.Concatenate, up=L.UpSampling2D):
    x = picture = keras.Input((None, None, 3))
    skips = []
    for level in range(levels):
        x = L.Conv2D(3, 3, padding="same", activation="relu", name=f"down{level}")(x)
        skips.append(x)
        x = L.MaxPooling2D()(x)
    x = L.Conv2D(3, 3, padding="same", name="deepest")(x)
    for skip in reversed(skips):
        x = L.Conv2D(3, 3, padding="same")(join()([up()(x), skip]))
    return keras.Model(picture, L.Conv2D(3, 1, activation="softmax")(x))


@pytest.fixture(scope="module")
def net():
    return cw.Network(unet(3), "unit")


@pytest.mark.parametrize(
    "levels, join, up",
    [(1, L.Concatenate, L.UpSampling2D), (2, L.Add, L.UpSampling2D),
     (3, L.Concatenate, lambda: L.Conv2DTranspose(3, 3, 2, padding="same"))],
)  # fmt: skip
def test_the_multiple_is_found(levels, join, up):
    assert cw.Network(unet(levels, join, up), "unit").inputs[0].multiple == 2**levels


def test_a_network_that_takes_any_size_is_fed_as_before():
    x = picture = keras.Input((None, None, 3))
    net = cw.Network(keras.Model(picture, L.UpSampling2D()(L.Conv2D(3, 3)(x))), "unit")
    assert net.inputs[0].multiple == 1 and net.arrays(PICTURE)[0].shape == (1, 37, 53, 3)


def test_photographs_are_brought_to_the_nearest_size_and_maps_back(net):
    (fed,) = net.arrays(PICTURE)
    assert fed.shape == (1, 40, 56, 3)
    assert "multiples of 8" in net.size_note
    shares = {p.index: p.probability for p in net.predict(PICTURE)}
    classes = net.model(fed, training=False).numpy()[0].argmax(-1)
    assert shares == pytest.approx({i: (classes == i).mean() for i in range(3)})
    assert cw.class_activation_map(net, PICTURE, "deepest", target=0)[0].map.shape == (37, 53)
    assert cw.attribution(net, PICTURE, target=0, method="gradient")[0].map.shape == (37, 53)
    assert cw.feature_maps(net, PICTURE, ["deepest"])["deepest"].shape == (5, 7, 3)


def test_pictures_that_are_climbed_keep_the_size_that_was_asked_for(net):
    assert cw.visualize_units(net, "deepest", [0], size=30, steps=1).pictures.shape == (1, 30, 30, 3)
    assert last_of(cw.deepdream(net, PICTURE, "deepest", octaves=1, steps=1)).pictures.shape == (1, 37, 53, 3)
    assert last_of(cw.adversarial(net, PICTURE, 0, steps=1)).pictures.shape == (1, 40, 56, 3)


def test_a_size_that_fits_changes_no_pixel(net):
    size, steps = 32, 1
    made = cw.visualize_units(net, "deepest", [0], size=size, steps=steps)
    plain = cw.visualize_units(cw.Network(keras.Model(net.model.input, net.model.get_layer("deepest").output), "unit"),
                               "deepest", [0], size=size, steps=steps)  # fmt: skip
    assert np.allclose(made.pictures, plain.pictures, atol=1e-5)
