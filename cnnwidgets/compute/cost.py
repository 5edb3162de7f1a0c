"""What a picture-step costs, and so how many pictures share one device call."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnwidgets.compute import layers as layers_
from cnnwidgets.compute.backend import keras, tf
from cnnwidgets.compute.layers import LayerInfo
from cnnwidgets.compute.network import Network

LARGEST_BATCH = 16
STEP_FLOPS = 12e9  # what one device call may cost: well under .25 s on two CPU cores


def batch_size(net: Network, layer: LayerInfo, shape: tuple[int, int, int], which: int = 0) -> int:
    """How many pictures share one device call: a power of two from 1 to 16, by what a picture-step costs.

    It depends on network, layer and size alone, never on how many units are asked for.
    """
    cost = 2 * forward_flops(net, layer.path, shape, which)  # the gradient of the picture costs a forward pass again
    batch = LARGEST_BATCH
    while batch > 1 and batch * cost > STEP_FLOPS:
        batch //= 2
    return batch


def forward_flops(net: Network, path: str, shape: tuple[int, int, int], which: int = 0) -> float:
    """Floating point operations from the picture to the first call of a layer, from one run on a blank picture.

    Args:
        net: the network.
        path: the layer.
        shape: of the picture, [H, W, C].
        which: the index of the picture's input.
    """

    def count() -> float:
        with layers_.record(net.layers_by_path, net.layers_by_path) as recording:
            net.call(net.feed(tf.zeros([1, *shape]), which))
        flops = 0.0
        for called, output in recording.order:
            flops += _flops(net.layers_by_path[called], keras.tree.flatten(output)[0])
            if called == path:
                break
        return flops

    return float(net.traces.get(("flops", path, shape, which), count))


def _flops(layer: Any, output: Any) -> float:
    """Two operations for each weight at each place of the output."""
    if isinstance(layer, keras.Model):
        return 0.0  # its layers are counted themselves
    first = getattr(layer, "data_format", "") == "channels_first"
    places = int(np.prod(output.shape[2:] if first else output.shape[1:-1]))
    # The layers inside a custom layer count themselves.
    inner = {id(w) for part in layer._flatten_layers(include_self=False) for w in part.weights}
    own = [w for w in layer.weights if len(w.shape) > 1 and id(w) not in inner]
    return 2.0 * places * sum(int(np.prod(w.shape)) for w in own)
