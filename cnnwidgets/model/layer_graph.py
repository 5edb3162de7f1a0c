"""The graph of a network's layers: which call of a layer takes what from which other calls.

Models made of Functional and Sequential models have it in their Keras nodes. For any other model, such as a subclassed
one, one run is traced and followed back from each layer's output; nothing is computed.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.graph import sample_feed
from cnnwidgets.model.keras_internals import nodes_in_order
from cnnwidgets.model.tracing.compiled import from_shapes

if TYPE_CHECKING:
    from cnnwidgets.model.network import Network

Call = tuple[str, int]  # (path, number of the call); an input of the model has the number INPUT
INPUT = -1


@dataclass(frozen=True)
class Step:
    """One call of a layer.

    Attributes:
        call: which one.
        within: the call of the model or layer around it; `None` at the top.
        sources: the calls whose outputs it takes, each as it is seen from there: a model as a whole where it lies
            beside or before it. Of a model or layer with layers inside: the calls that make its output, and those
            outside of it that its output takes directly.
        has_inside: whether it has layers inside.
    """

    call: Call
    within: Call | None
    sources: tuple[Call, ...]
    has_inside: bool


@dataclass(frozen=True)
class Links:
    """The calls right inside one model, or at the top, and how they are connected.

    Attributes:
        calls: in the order of the run.
        edges: (from, to), each pair once.
        entries: the calls that take something from outside.
        exits: the calls that make the output.
        passes_through: whether the output takes something from outside directly.
    """

    calls: tuple[Call, ...]
    edges: tuple[tuple[Call, Call], ...]
    entries: tuple[Call, ...] = ()
    exits: tuple[Call, ...] = ()
    passes_through: bool = False


@dataclass(frozen=True)
class LayerGraph:
    """All calls of one run of a network.

    Attributes:
        inputs: the names of the model's inputs that are used, in the model's own order.
        steps: every call, in the order of the run; what is inside a model stands before it.
        outputs: for each output of the model, by its index, the calls that make it.
    """

    inputs: tuple[str, ...]
    steps: Mapping[Call, Step]
    outputs: tuple[tuple[Call, ...], ...]
    _links: dict[Call | None, Links] = field(default_factory=dict, repr=False, compare=False)

    def links(self, group: Call | None = None) -> Links:
        """What is right inside a call, or at the top."""
        if group not in self._links:
            self._links[group] = self._found_links(group)
        return self._links[group]

    def _found_links(self, group: Call | None) -> Links:
        inputs = [(name, INPUT) for name in self.inputs] if group is None else []
        calls = (*inputs, *(step.call for step in self.steps.values() if step.within == group))
        edges: dict[tuple[Call, Call], None] = {}
        entries: dict[Call, None] = {}
        for step in self.steps.values():
            target = self.seen_from(step.call, group)
            if target is None:
                continue
            for source in step.sources:
                start = self.seen_from(source, group)
                if start is None:
                    entries[target] = None
                elif start != target:
                    edges[start, target] = None
        made_by = self.steps[group].sources if group is not None else itertools.chain(*self.outputs)
        exits = [self.seen_from(source, group) for source in made_by]
        found = tuple(dict.fromkeys(one for one in exits if one is not None))
        return Links(calls, tuple(edges), tuple(entries), found, None in exits)

    def seen_from(self, call: Call, group: Call | None) -> Call | None:
        """The call right inside `group` that a call is, or lies in; `None` if it lies outside."""
        at: Call | None = call
        while at is not None:
            within = self.steps[at].within if at in self.steps else None
            if within == group:
                return at
            at = within
        return None


def layer_graph(net: Network) -> LayerGraph:
    """The graph of a network's layers, kept with the network's traced functions."""
    found: LayerGraph = net.traces.get(functools.partial(_found, net))
    return found


def _found(net: Network) -> LayerGraph:
    return from_nodes(net) or from_trace(net)


# -- Keras' own nodes


class _OtherModel(Exception):
    """Keras has no nodes for a part of the model, or they do not say how it runs."""


def from_nodes(net: Network) -> LayerGraph | None:
    """The graph as Keras' nodes have it; `None` where a part of the model has none."""
    try:
        return _NodeReader(net).graph()
    except _OtherModel:
        return None


