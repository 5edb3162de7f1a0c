"""Every kind of model that users bring: each can be listed, climbed, asked, and is left as it was."""

from __future__ import annotations

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.compute.backend import keras, tf

L = keras.layers
MODELS = {}


def model(function):
    MODELS[function.__name__] = function
    return function


def encoder(name="backbone", channels=3, size=None):
    picture = L.Input((size, size, channels))
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(picture)
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv2")(L.MaxPooling2D()(x))
    return keras.Model(picture, x, name=name)


def scores(x, classes=4, activation="softmax"):
    return L.Dense(classes, activation=activation, name="out")(L.GlobalAveragePooling2D()(x))


@model
def rescaling_then_nested():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(L.Rescaling(1 / 255)(picture)))), "backbone/conv2"


@model
def sequential_around_a_backbone():
    return keras.Sequential([L.Input((32, 32, 3)), encoder(), L.GlobalAveragePooling2D(), L.Dense(3)]), "conv2"


@model
def sequential_built_late():
    made = keras.Sequential([L.Conv2D(4, 3, name="c"), L.Flatten(), L.Dense(3)])
    made.build((None, 32, 32, 3))
    return made, "c"


@model
def two_levels_deep():
    inside, picture = L.Input((32, 32, 3)), L.Input((32, 32, 3))
    middle = keras.Model(inside, L.Conv2D(4, 1, name="post")(encoder("inner")(inside)), name="middle")
    return keras.Model(picture, scores(middle(picture))), "middle/inner/conv2"


@model
def two_branches_with_layers_of_one_name():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(L.Add()([encoder("left")(picture), encoder("right")(picture)]))), "right/conv2"


@model
def backbone_with_dots_in_its_name():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder("mobilenetv2_1.00_224")(picture))), "mobilenetv2_1.00_224/conv2"


@model
def siamese():
    first, second = L.Input((32, 32, 3), name="first"), L.Input((32, 32, 3), name="second")
    shared = encoder()
    apart = L.Subtract()([L.GlobalAveragePooling2D()(shared(second)), L.GlobalAveragePooling2D()(shared(first))])
    return keras.Model([first, second], L.Dense(1, activation="sigmoid")(apart)), "conv2"


@model
def one_convolution_used_twice():
    picture = L.Input((32, 32, 3))
    twice = L.Conv2D(3, 3, padding="same", name="c")
    return keras.Model(picture, scores(twice(L.ReLU()(twice(picture))))), "c"


@model
def subclassed_with_a_bare_softmax():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.c, self.d = L.Conv2D(4, 3, activation="relu", name="c"), L.Dense(3)
            self.pool = L.GlobalAveragePooling2D()

        def call(self, x):
            return keras.ops.softmax(self.d(self.pool(self.c(x))))

    made = Net()
    made(np.zeros((1, 32, 32, 3), np.float32))
    return made, "c"


@model
def picture_and_table_by_name():
    picture, table = L.Input((32, 32, 3), name="picture"), L.Input((5,), name="table")
    both = L.Concatenate()([L.GlobalAveragePooling2D()(encoder()(picture)), L.Dense(4)(table)])
    return keras.Model({"table": table, "picture": picture}, L.Dense(3, activation="softmax")(both)), "conv2"


@model
def two_pictures_of_different_size():
    small, large = L.Input((32, 32, 3), name="small"), L.Input((48, 40, 3), name="large")
    pooled = [L.GlobalAveragePooling2D()(encoder("a")(small)), L.GlobalAveragePooling2D()(encoder("b")(large))]
    return keras.Model([small, large], L.Dense(3, activation="softmax")(L.Concatenate()(pooled))), "b/conv2"


@model
def outputs_by_name():
    picture = L.Input((32, 32, 3))
    x = L.GlobalAveragePooling2D()(encoder()(picture))
    return keras.Model(picture, {"kind": L.Dense(3, activation="softmax")(x), "box": L.Dense(4)(x)}), "conv2"


@model
def grey_pictures():
    picture = L.Input((28, 28, 1))
    return keras.Model(picture, scores(encoder(channels=1)(picture), 10)), "conv2"


@model
def seven_channels():
    picture = L.Input((28, 28, 7))
    return keras.Model(picture, scores(encoder(channels=7)(picture), 10)), "conv2"


@model
def whole_numbers():
    picture = L.Input((32, 32, 3), dtype="uint8")
    return keras.Model(picture, scores(encoder()(L.Rescaling(1 / 255)(picture)))), "conv2"


@model
def mixed_float16():
    with_policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        picture = L.Input((32, 32, 3))
        return keras.Model(picture, scores(encoder()(picture))), "conv2"
    finally:
        keras.config.set_dtype_policy(with_policy)


@model
def lambda_layer():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(L.Lambda(lambda t: t * 2)(picture)))), "conv2"


@model
def segmentation():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, L.Conv2D(5, 1, activation="softmax", name="out")(encoder()(picture))), "conv2"


@model
def regression():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, scores(encoder()(picture), 1, None)), "conv2"


@model
def softmax_as_its_own_layer():
    picture = L.Input((32, 32, 3))
    return keras.Model(picture, L.Softmax()(scores(encoder()(picture), 4, None))), "conv2"


@model
def augmentation_inside():
    picture = L.Input((32, 32, 3))
    x = encoder()(L.Dropout(0.5)(L.RandomFlip()(picture)))
    return keras.Model(picture, scores(L.BatchNormalization()(x))), "conv2"


