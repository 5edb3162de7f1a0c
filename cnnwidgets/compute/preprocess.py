"""What a network expects of a picture's numbers, and how that is recognised.

A preprocessing takes a float32 batch of RGB pictures in 0..255, as `keras.applications.*.preprocess_input` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.errors import BadTarget, nearest, quoted

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
    meaning: str = ""

    def __call__(self, pictures: Any) -> Any:  # [N, H, W, C] 0..255 -> [N, H, W, C]
        """Apply it to a batch."""
        return tf.tensordot(pictures, tf.constant(self.matrix, tf.float32), 1) + tf.constant(self.offset, tf.float32)


@dataclass(frozen=True)
class Scale:
    """`y = x * factor + offset`, the same for every channel, however many there are."""

    factor: float
    offset: float = 0.0
    meaning: str = ""

    def __call__(self, pictures: Any) -> Any:
        """Apply it to a batch."""
        return pictures * self.factor + self.offset


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

# The names that keras.applications gives its models, most particular first; of those that scale their pictures
# themselves, what they take where they were built with include_preprocessing=False.
_FAMILIES: tuple[tuple[str, str], ...] = (
    (r"vgg(16|19)$", "caffe"),
    (r"resnet(50|101|152)v2$", "tf"),
    (r"resnet(50|101|152)$", "caffe"),
    (r"densenet(121|169|201)$", "torch"),
    (r"mobilenetv2_\d", "tf"),
    (r"mobilenet_\d", "tf"),
    (r"MobileNetV3(Small|Large)$", "tf"),
    (r"inception_v3$|inception_resnet_v2$|xception$", "tf"),
    (r"[nN]as[nN]et(_mobile|_large)?$|NASNet$", "tf"),
    (r"efficientnetv2-b\d$", "torch"),
    (r"efficientnetv2-[sml]$", "tf"),
    (r"efficientnetb\d$", "none"),
    (r"convnext_", "torch"),
)

# Layers that tell a family where its model was built on and the name is gone: all of them must be there.
_LAYERS: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"block1_pool", "block5_conv3"}), "caffe"),  # VGG
    (frozenset({"conv1_bn", "conv2_block1_0_conv"}), "caffe"),  # ResNet
    (frozenset({"conv2_block1_preact_bn"}), "tf"),  # ResNet V2
    (frozenset({"pool2_conv", "conv2_block1_0_bn"}), "torch"),  # DenseNet
    (frozenset({"conv_dw_1", "conv_pw_13"}), "tf"),  # MobileNet
    (frozenset({"bn_Conv1", "expanded_conv_depthwise"}), "tf"),  # MobileNet V2
    (frozenset({"mixed0", "mixed7"}), "tf"),  # Inception V3
    (frozenset({"mixed_5b", "mixed_6a"}), "tf"),  # Inception-ResNet V2
    (frozenset({"block2_sepconv1", "block14_sepconv2"}), "tf"),  # Xception
    (frozenset({"stem_conv1", "stem_bn1"}), "tf"),  # NASNet
)


def resolve(preprocess: str | Preprocess, model: Any, channels: int) -> tuple[Preprocess, str]:
    """The preprocessing that was asked for, or recognised, and a sentence that says which.

    Raises:
        BadTarget: for a name that is none of `none unit tf caffe torch auto`, or one that needs three channels.
    """
    if callable(preprocess):
        meaning = getattr(preprocess, "meaning", "")
        return preprocess, f"the network takes {meaning}" if meaning else "a function of your own, on 0..255"
    if preprocess == "auto":
        name, why = _recognise(model)
    elif isinstance(preprocess, str) and preprocess in MODES:
        name, why = preprocess, "as you asked"
    else:
        raise BadTarget(
            f"There is no preprocessing {quoted(preprocess)}. Give a function on a 0..255 batch, or one of: "
            f"auto, {', '.join(MODES)} ({nearest(preprocess, MODES)})."
        )
    if isinstance(MODES[name], Affine) and channels != 3:
        if preprocess != "auto":
            raise BadTarget(
                f"The preprocessing {name!r} is for 3 channels and this network takes {channels}. "
                "Choose none, unit or tf, or give a function."
            )
        name, why = "unit", f"a guess for {channels} channels"
    return MODES[name], f"{name!r}: {_MEANING[name]} ({why})"


_MEANING = {
    "none": "the network takes 0..255",
    "unit": "the network takes 0..1",
    "tf": "the network takes -1..1",
    "caffe": "the network takes BGR 0..255 less the ImageNet mean",
    "torch": "the network takes RGB normalised by ImageNet's mean and standard deviation",
}


def _recognise(model: Any) -> tuple[str, str]:
    inside = _scaling_layer(model)
    if inside:
        return "none", f"the layer {inside!r} inside the model does the scaling"
    for one in (model, *_nested_models(model)):
        for pattern, mode in _FAMILIES:
            if re.match(pattern, one.name):
                return mode, f"recognised as {one.name} of keras.applications"
    names = {layer.name for layer in getattr(model, "layers", ())}
    for characteristic, mode in _LAYERS:
        if characteristic <= names:
            return mode, f"built on keras.applications, by its layer {min(characteristic)!r}"
    return "unit", "a guess: nothing in the model says; pass preprocess= if the pictures look wrong"


def _nested_models(model: Any) -> list[Any]:
    found = []
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, keras.Model):
            found += [layer, *_nested_models(layer)]
    return found


def _scaling_layer(model: Any) -> str | None:
    """The name of a Rescaling or Normalization layer, if the model scales its pictures itself."""
    for layer in getattr(model, "layers", ()):
        if isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)):
            return str(layer.name)
        if isinstance(layer, keras.Model):
            name = _scaling_layer(layer)
            if name:
                return name
        if isinstance(layer, keras.layers.Conv2D | keras.layers.Dense):
            return None  # what scales features, behind the first weights, is not preprocessing
    return None
