"""How much one unit changes each class: the logits with it, minus those without it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_unit
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import logits_of
from cnnwidgets.model.outputs.without_units import masking
from cnnwidgets.model.tracing.compiled import compiled


def unit_effect(net: Network, arrays: Sequence[Array], layer: str, unit: int, output: int = 0) -> Array:
    """What every class loses when one unit is set to zero in all calls of its layer (as in arXiv:1806.02891).

    Args:
        net: the network.
        arrays: what `net.arrays` gives.
        layer: a path.
        unit: its index.
        output: an index; class scores.

    Returns:
        float32 [classes], in logits: positive for classes whose logit the unit raises.

    Raises:
        BadTarget: for a layer or unit that does not exist, or an output that is not class scores.
    """
    info, scores = net.layer(layer), net.outputs[output]
    unit = check_unit(info, unit)
    if not scores.is_class_scores or len(scores.shape) != 1:
        raise BadTarget(f"The output {quoted(scores.name)} is not class scores. Choose another output or network.")
    feed = [tf.constant(array) for array in arrays]
    net.check_room(feed)
    kept = np.arange(info.units) != unit
    graph = net.traces.get(functools.partial(_graph, net, info.path, output))
    return np.asarray(graph(feed, tf.constant(kept)).numpy()[0], np.float32)


def _graph(net: Network, path: str, output: int) -> Any:
    def run(feed: list[Any], kept: Any) -> Any:
        changes = {(path, call): masking(net, path, kept) for call in range(net.layer(path).calls)}
        whole = net.logits(feed, output)
        with net.record([path], activations=True, instead=changes) as recording:
            without = logits_of(net.outputs[output], net.call(feed)[output], recording)[0]
        return whole - tf.cast(without, tf.float32)

    return compiled(run)
