"""Models that take pictures without a channel axis: the first ones of many courses."""

import numpy as np
import pytest

import cnnwidgets as cw
from cnnwidgets.model.backend import keras, tf

L, ops = keras.layers, keras.ops


def reshaped():
    return [keras.Input((28, 28)), L.Reshape((28, 28, 1)), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(10)]


FIRST_MODELS = {
    "(28, 28), Flatten": (lambda: [keras.Input((28, 28)), L.Flatten(), L.Dense(16, "relu"), L.Dense(10)], None),
    "(28, 28), Reshape": (reshaped, None),
    "(784,)": (lambda: [keras.Input((784,)), L.Dense(16, "relu"), L.Dense(10)], None),
    "(28, 28), rows as steps": (lambda: [keras.Input((28, 28)), L.SimpleRNN(8), L.Dense(10)], None),
    "(64,) of small digits": (lambda: [keras.Input((64,)), L.Dense(16, "relu"), L.Dense(10)], None),
    "built without an Input": (lambda: [L.Flatten(), L.Dense(10)], None),
    "(20, 32)": (lambda: [keras.Input((20, 32)), L.Flatten(), L.Dense(10)], (20, 32)),
    "(640,) not square": (lambda: [keras.Input((640,)), L.Dense(10)], (20, 32)),
    "(3072,) in color": (lambda: [keras.Input((3072,)), L.Dense(10)], (32, 32, 3)),
    "whole numbers": (lambda: [keras.Input((28, 28), dtype="uint8"), L.Flatten(), L.Dense(10)], None),
}


def built(name):
    layers, shape = FIRST_MODELS[name]
    model = keras.Sequential(layers())
    if not model.built:
        model.build((None, 28, 28))
    numbers = np.random.default_rng(1)
    model.set_weights([numbers.normal(0, 0.1, w.shape) for w in model.get_weights()])
    return model, shape


@pytest.mark.parametrize("name", FIRST_MODELS)
def test_a_model_without_a_channel_axis_takes_pictures(name, noise):
    model, shape = built(name)
    net = cw.Network(model, preprocess="none", shape=shape)
    height, width, channels = net.inputs[0].shape
    picture = np.round(noise(height, width, channels) * 255).astype("uint8")
    right = model(tf.constant(picture.reshape(1, *net.inputs[0].model_shape), net.inputs[0].dtype))[0].numpy()
    whole = cw.attribution(net, picture, lambda y: y[:, 3], "gradient")[0]
    assert whole.raw.shape == (height, width)
    assert whole.raw.any()
    (seen,) = net.call([tf.constant(picture[None], tf.float32) / 255])
    np.testing.assert_allclose(seen[0], right, rtol=1e-4, atol=1e-4)
    assert net.predict(picture, 1)[0].index == right.argmax()


def test_every_verb_takes_a_flattened_picture(noise):
    model, _ = built("(784,)")
    net, picture = cw.Network(model, preprocess="unit", class_names=list("abcdefghij")), noise(28, 28)
    path = net.layers[0].path
    assert cw.visualize_units(net, path, [1], steps=2).pictures.shape == (1, 28, 28, 1)
    assert cw.visualize_classes(net, ["c"], steps=2).pictures.shape == (1, 28, 28, 1)
    assert list(cw.adversarial(net, picture, "c", steps=2))[-1].pictures.shape == (1, 28, 28, 1)
    assert cw.attribution(net, picture, "c", "occlusion")[0].map.any()
    assert cw.feature_maps(net, picture, [path])[path].shape == (16,)
    with pytest.raises(cw.BadTarget, match="rows and columns.*Use attribution"):
        cw.class_activation_map(net, picture)


def test_a_gray_picture_of_any_size_needs_no_channel_axis(noise):
    picture = keras.Input((None, None))
    x = L.Conv2D(3, 3, name="conv")(ops.expand_dims(picture, -1))
    model = keras.Model(picture, L.GlobalAveragePooling2D()(x))
    net, given = cw.Network(model, preprocess="unit"), noise(20, 30)
    (seen,) = net.call([tf.constant(given[None, ..., None])])
    np.testing.assert_allclose(seen, model(given[None]), rtol=1e-5)
    assert cw.feature_maps(net, given, ["conv"])["conv"].shape[-1] == 3


def test_a_table_beside_a_picture_stays_a_table():
    picture, table = keras.Input((8, 8, 3), name="picture"), keras.Input((64,), name="table")
    net = cw.Network(keras.Model([picture, table], L.Concatenate()([L.Flatten()(picture), table])))
    assert [info.is_picture for info in net.inputs] == [True, False]


def test_only_the_picture_of_several_flat_inputs_is_one():
    digits, table = keras.Input((784,), name="digits"), keras.Input((64,), name="table")
    net = cw.Network(keras.Model([digits, table], L.Dense(2)(L.Concatenate()([digits, table]))))
    assert [info.is_picture for info in net.inputs] == [True, False]


NO_PICTURES = {
    "columns": lambda: [keras.Input((8,)), L.Dense(3)],
    "words": lambda: [keras.Input((100,)), L.Embedding(50, 4), L.Flatten(), L.Dense(2)],
    "a generator": lambda: [keras.Input((100,)), L.Dense(784), L.Reshape((28, 28, 1))],
    "a sequence": lambda: [keras.Input((50, 9)), L.Conv1D(4, 3), L.Flatten(), L.Dense(2)],
    "steps of any number": lambda: [keras.Input((None, 16)), L.SimpleRNN(4), L.Dense(2)],
    "3 x 1024 numbers": lambda: [keras.Input((3072,)), L.Dense(2)],
}


@pytest.mark.parametrize("name", NO_PICTURES)
def test_what_is_no_picture_is_refused_with_the_lines_that_make_one_where_that_can_be(name):
    with pytest.raises(cw.BadModel, match=r"takes no picture, only \(.*(height, width|shape=|draw it as a picture)"):
        cw.Network(keras.Sequential(NO_PICTURES[name]()))


def test_the_lines_that_the_refusal_gives_make_a_model_of_pictures():
    model = keras.Sequential([keras.Input((20, 32)), L.Flatten(), L.Dense(3)])
    with pytest.raises(cw.BadModel) as refused:
        cw.Network(model)
    lines = str(refused.value).partition("wrap the model: ")[2].rstrip(".")
    names = {"keras": keras, "model": model}
    exec(lines, names)
    assert cw.Network(names["model"]).inputs[0].shape == (20, 32, 1)


@pytest.mark.parametrize("shape", [(27, 28), 28, (28.0, 28), (0, 784), "28", (1, 2, 3, 4)])
def test_a_shape_that_no_input_has_is_refused(shape):
    model, _ = built("(784,)")
    with pytest.raises(cw.BadTarget, match="shape"):
        cw.Network(model, shape=shape)
