"""What feeds a unit and what it feeds: the units of neighboring layers, by weight."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.activations.windows import CONVOLUTIONS, weights_of
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit
from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.layer_graph import INPUT, Call, LayerGraph, layer_graph
from cnnwidgets.model.network import Network, as_network

_L = keras.layers
KEEPING = (  # layers whose unit k is made of unit k of what they take
    _L.BatchNormalization, _L.Activation, _L.ReLU, _L.LeakyReLU, _L.PReLU, _L.ELU, _L.Softmax, _L.MaxPooling2D,
    _L.AveragePooling2D, _L.GlobalAveragePooling2D, _L.GlobalMaxPooling2D, _L.Dropout, _L.SpatialDropout2D,
    _L.Identity, _L.ZeroPadding2D, _L.Cropping2D, _L.UpSampling2D, _L.Add, _L.Subtract, _L.Multiply, _L.Average,
    _L.Maximum, _L.Minimum, _L.Rescaling,
)  # fmt: skip
MOST_STEPS = 64  # layers that a unit is followed through until the next weights


@dataclass(frozen=True)
class Link:
    """A unit that feeds another one, or is fed by it.

    Attributes:
        path: of its layer.
        unit: its index.
        weight: the sum of the absolute weights between the two, with the sign of their plain sum.
    """

    path: str
    unit: int
    weight: float


@dataclass(frozen=True)
class UnitLinks:
    """What feeds a unit, and what it feeds; the strongest first.

    Attributes:
        incoming: the units that the nearest weights before it take.
        outgoing: the units that the nearest weights after it make.
    """

    incoming: tuple[Link, ...]
    outgoing: tuple[Link, ...]


def unit_links(net: Network | Any, layer: str, unit: int, *, call: int = 0, count: int = 8) -> UnitLinks:
    """The units that a unit is connected to by the nearest weights before and after it.

    Activation functions, normalizations, poolings, sums and concatenations in between are followed. What other layers
    do between two weights is not, and ends the search.

    Args:
        net: a Network or a bare Keras model.
        layer: a path; an unambiguous last part is enough.
        unit: its index.
        call: which call of a shared layer.
        count: how many in each direction, at most.

    Raises:
        BadTarget: for a layer, unit or call that does not exist.

    Example:
        >>> unit_links(net, "fire5_concat", 12).incoming[0]
        Link(path='fire5_squeeze1x1', unit=3, weight=0.41)
    """
    net = as_network(net)
    info = net.layer(layer)
    at = (info.path, check_call(info, call)), check_unit(info, unit)
    reader = _Reader(net, layer_graph(net))
    return UnitLinks(_strongest(reader.incoming(*at), count), _strongest(reader.outgoing(*at), count))


def _strongest(links: Iterator[Link], count: int) -> tuple[Link, ...]:
    summed: dict[tuple[str, int], float] = {}
    for link in links:
        summed[link.path, link.unit] = summed.get((link.path, link.unit), 0.0) + link.weight
    every = (Link(path, unit, float(weight)) for (path, unit), weight in summed.items() if weight)
    return tuple(sorted(every, key=lambda link: -abs(link.weight))[:count])


class _Reader:
    def __init__(self, net: Network, graph: LayerGraph) -> None:
        self.net, self.graph = net, graph
        self.infos = {info.path: info for info in net.layers}
        self.users: dict[Call, list[Call]] = {}
        for step in graph.steps.values():
            if not step.has_inside:
                for source in dict.fromkeys(leaf for one in step.sources for leaf in self._leaves(one)):
                    self.users.setdefault(source, []).append(step.call)

    def _leaves(self, call: Call) -> Iterator[Call]:
        """The layers that make an output: those inside, where a model makes it."""
        step = self.graph.steps.get(call)
        if step is None or not step.has_inside:
            yield call
            return
        for source in step.sources:
            yield from self._leaves(source)

    def _sources(self, call: Call) -> list[Call]:
        return [leaf for one in self.graph.steps[call].sources for leaf in self._leaves(one)]

    def _units(self, call: Call) -> int:
        return self.infos[call[0]].units if call[1] != INPUT else 0

    def incoming(self, call: Call, unit: int, depth: int = MOST_STEPS) -> Iterator[Link]:
        if call not in self.graph.steps or not depth:
            return
        if self.graph.steps[call].has_inside:
            for leaf in self._leaves(call):
                if self._units(leaf) == self._units(call):
                    yield from self.incoming(leaf, unit, depth - 1)
            return
        layer = self.net.layers_by_path[call[0]]
        sources = self._sources(call)
        taken = _taken(layer)
        if taken is not None:
            for index, weight in enumerate(_strengths(taken(unit))):
                if len(sources) == 1:
                    yield from self._named(sources[0], index, weight, len(taken(unit)))
        elif isinstance(layer, _L.Concatenate):
            for source in sources:
                if unit < self._units(source):
                    yield from self.incoming(source, unit, depth - 1)
                    return
                unit -= self._units(source)
        elif isinstance(layer, KEEPING):
            for source in sources:
                if self._units(source) == self._units(call):
                    yield from self.incoming(source, unit, depth - 1)

    def _named(self, source: Call, index: int, weight: float, taken: int) -> Iterator[Link]:
        """The unit that the input with this index is, also behind a flattening."""
        units = self._units(source)
        if source[1] == INPUT or not units:
            return
        while isinstance(self.net.layers_by_path[source[0]], _L.Flatten | _L.Reshape):
            before = self._sources(source)
            if len(before) != 1 or not self._units(before[0]) or taken % self._units(before[0]):
                return
            source = before[0]
        yield Link(source[0], index % self._units(source), weight)

    def outgoing(self, call: Call, unit: int, depth: int = MOST_STEPS) -> Iterator[Link]:
        if not depth:
            return
        for leaf in self._leaves(call):
            for user in self.users.get(leaf, ()):
                yield from self._through(leaf, user, unit, depth)

    def _through(self, source: Call, user: Call, unit: int, depth: int) -> Iterator[Link]:
        layer = self.net.layers_by_path[user[0]]
        if _taken(layer) is not None:
            made = _made(layer, unit, self._units(source))
            yield from (Link(user[0], index, weight) for index, weight in enumerate(_strengths(made)))
        elif isinstance(layer, _L.Concatenate):
            for other in self._sources(user):
                if other == source:
                    yield from self.outgoing(user, unit, depth - 1)
                unit += self._units(other)
        elif isinstance(layer, KEEPING) or (isinstance(layer, _L.Flatten) and self._units(source)):
            if isinstance(layer, _L.Flatten):
                for after in self.users.get(user, ()):
                    if _taken(self.net.layers_by_path[after[0]]) is not None:
                        yield from self._through(source, after, unit, depth - 1)
            elif self._units(source) == self._units(user):
                yield from self.outgoing(user, unit, depth - 1)


def _strengths(weights: Array) -> Array:
    """[n, ...] weights -> [n]: the sum of the absolute ones, with the sign of the plain sum."""
    flat = np.asarray(weights, np.float64).reshape(len(weights), -1)
    return np.asarray(np.abs(flat).sum(1) * np.where(flat.sum(1) < 0, -1.0, 1.0))


def _taken(layer: Any) -> Callable[[int], Array] | None:
    """The weights [inputs, ...] of a unit of a convolution or dense layer, 0 for inputs that it does not take."""
    if isinstance(layer, _L.Dense):
        kernel = np.asarray(tf.convert_to_tensor(layer.kernel))
        return lambda unit: kernel[:, unit]
    if not isinstance(layer, CONVOLUTIONS):
        return None
    weights = weights_of(layer)
    groups = getattr(layer, "groups", 1)
    inputs = weights.kernels.shape[2] * groups

    def of_unit(unit: int) -> Array:
        kernel, channels = weights.kernel_of(unit)
        every = np.zeros((inputs, *kernel.shape[:2]), np.float32)
        every[list(channels)] = np.moveaxis(kernel, -1, 0)
        return every

    return of_unit


def _made(layer: Any, unit: int, units: int) -> Array:
    """The weights [outputs, ...] with which a layer takes one of the units before it."""
    if isinstance(layer, _L.Dense):
        kernel = np.asarray(tf.convert_to_tensor(layer.kernel))  # behind a flattening, the unit at every position
        return kernel[unit::units].T if len(kernel) % units == 0 else np.zeros((kernel.shape[1], 1), np.float32)
    weights = weights_of(layer)
    if weights.is_depthwise:
        multiplier = weights.kernels.shape[3]
        every = np.zeros((weights.kernels.shape[2] * multiplier, *weights.kernels.shape[:2]), np.float32)
        every[unit * multiplier : (unit + 1) * multiplier] = np.moveaxis(weights.kernels[:, :, unit], -1, 0)
        return every
    groups, seen = getattr(layer, "groups", 1), weights.kernels.shape[2]
    outputs = weights.kernels.shape[3]
    every = np.zeros((outputs, *weights.kernels.shape[:2]), np.float32)
    group = slice(unit // seen * (outputs // groups), (unit // seen + 1) * (outputs // groups))
    every[group] = np.moveaxis(weights.kernels[:, :, unit % seen, group], -1, 0)
    return every
