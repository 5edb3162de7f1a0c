"""The inputs of a model in its order, names and nesting, and how pictures are fed to them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadModel, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.inputs import flat_pictures
from cnnwidgets.model.inputs.model_objects import check_is_model, why_not_built
from cnnwidgets.model.inputs.texts import numbers_of
from cnnwidgets.model.keras_internals import all_layers, built_shapes, is_turned_to_channels_last

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue: ITU-R BT.601


def _derived() -> Any:
    return field(init=False, compare=False, repr=False)


@dataclass(frozen=True)
class InputInfo:
    """One input of a model.

    Attributes:
        name: as Keras calls it.
        shape: without the batch, `None` where any size is taken.
        dtype: of the numbers that it takes.
        channels_first: whether its pictures are [C, H, W] rather than [H, W, C].
        inner_shape: what the model itself takes where that has no channel axis, such as (28, 28) or (784,) for
            pictures of the shape (28, 28, 1); else `None`.
        multiple: what its rows and columns must be a multiple of, where it takes pictures of any size.
        size: (height, width), each `None` where any is taken.
        channels: how many channels its pictures have; 3 where the model does not say.
        is_picture: whether it takes pictures: rows, columns and channels.
        is_fixed: whether it takes pictures of one size only.
        is_whole_numbers: whether it takes integers: pictures as they come from a file.
        is_text: whether it takes text.
        fed_shape: of what `Network.call` takes here, without the batch: pictures as [H, W, C], in any order inside.
        model_shape: of what the model itself takes, without the batch.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str = "float32"
    channels_first: bool = False
    inner_shape: tuple[int | None, ...] | None = None
    multiple: int = 1
    size: tuple[int | None, int | None] = _derived()
    channels: int = _derived()
    is_picture: bool = _derived()
    is_fixed: bool = _derived()
    is_whole_numbers: bool = _derived()
    is_text: bool = _derived()
    fed_shape: tuple[int | None, ...] = _derived()
    model_shape: tuple[int | None, ...] = _derived()

    def __post_init__(self) -> None:
        """Derive once what is read often."""
        sides = self.shape[1:] if self.channels_first else self.shape[:2]
        size = sides if len(sides) == 2 else (None, None)
        channels = (self.shape[0] if self.channels_first else self.shape[-1]) if self.shape else None
        is_picture = len(self.shape) == 3 and size != (1, 1)  # one number in that shape is not a picture
        derived = {
            "size": size,
            "channels": channels or 3,
            "is_picture": is_picture,
            "is_fixed": None not in size,
            "is_whole_numbers": "int" in self.dtype,
            "is_text": self.dtype == "string",
            "fed_shape": (*size, channels or 3) if is_picture else self.shape,
            "model_shape": self.shape if self.inner_shape is None else self.inner_shape,
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    @property
    def is_taken_as_fed(self) -> bool:
        """Whether the model itself takes pictures as floats [N, H, W, C], as `fed_shape` has them."""
        return not (self.channels_first or self.inner_shape is not None or self.is_whole_numbers)

    def without_channels(self, pictures: Any) -> Any:
        """Pictures [N, H, W, C] in the shape that a model without a channel axis takes."""
        if self.inner_shape is None:
            return pictures
        return pictures[..., 0] if len(self.inner_shape) == 2 else tf.reshape(pictures, [-1, *self.inner_shape])

    def full_size(self, height: int, width: int) -> tuple[int, int]:
        """The size that a picture of this size has when it reaches the network."""
        rows, columns = self.size
        return rows or self.nearest(height), columns or self.nearest(width)

    def nearest(self, side: int) -> int:
        """The side nearest to this one that a network of any size takes."""
        return max(1, round(side / self.multiple)) * self.multiple


def of_model(model: Any, shape: object = None) -> tuple[tuple[InputInfo, ...], Any]:
    """The inputs of a model, flat and in its own order, and the nesting in which it takes them.

    Args:
        model: a built Keras model.
        shape: of the picture, for an input without a channel axis.

    Raises:
        BadModel: for anything but a built Keras model that takes a picture.
    """
    check_is_model(model)
    known = getattr(model, "inputs", None)
    if not known:
        _check_arguments(model)
    nesting = getattr(model, "input", known[0]) if known else _remembered_shapes(model)  # a Sequential has no `input`
    if nesting is None:
        raise BadModel(why_not_built(model))
    first = _is_channels_first(model)
    tensors = keras.tree.flatten(nesting)
    declared = [_info(tensor, i, first or is_turned_to_channels_last(model, i)) for i, tensor in enumerate(tensors)]
    flat = flat_pictures.with_pictures(declared, model, shape)
    flat_pictures.check_picture(flat, model)
    return flat, keras.tree.map_structure(lambda _: None, nesting)


def are_known(model: Any) -> bool:
    """Whether Keras knows what a model takes; it does not before the model is built."""
    return bool(getattr(model, "inputs", None) or built_shapes(model))


def _check_arguments(model: Any) -> None:
    """Refuse a model whose call takes several inputs one by one: Keras keeps the shape of the first alone."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    every = inspect.signature(model.call).parameters.values()
    needed = [p.name for p in every if p.kind in kinds and p.default is p.empty and p.name not in ("training", "mask")]
    if len(needed) > 1:
        names = ", ".join(needed)
        raise BadModel(
            f"The model {quoted(model.name)} is called with {len(needed)} arguments ({names}), and the shape of the "
            f"first alone is known. Wrap it, with a keras.Input for each: keras.Model([{names}], model({names}))."
        )


def _remembered_shapes(model: Any) -> Any:
    """A subclassed model that was built, by a call or by hand: the shapes Keras noted then, as specifications."""
    if not model.built:
        return None
    noted = built_shapes(model)
    shapes = next(iter(noted.values())) if noted else _default_shapes(model)
    return None if shapes is None else _specifications(shapes)


def _default_shapes(model: Any) -> Any:
    """The shapes of a model that was built without naming one: the default of its `build`, or any size."""
    named = [p.default for p in inspect.signature(type(model).build).parameters.values() if p.default is not p.empty]
    shapes = next((default for default in named if isinstance(default, (tuple, list, dict))), None)
    if shapes is not None:
        return shapes
    inside = all_layers(model, include_self=False)
    kernels = (layer.kernel for layer in inside if isinstance(layer, keras.layers.Conv2D) and layer.built)
    channels = next((kernel.shape[-2] for kernel in kernels), None)
    return None if channels is None else (None, None, None, channels)


def _specifications(shapes: Any, name: str = "input") -> Any:
    if isinstance(shapes, dict):
        return {key: _specifications(shape, str(key)) for key, shape in shapes.items()}
    if shapes and isinstance(shapes[0], (tuple, list, dict)):
        return [_specifications(shape, f"{name}_{i}") for i, shape in enumerate(shapes)]
    return keras.KerasTensor((None, *shapes[1:]), name=name)


def _info(tensor: Any, index: int, channels_first: bool) -> InputInfo:
    return InputInfo(
        name=str(getattr(tensor, "name", "") or f"input_{index}"),
        shape=tuple(tensor.shape)[1:],
        dtype=str(keras.backend.standardize_dtype(tensor.dtype)),
        channels_first=channels_first and len(tensor.shape) == 4,
    )


def _is_channels_first(model: Any) -> bool:
    layers = all_layers(model, include_self=False)
    formats = (layer.data_format for layer in layers if isinstance(layer, keras.layers.Conv2D))
    return next(formats, None) == "channels_first"


def opened(value: object, info: InputInfo) -> tuple[Array, str]:
    """What was given for an input: a picture [H, W, C] in 0..1 with the channels that it takes, or a table; and a note.

    The note is "" or what the reader of the picture has to say, such as "dark: ...".

    Raises:
        BadPicture: for what is not a picture.
        BadModel: for a picture of other channels, or a table that does not fit.
    """
    return _with_channels(value, info.channels) if info.is_picture else (_table(value, info), "")


def blank(info: InputInfo) -> Array:
    """What an input gets for which nothing was given, as a batch of one."""
    return np.zeros([1, *(n or 1 for n in info.shape)], np.float32)


def _table(value: object, info: InputInfo) -> Array:
    """The array for an input other than a picture, without the batch; one number will do for a list of one."""
    array = _numbers(value, info)
    if array.ndim == len(info.shape) + 1 and len(array) == 1:
        array = array[0]
    if array.ndim == 0 and info.shape == (1,):
        array = array[None]
    fits = array.ndim == len(info.shape) and all(n in (None, m) for n, m in zip(info.shape, array.shape, strict=True))
    if fits and np.isfinite(array).all():
        return array
    shape = " x ".join("any" if n is None else str(n) for n in info.shape) or "1"
    what = f"{quoted(value)}, of shape {list(array.shape)}" if array.ndim and not fits else quoted(value)
    kind = "text" if info.is_text else "whole numbers" if info.is_whole_numbers else "finite numbers"
    raise BadModel(f"The input {quoted(info.name)} takes {kind} ({shape}), got {what}.")


def _numbers(value: object, info: InputInfo) -> Array:
    """The numbers of a table; those of its texts where the input takes text; NaN for what it does not take."""
    none = np.full((), np.nan, np.float32)
    if isinstance(value, (str, bytes)) and not info.is_text:
        return none
    try:
        found = numbers_of(value) if info.is_text else np.asarray(value, np.float32)
    except (TypeError, ValueError):
        return none
    is_part = found is not None and info.is_whole_numbers and (found != np.round(found)).any()
    return none if found is None or is_part else found


def _with_channels(picture: object, channels: int) -> tuple[Array, str]:
    """A picture [H, W, C] in 0..1 with the channels that the network takes, and a note about it or ""."""
    if channels == 3:
        return pictures_.read_picture(picture)
    if channels == 1:
        loaded, note = pictures_.read_picture(picture)
        return np.asarray(loaded @ LUMINANCE)[..., None], note
    loaded, note = pictures_.read_bands(picture, channels)
    if loaded.shape[2] == channels:
        return loaded, note
    raise BadModel(
        f"The network takes pictures of {channels} channels, and this one has {loaded.shape[2]}. "
        f"Give an array of the shape (height, width, {channels})."
    )
