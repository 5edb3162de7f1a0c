"""Tiny seeded models of the shapes that users bring; nothing is downloaded and nothing is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.terms import objective_values

L = keras.layers


def seeded(model: Any, seed: int = 0) -> Any:
    """The model with the same weights in every process: normal ones by fan-in, biases with which most units fire."""
    numbers = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(numbers.uniform(0.5, 1.5, shape))
        elif "seed_generator" not in weight.path:
            spread = (2 / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else 0.1
            weight.assign(numbers.normal(0.3 if weight.path.endswith("bias") else 0, spread, shape))
    return model


def fill(model: Any, seed: int = 0, mean: float = 0.0, gain: float = 2.0, bias: float = 0.1) -> Any:
    """The model with normal weights by fan-in, the same in every process; about half of the units fire."""
    numbers = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        weight.assign(numbers.normal(mean, (gain / np.prod(shape[:-1])) ** 0.5 if len(shape) > 1 else bias, shape))
    return model


def plain() -> Any:
    """Two convolutions with fused ReLUs, any size, and a softmax of its own."""
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="conv1")(x)
    x = L.MaxPooling2D(name="pool1")(x)
    x = L.Conv2D(12, 3, padding="same", activation="relu", name="conv2")(x)
    x = L.GlobalAveragePooling2D(name="gap")(x)
    x = L.Dense(5, name="logits")(x)
    return keras.Model(picture, L.Softmax(name="predictions")(x), name="plain")


def sequential() -> Any:
    """A `Sequential` for grey pictures of one size, with a fused softmax."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 1), name="digit"),
            L.Conv2D(6, 3, activation="relu", name="conv"),
            L.MaxPooling2D(name="pool"),
            L.Flatten(name="flatten"),
            L.Dense(4, activation="softmax", name="predictions"),
        ],
        name="sequential",
    )


def nested() -> Any:
    """A backbone inside the model, and another model inside the backbone; both have a layer "conv"."""
    a = keras.Input((None, None, 3), name="a")
    deep = keras.Model(a, L.Conv2D(6, 3, activation="relu", name="conv")(a), name="deep.v2")
    b = keras.Input((None, None, 3), name="b")
    backbone = keras.Model(b, L.Conv2D(5, 3, activation="relu", name="conv")(deep(b)), name="backbone")
    c = keras.Input((None, None, 3), name="c")
    x = L.GlobalAveragePooling2D(name="gap")(backbone(c))
    return keras.Model(c, L.Dense(3, name="logits")(x), name="nested")


def siamese() -> Any:
    """One encoder for two pictures, and one sigmoid."""
    i = keras.Input((32, 32, 3), name="i")
    x = L.Conv2D(6, 3, activation="relu", name="conv")(i)
    encoder = keras.Model(i, L.GlobalAveragePooling2D(name="gap")(x), name="encoder")
    left, right = keras.Input((32, 32, 3), name="left"), keras.Input((32, 32, 3), name="right")
    x = L.Subtract(name="difference")([encoder(left), encoder(right)])
    return keras.Model([left, right], L.Dense(1, activation="sigmoid", name="same")(x), name="siamese")


def twice() -> Any:
    """One convolution, called on its own output."""
    picture = keras.Input((None, None, 3), name="picture")
    conv = L.Conv2D(3, 3, padding="same", activation="relu", name="conv")
    x = L.GlobalAveragePooling2D(name="gap")(conv(conv(picture)))
    return keras.Model(picture, L.Dense(2, name="logits")(x), name="twice")


def dense_only() -> Any:
    """No convolution at all."""
    picture = keras.Input((16, 16, 3), name="picture")
    x = L.Dense(7, activation="relu", name="hidden")(L.Flatten(name="flatten")(picture))
    return keras.Model(picture, L.Dense(2, activation="softmax", name="predictions")(x), name="dense_only")


class Subclassed(keras.Model):
    """Layers as attributes, one of them twice by name, one inside a layer of its own kind."""

    def __init__(self) -> None:
        super().__init__(name="subclassed")
        self.conv = L.Conv2D(6, 3, activation="relu", name="conv")
        self.block = Block(name="block")
        self.pool = L.GlobalAveragePooling2D(name="gap")
        self.head = L.Dense(3, name="logits")

    def call(self, x: Any, training: bool = False) -> Any:
        return self.head(self.pool(self.block(self.conv(x))))


