"""Small models that train, of the kinds that users bring, and what is left of a training."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnnwidgets.model.backend import keras, tf
from tests.tiny_networks import Subclassed

L = keras.layers
CROSSENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


class OwnStep(Subclassed):
    """A subclassed model with a custom train step, which counts how often it is traced."""

    traced = 0

    def train_step(self, data: Any) -> Any:
        self.__dict__["traced"] = self.traced + 1
        x, y = data
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True))
        self.optimizer.apply_gradients(
            zip(tape.gradient(loss, self.trainable_weights), self.trainable_weights, strict=True)
        )
        return {"loss": loss}


def body(dtype: str | None = None) -> list[Any]:
    """Two convolutions and three class scores."""
    return [
        L.Conv2D(6, 3, activation="relu", name="conv1", dtype=dtype),
        L.Conv2D(10, 3, activation="relu", name="conv2", dtype=dtype),
        L.GlobalAveragePooling2D(name="gap", dtype=dtype),
        L.Dense(3, name="logits", dtype="float32"),
    ]


def plain(dtype: str | None = None, **settings: Any) -> Any:
    """A Sequential for pictures of 16 pixels."""
    return compiled_(keras.Sequential([keras.Input((16, 16, 3), name="picture"), *body(dtype)]), **settings)


def stateful() -> Any:
    """Random flips, batch statistics and dropout."""
    x = picture = keras.Input((16, 16, 3), name="picture")
    x = L.RandomFlip(name="flip", seed=3)(x)
    x = L.BatchNormalization(name="bn")(L.Conv2D(6, 3, name="conv1")(x))
    x = L.Dropout(0.3, seed=1, name="dropout")(L.ReLU(name="relu1")(x))
    x = L.Dense(3, name="logits")(L.GlobalAveragePooling2D(name="gap")(x))
    return compiled_(keras.Model(picture, x, name="stateful"))


def nested() -> Any:
    """A backbone in a Sequential."""
    backbone = keras.Sequential([keras.Input((16, 16, 3)), *body()], name="backbone")
    return compiled_(keras.Sequential([keras.Input((16, 16, 3)), backbone, L.Dense(3, name="head")], name="nested"))


def siamese() -> Any:
    """One encoder for two pictures."""
    one, other = keras.Input((16, 16, 3), name="one"), keras.Input((16, 16, 3), name="other")
    encoder = keras.Sequential([keras.Input((16, 16, 3)), *body()], name="encoder")
    return compiled_(keras.Model([one, other], L.Dense(3, name="head")(L.Subtract()([encoder(one), encoder(other)]))))


def unbuilt() -> Any:
    """A subclassed model that its first batch builds."""
    return compiled_(OwnStep(), metrics=None)


def compiled_(model: Any, **settings: Any) -> Any:
    model.compile(**{"optimizer": "adam", "loss": CROSSENTROPY, "metrics": ["accuracy"], **settings})
    return model


MAKERS: dict[str, Callable[..., Any]] = {
    "stateful": stateful,
    "nested": nested,
    "siamese": siamese,
    "own train step, unbuilt": unbuilt,
    "jit": lambda: plain(jit_compile=True),
    "mixed precision": lambda: plain(dtype="mixed_float16"),
    "several batches a step": lambda: plain(steps_per_execution=2),
    "plain": plain,
}


@pytest.fixture(scope="session")
def make() -> Callable[..., Any]:
    """`make("nested")` is that model, fresh and compiled, with the same weights each time."""

    def made(kind: str = "plain") -> Any:
        keras.utils.set_random_seed(5)
        return MAKERS[kind]()

    return made


@pytest.fixture(scope="session")
def data() -> Callable[..., tuple[Any, Any]]:
    """`data(24)` are so many pictures and their classes; of a siamese network, pairs."""

    def made(count: int = 24, pairs: bool = False) -> tuple[Any, Any]:
        numbers = np.random.default_rng(2)
        x, y = numbers.random((count, 16, 16, 3), np.float32), numbers.integers(0, 3, count)
        return ([x, x[::-1].copy()] if pairs else x), y

    return made


@pytest.fixture(scope="session")
def left_by() -> Callable[[Any], Any]:
    """`left_by(model)` is all that a training leaves: weights, optimizer, metrics, generators of random numbers."""

    def left(model: Any) -> Any:
        variables = [*model.variables, *model.optimizer.variables, *(v for m in model.metrics for v in m.variables)]
        return (
            [hashlib.sha256(np.asarray(v).tobytes()).hexdigest() for v in variables],
            random.random(),
            np.random.random(),
            float(tf.random.uniform(())),
            float(keras.random.uniform(())),
        )

    return left
