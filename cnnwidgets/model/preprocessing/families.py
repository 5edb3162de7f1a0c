"""Backbones of `keras.applications`, recognized by their first layers: what they are called and how they are built.

A name of the whole model proves nothing: people name their own networks after papers. Kinds, kernels, strides, biases
and epsilons of the first layers stay the same where a backbone is cut, renamed, nested, or built on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnwidgets.model.backend import keras

_L = keras.layers
_FIRST = 24  # layers that are looked at


class Family(NamedTuple):
    """A family of backbones.

    Attributes:
        name: as people call it.
        mode: what its first weights were trained on, one of the preprocessings by name.
        stem: a pattern of its first layers, written as by `_word`.
        names: a pattern of names; all of its layers are searched for it. "" where `stem` is enough.
    """

    name: str
    mode: str
    stem: str
    names: str = ""


_FAMILIES = (
    Family("VGG", "caffe", r"C3/1\+s64\b", r"block1_conv1"),
    Family("ResNet", "caffe", r"C7/2\+v64 B1.001e-05\b"),
    Family("ResNet V2", "tf", r"C7/2\+v64 (Z1 )?P B1.001e-05\b"),
    Family("DenseNet", "torch", r"C7/2-v64 B1.001e-05\b"),
    Family("MobileNet", "tf", r"C3/2-s\d+ B0.001 D3/1-s B0.001 C1/1-s\d+ B0.001 Z01 D3/2-v"),
    Family("MobileNet", "tf", r"C3/2-s\d+\b", r"conv_dw_1"),
    Family("MobileNet V2", "tf", r"C3/2-s\d+\b", r"bn_Conv1"),
    Family("MobileNet V3", "tf", r"C3/2-s16 ", r"expanded_conv_depthwise|expanded_conv_project"),
    Family("MobileNet V2 or V3", "tf", r"C3/2-s\d+ B0.001,0.999 (Z01 )?D3/[12]-[sv] "),
    Family("Inception", "tf", r"C3/2-v32 B0.001x C3/1-v32 B0.001x"),
    Family("Xception", "tf", r"C3/2-v32 B0.001 C3/1-v64 B0.001 S3/1-s128"),
    Family("Xception", "tf", r"C3/2-v32\b", r"block1_conv1"),
    Family("NASNet", "tf", r"C3/2-v\d+ B0.001,0.9997"),
    Family("EfficientNet", "torch", r"C3/2-v\d+ B0.001 D3/1-s B0.001 C1/1\+s\d+ C1/1\+s\d+ C1/1-s\d+"),
    Family("EfficientNet", "torch", r"C3/2-v\d+\b", r"stem_conv"),
    Family("EfficientNet V2 S, M or L", "tf", r"C3/2-s(\d+) B0.001,0.9 C3/1-s\1 B0.001,0.9"),
    Family("EfficientNet V2 B", "torch", r"C3/2-s\d+ B0.001,0.9 C3/1-s16 B0.001,0.9"),
    Family("ConvNeXt", "torch", r"C4/4\+v\d+ L1e-06 C7/1\+s\d+"),
)


def family_at(path: str, layers: Mapping[str, Any]) -> Family | None:
    """The family of the backbone that begins with a layer, or `None`.

    Args:
        path: of the first layer with weights.
        layers: all layers of the model by path, in their order.
    """
    paths = list(layers)
    if path not in layers:
        return None
    first = paths[paths.index(path) :]
    written = " ".join(word for word in (_word(layers[one]) for one in first[: 3 * _FIRST]) if word)
    names = " ".join(one.rsplit("/", 1)[-1] for one in first[:_FIRST])
    for family in _FAMILIES:
        if re.match(family.stem, written + " ") and (not family.names or _is_named(family.names, names)):
            return family
    return None


def _is_named(pattern: str, names: str) -> bool:
    """Whether a name is there, also with something before or after it."""
    return re.search(rf"(?<![A-Za-z0-9])(?:{pattern})(?![A-Za-z0-9])", names) is not None


def _word(layer: Any) -> str:
    """A layer in short: "C3/2-v32" is a convolution by 3 with stride 2, no bias, valid padding and 32 filters."""
    kind = type(layer)
    if kind in (_L.Conv2D, _L.DepthwiseConv2D, _L.SeparableConv2D):
        filters = "" if kind is _L.DepthwiseConv2D else layer.filters
        bias = "+" if layer.use_bias else "-"
        return f"{kind.__name__[0]}{layer.kernel_size[0]}/{layer.strides[0]}{bias}{layer.padding[0]}{filters}"
    if kind is _L.BatchNormalization:
        momentum = "" if layer.momentum == 0.99 else f",{layer.momentum:g}"
        return f"B{layer.epsilon:g}{momentum}{'' if layer.scale else 'x'}"
    if kind is _L.LayerNormalization:
        return f"L{layer.epsilon:g}"
    if kind is _L.ZeroPadding2D:
        return {((0, 1), (0, 1)): "Z01", ((1, 1), (1, 1)): "Z1"}.get(layer.padding, "Z")
    return "P" if kind is _L.MaxPooling2D else ""
