"""What stands before an activation function, followed back through concatenation and pooling."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import wrap

if TYPE_CHECKING:
    from cnnwidgets.model.recording import Recording

_L = keras.layers
_ELEMENTWISE = (_L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax)
# Layers that only move or gather values: what stands before an activation can be followed through them.
_MOVERS = (_L.Concatenate, _L.MaxPooling2D, _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D,
           _L.Flatten, _L.Reshape, _L.Permute, _L.Dropout, _L.SpatialDropout2D, _L.Identity, _L.ZeroPadding2D,
           _L.Cropping2D, _L.UpSampling2D)  # fmt: skip
_LINEAR = (_L.Conv2D, _L.DepthwiseConv2D, _L.BatchNormalization, _L.Add)  # these exactly: a subclass may do anything


def watch_activation(layer: Any, recording: Recording, restore: contextlib.ExitStack) -> None:
    """Let a recording note what stood before a layer's activation function, and which layer made a tensor."""

    def noting_before(function: Any, name: str = "") -> Any:
        @functools.wraps(function)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = function(inputs, *args, **kwargs)
            if recording.is_open_here and output is not inputs:
                recording.set_before(output, inputs, name or getattr(function, "__name__", "activation"))
            return output

        return wrapped

    def moving_before(call: Any) -> Any:
        @functools.wraps(call)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(inputs, *args, **kwargs)
            if not recording.is_open_here:
                return output
            functions = [recording.activation_of(part) for part in keras.tree.flatten(inputs)]
            if any(functions):
                moved = keras.tree.map_structure(recording.before_activation, inputs)
                before = call(moved, *args, **kwargs)
                recording.set_before(output, before, max(functions))
                recording.set_maker(before, layer, moved)
            else:
                recording.set_maker(output, layer, inputs)
            return output

        return wrapped

    def noting_maker(call: Any) -> Any:
        @functools.wraps(call)
        def wrapped(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            output = call(inputs, *args, **kwargs)
            if recording.is_open_here:
                recording.set_maker(recording.before_activation(output), layer, inputs)
            return output

        return wrapped

    if type(layer) in _LINEAR:
        wrap(layer, "call", noting_maker, restore)
    if isinstance(layer, _MOVERS):
        wrap(layer, "call", moving_before, restore)
    elif isinstance(layer, _ELEMENTWISE):
        name = type(layer).__name__.lower()  # "softmax", "relu"
        wrap(layer, "call", functools.partial(noting_before, name=name), restore)
    elif _has_activation(layer):
        wrap(layer, "activation", noting_before, restore)


def _has_activation(layer: Any) -> bool:
    function = getattr(layer, "activation", None)
    return callable(function) and function is not keras.activations.linear and not isinstance(layer, keras.Model)
