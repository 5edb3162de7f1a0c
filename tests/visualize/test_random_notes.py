"""What is made of a network that draws random numbers at inference says so."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.frame import last_of
from cnnwidgets.model.backend import keras, tf

L = keras.layers
PICTURE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


class Noise(L.Layer):
    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x))


@pytest.fixture(scope="module")
def net():
    x = picture = keras.Input((16, 16, 3))
    x = Noise(name="noise")(L.Conv2D(3, 3, name="before")(x))
    x = L.Conv2D(3, 3, name="after")(x)
    return cw.Network(keras.Model(picture, L.Dense(3, "softmax")(L.GlobalAveragePooling2D()(x))), "unit")


MADE = {
    "units": lambda net: cw.visualize_units(net, "after", [0], size=16, steps=1),
    "classes": lambda net: cw.visualize_classes(net, [0], size=16, steps=1),
    "ascent": lambda net: last_of(cw.ascend(net, cw.objectives.channel("after", 1), 16, 1)),
    "dream": lambda net: last_of(cw.deepdream(net, PICTURE, "after", octaves=1, steps=1)),
    "nudge": lambda net: last_of(cw.adversarial(net, PICTURE, 0, steps=1)),
}


@pytest.mark.parametrize("what", MADE)
def test_what_depends_on_random_numbers_says_which_layer_draws(net, what):
    assert all("random: the layer 'noise' draws" in note for note in MADE[what](net).notes)


def test_what_stands_before_them_says_nothing(net):
    assert cw.visualize_units(net, "before", [0, 1], size=16, steps=1).notes == ("", "")
    assert not last_of(cw.ascend(net, cw.objectives.channel("before", 1), 16, 1)).notes


@pytest.mark.filterwarnings("ignore")
def test_panels_say_it_and_do_not_call_a_unit_silent_for_it(net, monkeypatch):
    monkeypatch.setenv("CNNWIDGETS_CACHE_DIR", "")
    for panel in (
        cw.FilterGallery(net, "after", units=range(2), size=16, steps=1),
        cw.AdversarialPanel(net, PICTURE, 0, steps=1),
    ):
        panel.run()
        assert "The network is random: the layer 'noise' draws" in panel._conclusion()
        assert "never fire" not in panel._conclusion()
        panel.close()


def test_an_open_tape_does_not_hear_what_is_made(net):
    scale = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        made = {what: make(net) for what, make in MADE.items()}
        value = scale * scale
    assert tape.gradient(value, scale) == 4.0
    assert made["units"].pictures.tobytes() == MADE["units"](net).pictures.tobytes()
