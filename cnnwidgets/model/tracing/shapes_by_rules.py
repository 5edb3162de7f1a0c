"""The shapes of a plain network's layers by Keras' own rules: a hundredth of what a traced run takes."""

from __future__ import annotations

from typing import Any

from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import nodes_in_order

_L = keras.layers
# These exactly: a subclass may do anything.
_RULED = {
    _L.Activation, _L.Add, _L.AveragePooling2D, _L.BatchNormalization, _L.Concatenate, _L.Conv2D, _L.Dense,
    _L.DepthwiseConv2D, _L.Dropout, _L.Flatten, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D, _L.LeakyReLU,
    _L.MaxPooling2D, _L.Multiply, _L.ReLU, _L.Rescaling, _L.Softmax, _L.ZeroPadding2D,
}  # fmt: skip

Shape = tuple[int, ...]


def shapes_by_rules(model: Any, given: Shape) -> list[tuple[Any, Shape]] | None:
    """The shape of what each call of a layer returns, in Keras' order.

    Args:
        model: a Keras model.
        given: the shape of its one input.

    Returns:
        (layer, shape) of each call; `None` for a model of other parts, or a picture that is too small for it.
    """
    inputs, _, run = nodes_in_order(model) or ((), (), ())
    if len(inputs) != 1 or any(type(layer) not in _RULED for layer, _, _ in run):
        return None
    known, calls = {id(inputs[0]): given}, []
    for layer, taken, (made,) in run:
        shapes = [known[id(tensor)] for tensor in taken]
        try:
            shape = tuple(layer.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes))
        except ValueError:  # too small, which a traced run says in TensorFlow's words
            return None
        if None in shape or min(shape) < 1:
            return None
        known[id(made)] = shape
        calls.append((layer, shape))
    return calls
