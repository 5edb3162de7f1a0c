"""The most excited map of each of many layers, in one run of the network."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import shapes
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import compiled


def strongest_maps(net: Network, paths: Sequence[str], arrays: Sequence[Array]) -> dict[str, Array]:
    """For each layer the map [h, w] of the unit that has the highest value for this picture, at its first call.

    Args:
        net: the network.
        paths: of layers with rows and columns, in full.
        arrays: what `net.arrays` gives.

    Returns:
        float32 by path, without the layers whose values are not finite.
    """
    feed = [tf.constant(array) for array in arrays]
    net.check_room(feed)
    maps = net.traces.get(functools.partial(_graph, net, tuple(paths)))(feed)
    found = {path: one.numpy() for path, one in zip(paths, maps, strict=True)}
    return {path: one for path, one in found.items() if np.isfinite(one).all()}


def _graph(net: Network, paths: tuple[str, ...]) -> Any:
    def run(feed: list[Any]) -> list[Any]:
        with net.record(paths) as recording:
            net.call(feed)
        return [_strongest(recording.activation(path)[0]) for path in paths]

    return compiled(run).get_concrete_function([tf.TensorSpec(shape) for shape in shapes(net)])


def _strongest(maps: Any) -> Any:  # [h, w, units] -> [h, w]
    return tf.gather(maps, tf.argmax(tf.reduce_max(maps, [0, 1])), axis=-1)
