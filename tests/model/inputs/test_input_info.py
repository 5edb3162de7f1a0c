"""A model's inputs in its own order, names and nesting; what is no usable model says what to do."""

import dataclasses

import numpy as np
import pytest

from cnnwidgets.errors import BadModel
from cnnwidgets.model.backend import keras
from cnnwidgets.model.inputs import input_info as inputs_
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.network import Network

L = keras.layers


@pytest.mark.parametrize(
    "name, shape, size, channels, fixed",
    [
        ("plain", (None, None, 3), (None, None), 3, False),
        ("sequential", (32, 32, 1), (32, 32), 1, True),
        ("subclassed", (None, None, 3), (None, None), 3, False),
        ("channels_first", (3, 32, 32), (32, 32), 3, True),
    ],
)
def test_an_input_tells_size_and_channels(net, name, shape, size, channels, fixed):
    (info,) = net(name).inputs
    assert (info.shape, info.size, info.channels, info.is_fixed) == (shape, size, channels, fixed)
    assert info.is_picture


def test_inputs_keep_the_order_and_names_of_the_model(net):
    assert [(i.name, i.shape, i.is_picture) for i in net("inputs_as_list").inputs] == [
        ("age", (4,), False), ("photo", (32, 32, 3), True),
    ]  # fmt: skip
    assert {i.name: i.is_picture for i in net("inputs_as_dict").inputs} == {"age": False, "photo": True}
    assert [i.name for i in net("siamese").inputs] == ["left", "right"]


@pytest.mark.parametrize("name", ["inputs_as_list", "inputs_as_dict"])
def test_each_input_is_fed_what_is_meant_for_it(net, noise, run, name):
    network, pictures = net(name), noise(2, 32, 32, 3)
    table = np.zeros((2, 4), np.float32)
    feed = [table, pictures] if name == "inputs_as_list" else {"photo": pictures, "age": table}
    np.testing.assert_allclose(run(network, pictures), network.model(feed), atol=1e-6)


def test_a_dtype_is_kept():
    model = keras.Sequential([keras.Input((8, 8, 3), dtype="uint8"), L.Rescaling(1 / 255), L.Flatten()])
    (info,), _ = inputs_.of_model(model)
    assert info.dtype == "uint8"


def test_full_size_is_the_fixed_side_where_there_is_one():
    assert InputInfo("x", (None, None, 3)).full_size(37, 53) == (37, 53)
    assert InputInfo("x", (None, 64, 3)).full_size(37, 53) == (37, 64)
    assert InputInfo("x", (3, 32, 16), channels_first=True).full_size(37, 53) == (32, 16)


def test_an_input_that_does_not_say_its_channels_takes_three():
    assert InputInfo("x", (8, 8, None)).channels == 3


def test_an_input_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        InputInfo("x", (8, 8, 3)).name = "y"


def several(call):
    """A subclassed model over two inputs, `call` says how it takes them."""

    class Several(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.gap, self.both = L.Conv2D(2, 3), L.GlobalAveragePooling2D(), L.Concatenate()

        def call(self, inputs):
            photo, table = call(inputs)
            return self.both([self.gap(self.conv(photo)), table])

    return Several()


@pytest.mark.parametrize("nesting", ["list", "dict"])
def test_a_subclassed_model_remembers_its_inputs_and_takes_pictures_of_any_size(nesting, noise, run):
    as_dict = nesting == "dict"
    model = several((lambda x: (x["photo"], x["table"])) if as_dict else (lambda x: (x[1], x[0])))
    photo, table = noise(2, 9, 7, 3), np.zeros((2, 4), np.float32)
    feed = {"photo": photo, "table": table} if as_dict else [table, photo]
    expected = model(feed)
    network = Network(model)
    assert {i.shape for i in network.inputs} == {(4,), (None, None, 3)}
    np.testing.assert_allclose(run(network, photo), expected, atol=1e-6)


def test_a_model_that_is_called_with_several_arguments_names_the_remedy_and_it_works(noise):
    class Pair(keras.Model):
        def __init__(self):
            super().__init__(name="pair")
            self.conv, self.gap = L.Conv2D(2, 3, name="conv"), L.GlobalAveragePooling2D()

        def call(self, left, right, training=False):
            return self.gap(self.conv(left)) - self.gap(self.conv(right))

    model, left, right = Pair(), noise(1, 9, 7, 3), noise(1, 9, 7, 3, seed=8)
    expected = model(left, right)
    with pytest.raises(
        BadModel, match=r"2 arguments \(left, right\).*keras.Model\(\[left, right\], model\(left, right\)"
    ):
        Network(model)
    inputs = [keras.Input((9, 7, 3), name=name) for name in ("left", "right")]
    network = Network(keras.Model(inputs, model(*inputs)), preprocess="unit")
    np.testing.assert_allclose(network.call([left, right])[0], expected, atol=1e-6)
    assert [network.sees("pair/conv", call) for call in (0, 1)] == [(0,), (1,)]


def test_a_sequential_works_however_it_was_built(noise, run):
    pictures = noise(1, 8, 8, 3)
    with_input = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(2, 3), L.Flatten()])
    built = keras.Sequential([L.Conv2D(2, 3), L.Flatten()])
    built.build((None, 8, 8, 3))
    called = keras.Sequential([L.Conv2D(2, 3), L.Flatten()])
    called(pictures)
    for model in (with_input, built, called):
        network = Network(model)
        assert network.inputs[0].shape == (8, 8, 3)
        np.testing.assert_allclose(run(network, pictures), model(pictures), atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (16, 3), (8, 8, 8, 1), ()])
def test_a_model_that_takes_no_picture_is_refused_with_what_it_takes(shape):
    model = keras.Sequential([keras.Input(shape), L.Identity()])
    with pytest.raises(BadModel, match="takes no picture") as caught:
        Network(model)
    assert str(shape) in str(caught.value)


def turned_around(how):
    given = keras.Input((3, 12, 14))
    x = how(given)
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(x))
    return keras.Model(given, L.Dense(3, name="scores")(x))


@pytest.mark.parametrize(
    "how",
    [
        L.Permute((2, 3, 1)),
        lambda x: keras.ops.transpose(x, (0, 2, 3, 1)),
        lambda x: keras.ops.moveaxis(x, 1, -1),
        lambda x: L.Permute((2, 3, 1))(L.Rescaling(1 / 255)(x)),
        keras.Sequential([keras.Input((3, 12, 14)), L.Permute((2, 3, 1))]),
    ],
    ids=["Permute", "transpose", "moveaxis", "behind a Rescaling", "in a nested model"],
)
def test_a_model_that_brings_its_channels_to_the_end_first_takes_them_first(noise, how):
    model, picture = turned_around(how), noise(12, 14, 3)
    network = Network(model, preprocess="unit", class_names=["a", "b", "c"])
    (info,) = network.inputs
    assert (info.channels_first, info.size, info.channels) == (True, (12, 14), 3)
    scores = model(np.moveaxis(picture, -1, 0)[None]).numpy()[0]
    assert network.predict(picture)[0].index == scores.argmax()
    (seen,) = network.call([picture[None]])
    np.testing.assert_allclose(seen[0], scores, rtol=1e-5)
