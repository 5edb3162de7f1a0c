"""The cost of a step for one picture, and the number of pictures that share one device call."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.keras_internals import all_layers, nodes_in_order
from cnnwidgets.model.network import Network
from cnnwidgets.model.preprocessing.modes import is_affine
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import from_shapes

LARGEST_BATCH = 8
SIDE_BY_SIDE = 2  # batches in one device call
STEP_FLOPS = 12e9  # what one device call may cost: well under .25 s on two CPU cores
_L = keras.layers
# These exactly: a subclass may do anything.
_RULED = {
    _L.Activation, _L.Add, _L.AveragePooling2D, _L.BatchNormalization, _L.Concatenate, _L.Conv2D, _L.Dense,
    _L.DepthwiseConv2D, _L.Dropout, _L.Flatten, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D, _L.LeakyReLU,
    _L.MaxPooling2D, _L.Multiply, _L.ReLU, _L.Rescaling, _L.Softmax, _L.ZeroPadding2D,
}  # fmt: skip
Shape = tuple[int, ...]


def batch_size(net: Network, path: str, canvas: Canvas) -> int:
    """How many pictures are computed as one: a power of two from 1 to 8, by what a picture-step costs.

    It depends on network, layer and size alone, never on how many units are asked for.
    """
    if not net.takes_batches:
        return 1
    cost = 2 * forward_flops(net, path, canvas)  # the gradient of the picture costs a forward pass again
    batch = LARGEST_BATCH
    while batch > 1 and SIDE_BY_SIDE * batch * cost > STEP_FLOPS:
        batch //= 2
    return batch


def forward_flops(net: Network, path: str, canvas: Canvas) -> float:
    """Floating point operations from the picture to the first call of a layer."""
    spent: dict[str, float] = net.traces.get(functools.partial(_spent, net, canvas.structure))
    return spent[path]


def _spent(net: Network, canvas: Canvas) -> dict[str, float]:
    """What is spent when each layer was first called, and under "" in all."""
    inside = {path: all_layers(layer, include_self=False) for path, layer in net.layers_by_path.items()}
    spent = {"": 0.0}
    for path, shape in _calls_by_rules(net, canvas) or _calls_as_traced(net, canvas):
        spent[""] += _flops(net.layers_by_path[path], shape, inside[path])
        spent.setdefault(path, spent[""])
    return spent


def _calls_by_rules(net: Network, canvas: Canvas) -> list[tuple[str, Shape]] | None:
    """The path of each call, and the shape of what it returns; `None` where Keras' rules do not tell."""
    info = net.inputs[canvas.which]
    is_plain = len(net.inputs) == 1 and not info.channels_first and info.inner_shape is None
    if not is_plain or not is_affine(net.preprocess) or (info.multiple > 1 and canvas.fed is None):
        return None
    calls = shapes_by_rules(net.model, (1, *(canvas.fed or canvas.shape[:2]), canvas.shape[2]))
    paths = {id(layer): path for path, layer in net.layers_by_path.items()}
    return calls and [(paths[id(layer)], shape) for layer, shape in calls]


def _calls_as_traced(net: Network, canvas: Canvas) -> list[tuple[str, Shape]]:
    """The same from a run that is traced and never executed: a pooling of less than it pools would end the process."""

    def run() -> list[tuple[str, Shape]]:
        room = enough_room(*canvas.shape[:2], BadTarget)
        with room, net.record(net.layers_by_path) as recording:
            net.call(canvas.feed(net, tf.zeros([1, *canvas.shape]), {}))
        return [(path, tuple(output.shape)) for path, output in recording.order]

    return from_shapes(run)


def _flops(layer: Any, shape: tuple[int | None, ...], inside: Iterable[Any]) -> float:
    """Two operations for each weight at each position of the output, without the weights of the layers inside it."""
    if isinstance(layer, keras.Model):
        return 0.0
    first = getattr(layer, "data_format", "") == "channels_first"
    positions = int(np.prod([n or 1 for n in (shape[2:] if first else shape[1:-1])]))
    theirs = {id(weight) for part in inside for weight in part.weights}
    own = [weight for weight in layer.weights if len(weight.shape) > 1 and id(weight) not in theirs]
    return 2.0 * positions * sum(int(np.prod(weight.shape)) for weight in own)


def shapes_by_rules(model: Any, given: Shape) -> list[tuple[Any, Shape]] | None:
    """The shape of what each call of a layer returns, by Keras' rules: a hundredth of what a traced run takes.

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
