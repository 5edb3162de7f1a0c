"""The size of the pictures that a network was trained at, as far as the model shows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras

Layers = Mapping[str, Any]  # by name


class TrainedSize(NamedTuple):
    """The size that a network was trained at.

    Attributes:
        size: of the longer side, or (height, width); `None` where the model does not show it.
        why: how it is known, or why not: part of a sentence.
    """

    size: int | tuple[int, int] | None
    why: str


def trained_size(model: Any) -> TrainedSize:
    """The size that a model of any size was trained at: by a preprocessor kept with it, a fixed part, or its family."""
    inside = list(layers_.by_path(model).values())
    kept = _of_preprocessor(model)
    if kept is not None:
        return TrainedSize(kept, "that of the preprocessor kept with the model")
    resizing = _resizing(inside)
    if resizing is not None:
        return TrainedSize(
            None,
            f"the layer {resizing.name!r} inside the model brings pictures to {resizing.height} x {resizing.width} px",
        )
    for part in inside:
        sides = _fixed_sides(part)
        if sides is not None:
            return TrainedSize(sides, f"that of the part {part.name!r} inside the model")
    family, size = _family(model, inside)
    if size:
        why = f"that of {family} of keras.applications; give size= if this one was trained at another"
        return TrainedSize(size, why)
    return TrainedSize(None, "nothing in the model shows the size it was trained at; give size= where that is known")


def _of_preprocessor(model: Any) -> int | tuple[int, int] | None:
    """The size of keras_hub's image converter."""
    sides = getattr(getattr(getattr(model, "preprocessor", None), "image_converter", None), "image_size", None)
    if isinstance(sides, (tuple, list)) and len(sides) == 2 and all(isinstance(n, int) and n > 0 for n in sides):
        return _short(sides[0], sides[1])
    return None


def _resizing(inside: list[Any]) -> Any:
    """The layer before the first weights that brings pictures to one size."""
    for layer in inside:
        if isinstance(layer, keras.layers.Resizing):
            return layer
        if layer.weights and not isinstance(layer, keras.Model | keras.layers.Normalization):
            return None
    return None


def _fixed_sides(part: Any) -> int | tuple[int, int] | None:
    """The size of the pictures that a model inside a model takes."""
    inputs = getattr(part, "inputs", None) if isinstance(part, keras.Model) else None
    shape = tuple(inputs[0].shape) if inputs else ()
    if len(shape) != 4 or shape[-1] not in (1, 3, 4) or None in shape[1:3]:
        return None
    return _short(shape[1], shape[2])


def _short(height: int, width: int) -> int | tuple[int, int]:
    return height if height == width else (height, width)


def _family(model: Any, inside: list[Any]) -> tuple[str, int]:
    """The family of `keras.applications` that a model is of, or is built on, and its size; ("", 0) for another one."""
    for part in (model, *(layer for layer in inside if isinstance(layer, keras.Model))):
        for pattern, family, size in _BY_NAME:
            if re.match(pattern, part.name):
                return family, size
    layers = {layer.name: layer for layer in inside}
    for characteristic, family, found in _BY_LAYERS:
        if characteristic <= layers.keys():
            return family, found if isinstance(found, int) else found(layers)
    return "", 0


def _nasnet(layers: Layers) -> int:
    return 331 if layers["stem_conv1"].filters > 32 else 224


def _efficientnet(layers: Layers) -> int:
    sizes = {(32, 2): 224, (40, 3): 300, (48, 4): 380, (48, 5): 456, (56, 6): 528, (64, 7): 600}
    return _by_widths(layers, sizes, 40)


def _efficientnet_v2(layers: Layers) -> int:
    sizes = {(32, 2): 224, (40, 3): 300, (24, 4): 384, (24, 5): 480, (32, 7): 480}
    return _by_widths(layers, sizes, 48)


