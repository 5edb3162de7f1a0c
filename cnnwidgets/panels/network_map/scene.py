"""What is drawn of a network: boxes and connections, level by level, with what is open."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from cnnwidgets.model.layer_graph import INPUT, Call, LayerGraph
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network
from cnnwidgets.pictures.flow_layout import in_order, split_backward


@dataclass(frozen=True)
class Item:
    """One box.

    Attributes:
        index: among all boxes of the drawing.
        path: of the layer; "" for an output, and for an input that is not a layer.
        name: what is written in the box.
        kind: a kind of layer, "input" or "output".
        shape: of what flows out, without the batch.
        uses: how often the layer is called in one run.
        has_inside: whether it can be opened.
        is_open: whether what is inside is drawn.
    """

    index: int
    path: str
    name: str
    kind: str
    shape: tuple[int | None, ...]
    uses: int = 1
    has_inside: bool = False
    is_open: bool = False


@dataclass(frozen=True)
class Edge:
    """A connection; `use` is the call of a shared layer that it belongs to, "" where there is only one."""

    start: Item
    end: Item
    use: str = ""


@dataclass(frozen=True)
class Level:
    """What lies right inside a model, or at the top.

    Attributes:
        items: sorted, each after those that lead to it; ENTRY first and EXIT last inside a model.
        edges: that go forward.
        back: that go back, or stay at one item: a shared layer that takes its own output.
        inner: for each item that is open, what is inside.
    """

    items: tuple[Item, ...]
    edges: tuple[Edge, ...]
    back: tuple[Edge, ...]
    inner: dict[Item, Level]


ENTRY, EXIT = (Item(index, "", "", "edge of a model", ()) for index in (-1, -2))


@dataclass(frozen=True)
class Scene:
    """All boxes of a drawing, and which lead where.

    Attributes:
        top: the outermost level.
        items: by index.
        after, before: for each item the next ones along the connections; those inside open models count.
    """

    top: Level
    items: tuple[Item, ...]
    after: dict[Item, tuple[Item, ...]] = field(repr=False)
    before: dict[Item, tuple[Item, ...]] = field(repr=False)

    def of_path(self, path: str) -> Item | None:
        """The box of a layer; that of the closed model around it, where it is not drawn."""
        by_path = {item.path: item for item in self.items if item.path}
        while path and path not in by_path:
            path = path.rpartition("/")[0]
        return by_path.get(path)

    def beside(self, item: Item) -> tuple[Item, ...]:
        """The items of the branches next to this one, itself among them, from left to right."""
        fellows = {item: None}
        for ahead in self.before[item]:
            fellows.update(dict.fromkeys(self.after[ahead]))
        if len(fellows) == 1:
            for behind in self.after[item]:
                fellows.update(dict.fromkeys(self.before[behind]))
        return tuple(sorted(fellows, key=lambda one: one.index))


def build(net: Network, graph: LayerGraph, shapes: dict[str, tuple[int | None, ...]], opened: Collection[str]) -> Scene:
    """The scene of a network with these models open.

    Args:
        net: the network.
        graph: of its layers.
        shapes: of each layer's output, by path.
        opened: the paths that are open.
    """
    builder = _Builder(net, graph, shapes, opened)
    top = builder.level(None)
    after, before = _neighbors(top, builder.items)
    return Scene(top, tuple(builder.items), after, before)


class _Builder:
    def __init__(
        self, net: Network, graph: LayerGraph, shapes: dict[str, tuple[int | None, ...]], opened: Collection[str]
    ) -> None:
        self.net, self.graph, self.shapes, self.opened = net, graph, shapes, opened
        self.infos: dict[str, LayerInfo] = {info.path: info for info in net.layers}
        self.items: list[Item] = []

    def level(self, group: Call | None) -> Level:
        links = self.graph.links(group)
        by_call: dict[Call, Item] = {}
        by_path: dict[str, Item] = {}
        inner: dict[Item, Level] = {}
        for call in links.calls:
            path, number = call
            key = f"input {path}" if number == INPUT else path
            if key not in by_path:
                by_path[key] = item = self._item(call)
                if item.is_open:
                    inner[item] = self.level((path, 0))
            by_call[call] = by_path[key]
        edges = [Edge(by_call[a], by_call[b], self._use(a, b, by_call)) for a, b in links.edges]
        items = list(by_path.values())
        if group is None:
            for index, made_by in enumerate(self.graph.outputs):
                output = self._output(index)
                items.append(output)
                calls = dict.fromkeys(self.graph.seen_from(call, None) for call in made_by)
                edges += [Edge(by_call[call], output, self._use(call, None, by_call)) for call in calls if call]
        else:
            items = [ENTRY, *items, EXIT]
            edges += [Edge(ENTRY, item) for item in dict.fromkeys(by_call[call] for call in links.entries)]
            edges += [Edge(item, EXIT) for item in dict.fromkeys(by_call[call] for call in links.exits)]
            edges += [Edge(ENTRY, EXIT)] if links.passes_through else []
        edges = list(dict.fromkeys(edges))
        forward, _ = split_backward(items, [(edge.start, edge.end) for edge in edges])
        order = in_order(items, forward)
        pairs = set(forward)
        return Level(
            tuple(order),
            tuple(edge for edge in edges if (edge.start, edge.end) in pairs),
            tuple(edge for edge in edges if (edge.start, edge.end) not in pairs),
            inner,
        )

    def _use(self, start: Call, end: Call | None, by_call: dict[Call, Item]) -> str:
        """The call of the shared one of two layers."""
        for call in (end, start):
            if call is not None and call[1] != INPUT and by_call[call].uses > 1:
                return str(call[1])
        return ""

    def _item(self, call: Call) -> Item:
        path, number = call
        index = len(self.items)
        if number == INPUT:
            info = next(info for info in self.net.inputs if info.name == path)
            known = self.infos.get(path)
            item = Item(index, path if known and known.kind == "input" else "", path, "input", info.fed_shape)
        else:
            info_ = self.infos[path]
            inside = self.graph.steps[call].has_inside
            name = path.rpartition("/")[2]
            is_open = inside and path in self.opened
            item = Item(index, path, name, info_.kind, self.shapes[path], info_.calls, inside, is_open)
        self.items.append(item)
        return item

    def _output(self, index: int) -> Item:
        info = self.net.outputs[index]
        item = Item(len(self.items), "", info.name, "output", info.shape)
        self.items.append(item)
        return item


def _neighbors(top: Level, items: list[Item]) -> tuple[dict[Item, tuple[Item, ...]], dict[Item, tuple[Item, ...]]]:
    after: dict[Item, dict[Item, None]] = {item: {} for item in items}
    before: dict[Item, dict[Item, None]] = {item: {} for item in items}
    for level in _levels(top):
        for edge in (*level.edges, *level.back):
            for start in _ends(level, edge.start, last=True):
                for end in _ends(level, edge.end, last=False):
                    after[start][end] = None
                    before[end][start] = None
    return {k: tuple(v) for k, v in after.items()}, {k: tuple(v) for k, v in before.items()}


def _levels(level: Level) -> Iterator[Level]:
    yield level
    for inner in level.inner.values():
        yield from _levels(inner)


def _ends(level: Level, item: Item, last: bool) -> Iterator[Item]:
    """The items at which something leaves (`last`) or enters an item: itself, or what is inside where it is open."""
    if item in (ENTRY, EXIT):
        return
    if item not in level.inner:
        yield item
        return
    inner = level.inner[item]
    edge_items = (
        (edge.start for edge in inner.edges if edge.end == EXIT)
        if last
        else (edge.end for edge in inner.edges if edge.start == ENTRY)
    )
    for one in dict.fromkeys(edge_items):
        yield from _ends(inner, one, last)
