"""Preprocessings as plain values: what is done to a batch of pictures in 0..255 before a network gets it.

The named ones are those of `keras.applications`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cnnwidgets.model.backend import tf

Preprocess = Callable[[Any], Any]


@dataclass(frozen=True)
class Affine:
    """`y = x @ matrix + offset` on the channel axis: every classic preprocessing is of this form.

    Args:
        matrix: one row for each channel of the picture (R, G, B), one column for each channel of the network.
        offset: one number for each channel of the network.
        meaning: what the network takes, in words.
    """

    matrix: tuple[tuple[float, ...], ...]
    offset: tuple[float, ...]
    meaning: str = field(default="", compare=False)

    def __call__(self, pictures: Any) -> Any:  # [N, H, W, C] 0..255 -> [N, H, W, C]
        return tf.tensordot(pictures, tf.constant(self.matrix, tf.float32), 1) + tf.constant(self.offset, tf.float32)


@dataclass(frozen=True)
class Scale:
    """`y = x * factor + offset`, the same for every channel, however many there are."""

    factor: float
    offset: float = 0.0
    meaning: str = field(default="", compare=False)

    def __call__(self, pictures: Any) -> Any:
        return pictures * self.factor + self.offset


@dataclass(frozen=True)
class ByInput:
    """A preprocessing for each picture input of a model whose inputs take different numbers.

    Args:
        parts: (index of the input, its preprocessing).
    """

    parts: tuple[tuple[int, Preprocess], ...]

    def __call__(self, pictures: Any) -> Any:
        """Apply that of the first picture input."""
        return self.parts[0][1](pictures)


def preprocess_of_each(preprocess: Preprocess, inputs: Sequence[int]) -> Sequence[tuple[int, Preprocess]]:
    """(index, its preprocessing) of each of these picture inputs."""
    return preprocess.parts if isinstance(preprocess, ByInput) else [(i, preprocess) for i in inputs]


def is_affine(preprocess: Preprocess) -> bool:
    """Whether each input's is known to be a product and a sum: every gradient passes, and no shape changes."""
    parts = [part for _, part in preprocess.parts] if isinstance(preprocess, ByInput) else [preprocess]
    return all(isinstance(part, (Affine, Scale)) for part in parts)


_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_CAFFE_MEAN = (103.939, 116.779, 123.68)

MODES: dict[str, Preprocess] = {
    "none": Scale(1.0),
    "unit": Scale(1 / 255),
    "tf": Scale(1 / 127.5, -1.0),
    "caffe": Affine(((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)), tuple(-m for m in _CAFFE_MEAN)),
    "torch": Affine(
        tuple(tuple((1 / (255 * s)) if i == j else 0.0 for j in range(3)) for i, s in enumerate(_TORCH_STD)),
        tuple(-m / s for m, s in zip(_TORCH_MEAN, _TORCH_STD, strict=True)),
    ),
}

MEANING = {
    "none": "the network takes 0..255",
    "unit": "the network takes 0..1",
    "tf": "the network takes -1..1",
    "caffe": "the network takes BGR 0..255 less the ImageNet mean",
    "torch": "the network takes RGB normalized by ImageNet's mean and standard deviation",
}