class Block(keras.Layer):
    """A layer made of layers."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords)
        self.deep_conv = L.Conv2D(4, 3, activation="relu", name="deep_conv")

    def build(self, shape: Any) -> None:
        self.deep_conv.build(shape)

    def call(self, x: Any) -> Any:
        return self.deep_conv(x)


def subclassed() -> Any:
    """A model that has no graph, called once on data."""
    model = Subclassed()
    model(np.zeros((1, 32, 32, 3), np.float32))
    return model


def _photo_and_table(inputs: Callable[[Any, Any], Any]) -> Any:
    photo, table = keras.Input((32, 32, 3), name="photo"), keras.Input((4,), name="age")
    x = L.GlobalAveragePooling2D(name="gap")(L.Conv2D(6, 3, activation="relu", name="conv")(photo))
    x = L.Concatenate(name="both")([x, L.Dense(3, activation="relu", name="table")(table)])
    return keras.Model(inputs(photo, table), L.Dense(3, name="logits")(x), name="photo_and_table")


def inputs_as_list() -> Any:
    """A table and a picture, in this order."""
    return _photo_and_table(lambda photo, table: [table, photo])


def inputs_as_dict() -> Any:
    """A table and a picture, by name."""
    return _photo_and_table(lambda photo, table: {"photo": photo, "age": table})


def channels_first() -> Any:
    """[C, H, W], with layers between that do not know their format."""
    picture = keras.Input((3, 32, 32), name="picture")
    x = L.Conv2D(6, 3, use_bias=False, data_format="channels_first", name="conv1")(picture)
    x = L.ReLU(name="relu1")(L.BatchNormalization(axis=1, name="bn1")(x))
    x = L.MaxPooling2D(data_format="channels_first", name="pool1")(x)
    x = L.Conv2D(5, 3, activation="relu", data_format="channels_first", name="conv2")(x)
    x = L.GlobalAveragePooling2D(data_format="channels_first", name="gap")(x)
    return keras.Model(picture, L.Dense(3, name="logits")(x), name="channels_first")


def mixed_float16() -> Any:
    """Computes in half precision, as on a graphics card."""
    picture = keras.Input((None, None, 3), name="picture")
    x = L.Conv2D(6, 3, activation="relu", name="conv", dtype="mixed_float16")(picture)
    x = L.GlobalAveragePooling2D(name="gap", dtype="mixed_float16")(x)
    x = L.Dense(3, name="logits", dtype="mixed_float16")(x)
    return keras.Model(picture, L.Activation("softmax", dtype="float32", name="predictions")(x), name="half")


def with_state() -> Any:
    """Layers that behave otherwise in training: flips, batch statistics, dropout."""
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.RandomFlip(name="flip", seed=1)(x)
    x = L.Conv2D(6, 3, use_bias=False, name="conv")(x)
    x = L.BatchNormalization(name="bn")(x)
    x = L.Dropout(0.5, seed=2, name="dropout")(L.ReLU(6.0, name="relu")(x))
    x = L.GlobalAveragePooling2D(name="gap")(x)
    return keras.Model(picture, L.Dense(3, name="logits")(x), name="with_state")


def fire() -> Any:
    """The beginning of a real network: large enough that another batch shape changes the last bits of its gradient."""
    x = picture = keras.Input((None, None, 3), name="picture")
    x = L.MaxPooling2D(3, 2, name="pool1")(L.Conv2D(64, 3, 2, activation="relu", name="conv1")(x))
    x = L.Conv2D(16, 1, activation="relu", name="squeeze1x1")(x)
    expand1x1 = L.Conv2D(64, 1, activation="relu", name="expand1x1")(x)
    expand3x3 = L.Conv2D(64, 3, padding="same", activation="relu", name="expand3x3")(x)
    return keras.Model(picture, L.Concatenate(name="concat")([expand1x1, expand3x3]), name="fire")


def linear() -> Any:
    """One linear convolution: its optimum and its gradient are known by hand."""
    picture = keras.Input((None, None, 3), name="picture")
    return keras.Model(picture, L.Conv2D(4, 3, padding="same", name="conv")(picture), name="linear")


MODELS: dict[str, Callable[[], Any]] = {
    make.__name__: make
    for make in (
        plain, sequential, nested, siamese, twice, dense_only, subclassed, inputs_as_list, inputs_as_dict,
        channels_first, mixed_float16, with_state, fire, linear,
    )
}  # fmt: skip


def _build(name: str) -> Any:
    return seeded(MODELS[name]())


@pytest.fixture(scope="session")
def build() -> Callable[[str], Any]:
    """`build("nested")` makes that model, fresh, with the same weights each time."""
    return _build


@pytest.fixture(scope="session")
def net() -> Callable[[str], Network]:
    """`net("nested")` is one Network for all tests, so that nothing is traced twice; leave its weights alone."""
    made: dict[str, Network] = {}

    def get(name: str) -> Network:
        if name not in made:
            made[name] = Network(_build(name))
        return made[name]

    return get


@pytest.fixture(scope="session")
def noise() -> Callable[..., Any]:
    """`noise(2, 16, 16, 3)` is a batch of pictures, 0..1, the same each time."""
    return lambda *shape, seed=7: np.random.default_rng(seed).random(shape).astype(np.float32)


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """`run(net, pictures)` is the network's first output for pictures at its first picture input."""
    return lambda net, pictures: net.call(net.feed(tf.constant(pictures), net.picture_inputs[0]))[0].numpy()


@pytest.fixture(scope="session")
def value_of() -> Callable[..., Any]:
    """`value_of(net, objective, pictures)` is the objective of each picture, [N]."""

    def value(net: Network, objective: Any, pictures: Any) -> Any:
        objective = objective_values.checked(net, objective)
        feed = net.feed(tf.constant(pictures), net.picture_inputs[0])
        return objective_values.values_of(net, objective)(feed, objective.numbers()).numpy()

    return value


def snapshot(model: Any) -> Any:
    """All that a user can see of a model: weights, settings, activations, and what each layer holds.

    Only Keras's own note that a model was called at all may change.
    """
    layers = list(model._flatten_layers())
    return (
        [variable.numpy().tobytes() for variable in model.variables],
        [weight.path for weight in model.trainable_weights],
        [layer.get_config() for layer in layers if not isinstance(layer, Subclassed)],
        [id(getattr(layer, "activation", None)) for layer in layers],
        [[(key, key == "_called" or id(value)) for key, value in layer.__dict__.items()] for layer in layers],
        [id(layer.call.__func__) for layer in layers],
    )


@pytest.fixture(scope="session")
def snapshot_of() -> Callable[[Any], Any]:
    """`snapshot_of(model)` is equal before and after where the model is untouched."""
    return snapshot
