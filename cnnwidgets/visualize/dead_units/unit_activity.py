"""The activity of units on finished pictures: what the real network computes from the 8-bit picture."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.recording import Recording
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.visualize.dead_units.activation_bounds import Bounds, bounds_of
from cnnwidgets.visualize.dead_units.incoming_weights import Incoming, incoming
from cnnwidgets.visualize.terms.of_layers import Unit

ROUNDING = 1e-6  # of a value: smaller differences are none


@dataclass(frozen=True)
class Activity:
    """The activity of a unit on one picture.

    Attributes:
        mean: over the map, after the activation.
        maximized: what the pictures of units maximize, which is the mean over the map before the activation except in
            a first layer; that mean for any unit that is inactive.
        highest: over the map, after the activation; not above 0 for a unit that is inactive.
        highest_before: over the map, before the activation.
        usual: the mean absolute value of all units of the layer before the activation.
        lowest: over the map, after the activation.
        is_linear: whether the layer has no activation, so that a value below zero does not mean that the unit is off.
    """

    mean: float
    maximized: float
    highest: float
    highest_before: float
    usual: float
    lowest: float = float("nan")
    is_linear: bool = False

    @property
    def is_flat(self) -> bool:
        """Whether it is the same at every position."""
        return self.highest - self.lowest <= ROUNDING * abs(self.highest)


Measure = Callable[[Array, Sequence[int]], list[Activity]]  # pictures [n, H, W, C], the unit of each


def measuring(net: Network, layer: LayerInfo, batch: int, call: int, canvas: Canvas) -> Measure:
    """A function that runs the real network on pictures as they would be saved, in 8 bits.

    Args:
        net: the network.
        layer: the units' layer.
        batch: how many pictures share one device call.
        call: which call of a shared layer.
        canvas: the input that the pictures go to, and the values of the others.
    """
    levels, _ = net.traces.get(functools.partial(_levels_graph, net, layer, call, canvas.structure))

    def measure(pictures: Array, units: Sequence[int]) -> list[Activity]:
        eight_bit = np.round(pictures * 255).astype(np.float32) / np.float32(255)
        found = []
        for start in range(0, len(units), batch):
            part = eight_bit[start : start + batch]
            padded = np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
            table = levels(tf.constant(padded), dict(canvas.held)).numpy()  # [7, batch, units]
            for row, unit in enumerate(units[start : start + batch]):
                mean, maximized, highest, highest_before, usual, lowest, is_linear = map(float, table[:, row, unit])
                found.append(Activity(mean, maximized, highest, highest_before, usual, lowest, bool(is_linear)))
        return found

    return measure


class Weights(NamedTuple):
    """What the weights alone say of a layer's units, [units] each.

    Attributes:
        before: the bounds before their activation.
        after: the bounds after it.
        shares: how large a unit's weights are, as a share of what the layer's units usually have.
        biases: their biases.
    """

    before: Bounds
    after: Bounds
    shares: Array
    biases: Array


def weights_of(net: Network, layer: LayerInfo, call: int, canvas: Canvas) -> Weights | None:
    """What the weights of a layer's units say, once their activity has been measured; `None` for channels first."""
    if layer.channel_axis == 1:
        return None
    _, runs = net.traces.get(functools.partial(_levels_graph, net, layer, call, canvas.structure))
    recording = runs[-1]
    after = recording.calls[layer.path][call]
    before = recording.before_activation(after)
    made = incoming(recording, before) or Incoming(np.ones(layer.units), np.zeros(layer.units))
    return Weights(bounds_of(net, recording, before), bounds_of(net, recording, after), made.shares, made.biases)


def _levels_graph(net: Network, layer: LayerInfo, call: int, canvas: Canvas) -> tuple[Any, list[Recording]]:
    """A graph of `_levels` for pictures and the values of the other inputs, and the recordings of its traced runs."""
    runs: list[Recording] = []
    return compiled(lambda pictures, held: _levels(net, layer, call, canvas.feed(net, pictures, held), runs)), runs


def _levels(
    net: Network, layer: LayerInfo, call: int, feed: Sequence[Any], runs: list[Recording]
) -> Any:  # -> [7, N, units]
    with net.record([layer.path], activations=True, until=[(layer.path, call)]) as recording:
        net.call(feed)
    runs[:] = [recording]
    after, before = (recording.activation(layer.path, call, before) for before in (False, True))
    is_linear = float(not recording.activation_of(recording.calls[layer.path][call]))
    axes = list(range(1, after.shape.rank - 1))
    rows, lowest = [after, before, after, before], after
    if axes:
        rows = [tf.reduce_mean(after, axes), tf.reduce_mean(before, axes),
                tf.reduce_max(after, axes), tf.reduce_max(before, axes)]  # fmt: skip
        lowest = tf.reduce_min(after, axes)
    usual = tf.reduce_mean(tf.abs(rows[1]), -1, keepdims=True)
    maximized = Unit(layer=layer.path, call=call).activation(net, recording, [], is_fast=False).means
    rows[1] = tf.where(rows[2] > 0, maximized, rows[1])
    zeros = tf.zeros_like(lowest)
    return tf.stack([*rows, usual + zeros, lowest, is_linear + zeros])


def constant_notes(own: Sequence[Activity], measured: Callable[[Any], list[Activity]]) -> list[str]:
    """A note for each unit that has the same activation on its own picture, the negative of it, and black.

    Args:
        own: the activity of the units on their own pictures.
        measured: gives their activity on the pictures that a function makes of their own.
    """
    if not any(one.is_flat for one in own):
        return [""] * len(own)
    others = zip(measured(lambda pictures: 1 - pictures), measured(np.zeros_like), strict=True)
    notes = []
    for one, rest in zip(own, others, strict=True):
        levels = [level for each in (one, *rest) for level in (each.lowest, each.highest)]
        is_constant = max(levels) - min(levels) <= ROUNDING * abs(one.highest)
        notes.append(f"constant: always {one.highest:.2g}, whatever the picture" if is_constant else "")
    return notes
