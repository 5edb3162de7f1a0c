"""The cost of a step for one picture, and the number of pictures that share one device call."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.graph import enough_room
from cnnwidgets.model.keras_internals import all_layers
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import from_shapes

LARGEST_BATCH = 8
SIDE_BY_SIDE = 2  # batches in one device call
STEP_FLOPS = 12e9  # what one device call may cost: well under .25 s on two CPU cores


def batch_size(net: Network, path: str, canvas: Canvas) -> int:
    """How many pictures are computed as one: a power of two from 1 to 8, by what a picture-step costs.

    It depends on network, layer and size alone, never on how many units are asked for.
    """
    cost = 2 * forward_flops(net, path, canvas)  # the gradient of the picture costs a forward pass again
    batch = LARGEST_BATCH
    while batch > 1 and SIDE_BY_SIDE * batch * cost > STEP_FLOPS:
        batch //= 2
    return batch


def forward_flops(net: Network, path: str, canvas: Canvas) -> float:
    """Floating point operations from the picture to the first call of a layer.

    Args:
        net: the network.
        path: the layer; "" for the output.
        canvas: where pictures are optimized.
    """
    spent: dict[str, float] = net.traces.get(functools.partial(_spent, net, canvas.structure))
    return spent[path]


def _spent(net: Network, canvas: Canvas) -> dict[str, float]:
    """What is spent when each layer was first called, and under "" in all.

    From one run that is traced and never executed: a pooling that gets less than it pools would end the process.
    """
    inside = {path: all_layers(layer, include_self=False) for path, layer in net.layers_by_path.items()}

    def run() -> dict[str, float]:
        spent = {"": 0.0}
        room = enough_room(*canvas.shape[:2], BadTarget)
        with room, net.record(net.layers_by_path) as recording:
            net.call(canvas.feed(net, tf.zeros([1, *canvas.shape]), {}))
        for called, output in recording.order:
            spent[""] += _flops(net.layers_by_path[called], output, inside[called])
            spent.setdefault(called, spent[""])
        return spent

    return from_shapes(run)


def _flops(layer: Any, output: Any, inside: Iterable[Any]) -> float:
    """Two operations for each weight at each position of the output, without the weights of the layers inside it."""
    if isinstance(layer, keras.Model):
        return 0.0
    first = getattr(layer, "data_format", "") == "channels_first"
    positions = int(np.prod([n or 1 for n in (output.shape[2:] if first else output.shape[1:-1])]))
    theirs = {id(weight) for part in inside for weight in part.weights}
    own = [weight for weight in layer.weights if len(weight.shape) > 1 and id(weight) not in theirs]
    return 2.0 * positions * sum(int(np.prod(weight.shape)) for weight in own)