class _NodeReader:
    def __init__(self, net: Network) -> None:
        self.net = net
        self.paths = {id(layer): path for path, layer in net.layers_by_path.items()}
        self.calls = dict.fromkeys(net.layers_by_path, 0)
        self.steps: dict[Call, Step] = {}

    def graph(self) -> LayerGraph:
        names = [info.name for info in self.net.inputs]
        made = self._read(self.net.model, None, [((name, INPUT),) for name in names])
        counted = {info.path: info.calls for info in self.net.layers}
        if any(self.calls[path] != counted[path] for path in counted):  # a call of the user's own, or a layer unused
            raise _OtherModel
        return _finished(names, self.steps, made)

    def _read(self, model: Any, within: Call | None, given: Sequence[tuple[Call, ...]]) -> list[tuple[Call, ...]]:
        """The calls that make each output of a model, by those that make each of its inputs."""
        nodes = nodes_in_order(model)
        if nodes is None:
            raise _OtherModel
        inputs, outputs, run = nodes
        made = {id(tensor): calls for tensor, calls in zip(inputs, given, strict=True)}
        for operation, taken, put_out in run:
            if any(id(tensor) not in made for tensor in taken):
                raise _OtherModel
            sources = tuple(dict.fromkeys(call for tensor in taken for call in made[id(tensor)]))
            calls = self._call(operation, taken, made, within, sources)
            made.update({id(tensor): calls for tensor in put_out})
        return [made[id(tensor)] for tensor in outputs]

    def _call(
        self, operation: Any, taken: Any, made: Mapping[int, Any], within: Call | None, sources: tuple[Call, ...]
    ) -> tuple[Call, ...]:
        path = self.paths.get(id(operation))
        if path is None:  # a function such as keras.ops.add
            return sources
        call = path, self.calls[path]
        inside = any(other.startswith(path + "/") for other in self.calls)
        if inside:
            each = self._read(operation, call, [made[id(tensor)] for tensor in taken])
            sources = tuple(dict.fromkeys(itertools.chain(*each)))
        self.calls[path] += 1
        self.steps[call] = Step(call, within, sources, inside)
        return (call,)


# -- a traced run


def from_trace(net: Network) -> LayerGraph:
    """The graph as one run shows it, for any model."""
    return from_shapes(lambda: _traced(net))


def _traced(net: Network) -> LayerGraph:
    feed = sample_feed(net)
    names = [info.name for info in net.inputs]
    owners: dict[int, Call] = {id(tensor): (name, INPUT) for tensor, name in zip(feed, names, strict=True)}
    raw: dict[Call, list[Any]] = {}  # in the order in which the calls end
    held: list[Any] = [*feed]  # so that no id is used again

    def unique(call: Call) -> Any:
        def change(output: Any) -> Any:
            leaves = keras.tree.flatten(output)
            raw[call] = [leaf for leaf in leaves if tf.is_tensor(leaf)]
            copies = [tf.identity(leaf) if tf.is_tensor(leaf) else leaf for leaf in leaves]
            owners.update({id(copy): call for copy in copies if tf.is_tensor(copy)})
            held.extend((leaves, copies))
            return keras.tree.pack_sequence_as(output, copies)

        return change

    every = [(info.path, call) for info in net.layers for call in range(info.calls)]
    with net.record(net.layers_by_path, instead={call: unique(call) for call in every}):
        outputs = net.call(feed)
    within = _around(raw)
    inside = set(within.values())
    steps = {
        call: Step(call, within.get(call), _makers(tensors, owners), call in inside) for call, tensors in raw.items()
    }
    return _finished(names, steps, [_makers([tensor], owners) for tensor in outputs])


def _around(ended: Iterable[Call]) -> dict[Call, Call]:
    """The call around each call: what lies inside a layer ends before the layer does."""
    around: dict[Call, Call] = {}
    waiting: list[Call] = []
    for call in ended:
        while waiting and waiting[-1][0].startswith(call[0] + "/"):
            around[waiting.pop()] = call
        waiting.append(call)
    return around


def _makers(tensors: Sequence[Any], owners: Mapping[int, Call]) -> tuple[Call, ...]:
    """The calls whose outputs these tensors of a graph are made of, in the order of the operations' inputs."""
    found: dict[Call, None] = {}
    seen: set[int] = set()
    stack = list(reversed(tensors))
    while stack:
        tensor = stack.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        if id(tensor) in owners:
            found[owners[id(tensor)]] = None
        elif (operation := getattr(tensor, "op", None)) is not None:
            stack.extend(reversed(list(operation.inputs)))
    return tuple(found)


def _finished(names: Sequence[str], steps: dict[Call, Step], outputs: Sequence[tuple[Call, ...]]) -> LayerGraph:
    used = {call for step in steps.values() for call in step.sources} | set(itertools.chain(*outputs))
    return LayerGraph(tuple(name for name in names if (name, INPUT) in used), steps, tuple(map(tuple, outputs)))


def flow_shapes(net: Network, side: int) -> dict[str, tuple[int | None, ...]]:
    """The shape of each layer's first output, by path, without the batch; rows, columns and channels in this order.

    Args:
        net: the network.
        side: of the pictures, where the network takes any size.
    """
    if all(None not in info.output_shape for info in net.layers if info.calls):
        found = {info.path: info.output_shape for info in net.layers}
    else:
        found = net.traces.get(functools.partial(_traced_shapes, net, side))
    first = {info.path for info in net.layers if info.channel_axis == 1}
    return {path: (*s[1:], s[0]) if path in first and len(s) == 3 else s for path, s in found.items()}


def _traced_shapes(net: Network, side: int) -> dict[str, tuple[int | None, ...]]:
    def run() -> dict[str, tuple[int | None, ...]]:
        with net.record(net.layers_by_path) as recording:
            net.call(sample_feed(net, side))
        known = {info.path: info.output_shape for info in net.layers}
        return known | {path: tuple(made[0].shape)[1:] for path, made in recording.calls.items() if made[0] is not None}

    return from_shapes(run)