@model
def channels_first():
    picture = L.Input((3, 32, 32))
    x = L.Conv2D(6, 3, data_format="channels_first", name="conv2", activation="relu")(picture)
    x = L.GlobalAveragePooling2D(data_format="channels_first")(x)
    return keras.Model(picture, L.Dense(3, activation="softmax")(x)), "conv2"


@model
def any_size():
    picture = L.Input((None, None, 3))
    return keras.Model(picture, scores(encoder()(picture))), "conv2"


def a_picture(info):
    if not info.is_picture:
        return np.ones(info.shape, np.float32)
    return np.random.default_rng(0).random((40, 37, info.channels), np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_climbed_and_asked_and_left_as_it_was(name):
    made, layer = MODELS[name]()
    before = [np.array(w) for w in made.get_weights()]
    net = cw.Network(made)
    units = cw.visualize_units(net, layer, [0, 1], steps=3)
    assert np.isfinite(units.pictures).all()
    assert units.pictures.std() > 0
    classes = cw.visualize_classes(net, [0], steps=3)
    assert np.isfinite(classes.values).all()
    given = [a_picture(info) for info in net.inputs]
    best = net.predict(given if len(given) > 1 else given[0], top=1)[0]
    assert np.isfinite(best.probability)
    for old, new in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any("call" in part.__dict__ for part in made._flatten_layers())


def test_a_reloaded_model_is_as_good_as_the_saved_one(tmp_path):
    made, layer = any_size()
    for name in ("net.keras", "net.h5"):
        made.save(tmp_path / name)
        again = cw.visualize_units(keras.models.load_model(tmp_path / name, compile=False), layer, [1], steps=4)
        np.testing.assert_array_equal(again.pictures, cw.visualize_units(made, layer, [1], steps=4).pictures)


def test_the_logit_is_found_wherever_the_softmax_hides():
    for name, squashed in (("softmax_as_its_own_layer", "softmax"), ("subclassed_with_a_bare_softmax", "softmax"),
                           ("siamese", "sigmoid"), ("regression", "")):  # fmt: skip
        assert cw.Network(MODELS[name]()[0]).outputs[0].squashed_by == squashed, name


def test_a_shared_layer_sees_each_input_at_one_of_its_calls():
    net = cw.Network(siamese()[0])
    seen = [net.sees("backbone/conv2", call) for call in (0, 1)]
    assert sorted(seen) == [(0,), (1,)]


def test_one_sigmoid_tells_two_classes_that_pull_apart():
    net = cw.Network(siamese()[0])
    pictures = cw.visualize_classes(net, [0, 1], steps=4, seed=3)
    assert np.abs(pictures.pictures[0] - pictures.pictures[1]).mean() > 1e-3


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: keras.Sequential([L.Conv2D(4, 3)]), cw.BadModel, "not built"),
        (lambda: keras.Sequential([L.Input((32, 3)), L.Conv1D(4, 3)]), cw.BadModel, "takes no picture"),
        (lambda: keras.Sequential([L.Input((8, 32, 32, 3)), L.Conv3D(4, 3)]), cw.BadModel, "takes no picture"),
        (lambda: "squeezenet", cw.BadModel, "no Keras model"),
    ],
)
def test_what_cannot_work_says_why(build, error, words):
    with pytest.raises(error, match=words):
        cw.Network(build())


def test_a_cut_gradient_names_the_layer_that_cuts():
    picture = L.Input((32, 32, 3))
    x = L.Lambda(tf.stop_gradient, name="scissors")(encoder()(picture))
    with pytest.raises(cw.BadTarget, match="'scissors' cuts it"):
        cw.visualize_units(keras.Model(picture, scores(x)), "out", [0])


def test_an_argmax_output_is_refused_before_anything_runs():
    picture = L.Input((32, 32, 3))
    made = keras.Model(picture, keras.ops.argmax(scores(encoder()(picture)), -1))
    with pytest.raises(cw.BadTarget, match="whole numbers"):
        cw.visualize_classes(made, [0])


def test_spoiled_weights_are_named():
    made, layer = any_size()
    weights = made.get_weights()
    weights[0][:] = np.nan
    made.set_weights(weights)
    with pytest.raises(cw.BadModel, match="conv1/kernel"):
        cw.visualize_units(made, layer, [0])
    weights = [np.full_like(w, np.nan) for w in weights]
    made.set_weights(weights)
    with pytest.raises(cw.BadModel, match="hold NaN"):
        cw.Network(made).predict(np.zeros((32, 32, 3), np.uint8))


def test_a_fixed_size_is_refused_by_name_or_resized_into():
    made, layer = rescaling_then_nested()
    with pytest.raises(cw.BadTarget, match="takes 32 x 32, not 48 x 48"):
        cw.visualize_units(made, layer, [0], size=48)
    assert cw.visualize_units(made, layer, [0], size=48, steps=3, resize=True).pictures.shape == (1, 48, 48, 3)


def test_a_held_input_changes_what_is_painted():
    net = cw.Network(picture_and_table_by_name()[0])
    grey = cw.visualize_classes(net, [1], steps=6)
    held = cw.visualize_classes(net, [1], steps=6, held={"table": np.full(5, 50.0)})
    assert held.values[0] != pytest.approx(grey.values[0], abs=1.0)
    with pytest.raises(cw.BadModel, match="no input 'tabel'"):
        cw.visualize_classes(net, [1], held={"tabel": np.zeros(5)})
