"""The named recipes; "textbook" is what the books do, to the pixel."""

import numpy as np
import pytest

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.visualize import randomness
from cnnwidgets.visualize.presets import CLASS_RECIPES, UNIT_RECIPES, named
from cnnwidgets.visualize.units import visualize_units


def by_the_books(model, preprocess, layer, channel, start, steps):
    """Chollet's recipe, written down once more: all in grey levels, the channel's mean after its activation."""
    read = keras.Model(model.input, model.get_layer(layer).output)
    picture = tf.constant(start)  # [1, H, W, 3], 128 + U(0, 20)
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(picture)
            value = tf.reduce_mean(read(preprocess(picture))[..., channel])
        gradient = tape.gradient(value, picture)
        picture += gradient / (tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-5)
    picture = picture.numpy()[0].astype(np.float64)
    picture = (picture - picture.mean()) / (picture.std() + 1e-5)
    return np.clip(picture * 0.1 + 0.5, 0, 1)


@pytest.mark.parametrize(
    "mode, preprocess",
    [("none", lambda x: x), ("unit", lambda x: x / 255)],
)
def test_the_textbook_recipe_is_that_of_the_books(build, mode, preprocess):
    network = Network(build("plain"), preprocess=mode)
    pics = visualize_units(network, "conv2", [0, 3], size=24, steps=12, recipe="textbook", seed=5)
    for row, channel in enumerate(pics.units):
        noise = randomness.uniform(randomness.picture_seeds(5, [channel]), (24, 24, 3), 0.0, 20.0)
        expected = by_the_books(network.model, preprocess, "conv2", channel, 128 + noise, 12)
        np.testing.assert_allclose(pics.pictures[row], expected, atol=2e-3)
        unclimbed = by_the_books(network.model, preprocess, "conv2", channel, 128 + noise, 0)
        assert np.abs(unclimbed - expected).max() > 0.02  # it did climb


def test_the_textbook_value_is_the_mean_after_the_activation(build, value_of):
    network = Network(build("plain"))
    pics = visualize_units(network, "conv2", [0], size=16, steps=2, recipe="textbook")
    after = keras.Model(network.model.input, network.model.get_layer("conv2").output)
    eight_bits = (np.round(pics.pictures * 255) / 255).astype(np.float32)
    assert pics.values[0] == pytest.approx(float(keras.ops.mean(after(eight_bits)[..., 0])), rel=1e-4)


def test_the_recipes_paint_different_pictures(net):
    names = ("fourier", "natural", "textbook")
    pictures = [visualize_units(net("plain"), "conv2", [0], size=16, steps=4, recipe=name).pictures for name in names]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert not np.allclose(pictures[one], pictures[other], atol=0.05)


@pytest.mark.parametrize("recipes", [UNIT_RECIPES, CLASS_RECIPES])
def test_a_recipe_is_one_value_so_that_it_is_one_trace(recipes):
    for name in ("fourier", "natural", "textbook"):
        assert named(name, recipes) == named(name, recipes)
        assert hash(named(name, recipes)) == hash(named(name, recipes))


@pytest.mark.parametrize("name", ["furier", "", None, 3, ["fourier"]])
def test_an_unknown_recipe_is_refused_with_the_choices(name):
    with pytest.raises(BadTarget, match="There is no recipe .*fourier"):
        named(name)


def test_units_and_classes_take_large_steps():
    """At half the rate shallow units respond too little after 32 steps, and classes do not survive JPEG."""
    assert named("fourier").optimizer.rate == 0.1
    assert named("fourier", CLASS_RECIPES).optimizer.rate == 0.1
