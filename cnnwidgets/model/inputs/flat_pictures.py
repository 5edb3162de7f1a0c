"""Picture inputs without a channel axis: the (28, 28) and (784,) of many first models, fed through a reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import all_layers

if TYPE_CHECKING:
    from cnnwidgets.model.inputs.input_info import InputInfo

SMALLEST = 8  # rows and columns of a picture that is recognized without `shape=`


def with_pictures(inputs: Sequence[InputInfo], model: Any, shape: object) -> tuple[InputInfo, ...]:
    """The inputs, those that take a picture without a channel axis as pictures [H, W, C].

    Args:
        inputs: as the model declares them.
        model: it decides whether a list of numbers can be a picture.
        shape: (height, width) or (height, width, channels) of a flattened picture; `None` recognizes square gray ones.

    Raises:
        BadTarget: for a shape that no input has.
    """
    if shape is not None:
        return _shaped(inputs, _checked(shape))
    if any(info.is_picture for info in inputs):
        return tuple(inputs)
    maps = [i for i, info in enumerate(inputs) if _is_square_map(info)]
    lists = [i for i, info in enumerate(inputs) if _is_square_list(info, model)]
    largest = max((inputs[i].shape[0] or 0 for i in lists), default=0)
    chosen = maps or [i for i in lists if inputs[i].shape[0] == largest]
    return tuple(_gray(info) if i in chosen else info for i, info in enumerate(inputs))


def why_not(inputs: Sequence[InputInfo], model: Any) -> str:
    """The message for a model without a picture input, with how to give it one if that is possible."""
    shapes = ", ".join(str(info.shape) for info in inputs)
    said = f"The model {quoted(model.name)} takes no picture, only {shapes}."
    if instead := _instead(inputs, model):
        return f"{said} {instead}"
    flat = next((info for info in inputs if _size(info) >= SMALLEST**2 and len(info.shape) < 3), None)
    if flat is None:
        return f"{said} A picture input has the shape (height, width, channels)."
    shape = _likely_shape(flat)
    return (
        f"{said} If that is a picture, name its shape: cw.Network(model, shape={shape}). Or wrap the model: picture = "
        f"keras.Input({shape}); model = keras.Model(picture, model(keras.layers.Reshape({flat.shape})(picture)))."
    )


def _instead(inputs: Sequence[InputInfo], model: Any) -> str:
    """What can be done with a model of clips, volumes or signals; "" for any other."""
    layers = all_layers(model, include_self=False)
    if any(len(info.shape) == 4 for info in inputs):
        distributed = [one for one in layers if isinstance(one, keras.layers.TimeDistributed)]
        inner = next((one for one in distributed if isinstance(one.layer, keras.Model)), None)
        if inner is not None:
            return (
                "This is a clip of frames: look at one frame with the network inside, "
                f"cw.Network(model.get_layer({inner.name!r}).layer)."
            )
        return (
            "This is a video clip or a volume: wrap the part of the model that takes one frame or slice, if it has "
            "one, as cw.Network(that_part)."
        )
    if any(isinstance(layer, keras.layers.Conv1D) for layer in layers):
        return "A signal or sequence (Conv1D) has no rows and columns; draw it as a picture for a 2D network."
    return ""


def _likely_shape(flat: InputInfo) -> str:
    """What these numbers can be as a picture, for a message."""
    if len(flat.shape) == 2:
        return str((*flat.shape, 1))
    side = math.isqrt(_size(flat) // 3)
    return str((side, side, 3)) if 3 * side * side == _size(flat) else "(height, width, channels)"


def _checked(shape: object) -> tuple[int, int, int]:
    numbers = tuple(shape) if isinstance(shape, (tuple, list)) else ()
    if len(numbers) in (2, 3) and all(type(n) is int and n > 0 for n in numbers):
        return (*numbers, 1)[:3]
    raise BadTarget(
        f"shape must be (height, width) or (height, width, channels) of a flattened picture, got {quoted(shape)}."
    )


def _shaped(inputs: Sequence[InputInfo], shape: tuple[int, int, int]) -> tuple[InputInfo, ...]:
    fitting = [i for i, info in enumerate(inputs) if not info.is_picture and _fits(info, shape)]
    if not fitting:
        shapes = ", ".join(str(info.shape) for info in inputs)
        raise BadTarget(
            f"shape={shape} has {math.prod(shape)} numbers, and no input without a channel axis takes as many: the "
            f"inputs are {shapes}. Give the shape of one of them, or leave it out."
        )
    return tuple(_as_picture(info, shape) if i in fitting else info for i, info in enumerate(inputs))


def _fits(info: InputInfo, shape: tuple[int, int, int]) -> bool:
    if len(info.shape) == 2:
        return info.shape == shape[:2] and shape[2] == 1
    return len(info.shape) == 1 and info.shape[0] == math.prod(shape)


def _is_square_map(info: InputInfo) -> bool:
    """Whether it is [H, W]: of one length, or of any."""
    return len(info.shape) == 2 and info.shape[0] == info.shape[1] and (info.shape[0] or SMALLEST) >= SMALLEST


def _is_square_list(info: InputInfo, model: Any) -> bool:
    """Whether its numbers can be a square picture, rather than words or what a generator begins with."""
    side = math.isqrt(_size(info))
    if len(info.shape) != 1 or side * side != _size(info) or side < SMALLEST:
        return False
    layers = all_layers(model, include_self=False)
    if any(isinstance(layer, (keras.layers.Embedding, keras.layers.Conv2DTranspose)) for layer in layers):
        return False
    made = keras.tree.flatten(getattr(model, "outputs", None) or [])
    return all(math.prod(n or 1 for n in output.shape[1:]) <= side * side for output in made)


def _size(info: InputInfo) -> int:
    return math.prod(n or 0 for n in info.shape)


def _gray(info: InputInfo) -> InputInfo:
    rows, columns = info.shape if len(info.shape) == 2 else [math.isqrt(_size(info))] * 2
    return _as_picture(info, (rows, columns, 1))


def _as_picture(info: InputInfo, shape: tuple[int | None, int | None, int]) -> InputInfo:
    return replace(info, shape=shape, inner_shape=info.shape)


def check_picture(inputs: Sequence[InputInfo], model: Any) -> None:
    """Refuse a model that takes no picture."""
    if not any(info.is_picture for info in inputs):
        raise BadModel(why_not(inputs, model))