def _by_widths(layers: Layers, sizes: Mapping[tuple[int, int], int], width_of_b1: int) -> int:
    """By the filters of the stem and the blocks of the second stage; B1 and B2 differ in the third stage only."""
    repeats = sum(re.fullmatch(r"block2[a-z]_project_conv", name) is not None for name in layers)
    key = layers["stem_conv"].filters, repeats
    if key != (32, 3):
        return sizes.get(key, 224)
    third = layers.get("block3a_project_conv")
    return 260 if third is not None and third.filters > width_of_b1 else 240


# The names that keras.applications gives its models.
_BY_NAME: tuple[tuple[str, str, int], ...] = (
    (r"vgg(16|19)$", "VGG", 224),
    (r"resnet(50|101|152)(v2)?$", "ResNet", 224),
    (r"densenet(121|169|201)$", "DenseNet", 224),
    (r"mobilenet(v2)?_\d\.\d+_128$", "MobileNet", 128),
    (r"mobilenet(v2)?_\d\.\d+_160$", "MobileNet", 160),
    (r"mobilenet(v2)?_\d\.\d+_192$", "MobileNet", 192),
    (r"mobilenet(v2)?_\d\.\d+_", "MobileNet", 224),
    (r"MobileNetV3(Small|Large)$", "MobileNet V3", 224),
    (r"inception_v3$", "Inception V3", 299),
    (r"inception_resnet_v2$", "Inception-ResNet V2", 299),
    (r"xception$", "Xception", 299),
    (r"[nN]as[nN]et_mobile$", "NASNet Mobile", 224),
    (r"[nN]as[nN]et_large$", "NASNet Large", 331),
    *((rf"efficientnetb{i}$", f"EfficientNet B{i}", n) for i, n in enumerate((224, 240, 260, 300, 380, 456, 528, 600))),
    *((rf"efficientnetv2-b{i}$", f"EfficientNet V2 B{i}", n) for i, n in enumerate((224, 240, 260, 300))),
    (r"efficientnetv2-s$", "EfficientNet V2 S", 384),
    (r"efficientnetv2-[ml]$", "EfficientNet V2", 480),
    (r"convnext_(tiny|small|base|large|xlarge)$", "ConvNeXt", 224),
)

# Layers that show a family where its model was cut, renamed or built on: all of them must be there.
_BY_LAYERS: tuple[tuple[frozenset[str], str, int | Callable[[Layers], int]], ...] = (
    (frozenset({"block1_conv2", "block1_pool"}), "VGG", 224),
    (frozenset({"conv1_conv", "conv2_block1_0_conv"}), "ResNet", 224),
    (frozenset({"conv1_conv", "conv2_block1_0_bn"}), "DenseNet", 224),
    (frozenset({"conv_dw_1", "conv_pw_1"}), "MobileNet", 224),
    (frozenset({"bn_Conv1", "expanded_conv_depthwise"}), "MobileNet V2", 224),
    (frozenset({"conv_bn", "expanded_conv_depthwise"}), "MobileNet V3", 224),
    (frozenset({"mixed0", "mixed1"}), "Inception V3", 299),
    (frozenset({"mixed_5b"}), "Inception-ResNet V2", 299),
    (frozenset({"block1_conv1_bn", "block2_sepconv1"}), "Xception", 299),
    (frozenset({"stem_conv1", "stem_bn1"}), "NASNet", _nasnet),
    (frozenset({"stem_conv", "block1a_dwconv", "block2a_project_conv"}), "EfficientNet", _efficientnet),
    (frozenset({"stem_conv", "block1a_project_conv", "block2a_project_conv"}), "EfficientNet V2", _efficientnet_v2),
    (frozenset({"convnext_tiny_stem"}), "ConvNeXt", 224),
    (frozenset({"convnext_small_stem"}), "ConvNeXt", 224),
    (frozenset({"convnext_base_stem"}), "ConvNeXt", 224),
    (frozenset({"convnext_large_stem"}), "ConvNeXt", 224),
    (frozenset({"convnext_xlarge_stem"}), "ConvNeXt", 224),
)
