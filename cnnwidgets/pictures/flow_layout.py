"""Positions for a drawing of what flows where: boxes in lanes from top to bottom, branches side by side.

Networks are nearly series of branches that split and join. So each branch gets a separate lane, in which its boxes
stand straight under each other, and a connection that skips boxes gets a narrow one. A drawing is cut where a single
box carries everything, so that a page can break it into columns there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)
Point = tuple[float, float]

GAP = 8.0  # between a box and the next one below it
NARROW = 10.0  # the width of a lane in which nothing but a connection runs
MANY = 8  # lanes: from here on a lane that is free is used again, although what comes in it has to wait for its end
MARGIN = 3.0  # left and right of a box in its lane


@dataclass(frozen=True)
class Box:
    """The position of a box: its left upper corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> Point:
        """The middle of its upper edge."""
        return self.x + self.width / 2, self.y

    @property
    def bottom(self) -> Point:
        """The middle of its lower edge."""
        return self.x + self.width / 2, self.y + self.height


@dataclass(frozen=True)
class Drawing:
    """Where boxes and connections are.

    Attributes:
        width, height: of the whole.
        boxes: for each node.
        paths: for each connection, in the order in which they were given, the points that it passes: from the lower
            edge of a box, down its lane, to the upper edge of the other.
    """

    width: float
    height: float
    boxes: dict[object, Box]
    paths: tuple[tuple[Point, ...], ...]


def in_order(nodes: Sequence[Node], edges: Iterable[tuple[Node, Node]]) -> list[Node]:
    """The nodes sorted so that each stands after those that lead to it, a branch as a whole before the next one."""
    ahead: dict[Node, list[Node]] = {node: [] for node in nodes}
    waits = dict.fromkeys(nodes, 0)
    for start, end in edges:
        ahead[start].append(end)
        waits[end] += 1
    ready = [node for node in reversed(nodes) if not waits[node]]
    found = []
    while ready:
        node = ready.pop()
        found.append(node)
        for end in reversed(ahead[node]):
            waits[end] -= 1
            if not waits[end]:
                ready.append(end)
    return found


def split_backward(
    nodes: Sequence[Node], edges: Sequence[tuple[Node, Node]]
) -> tuple[list[tuple[Node, Node]], list[tuple[Node, Node]]]:
    """Connections that go forward in the given order of nodes, and those that go back or stay at a node."""
    rank = {node: i for i, node in enumerate(nodes)}
    forward = [edge for edge in edges if rank[edge[0]] < rank[edge[1]]]
    return forward, [edge for edge in edges if rank[edge[0]] >= rank[edge[1]]]


def cut(order: Sequence[Node], edges: Sequence[tuple[Node, Node]]) -> list[list[Node]]:
    """The sorted nodes in parts: each ends with a node that alone leads to everything after it.

    Neighboring parts are connected by that one node, which belongs to the earlier part.
    """
    rank = {node: i for i, node in enumerate(order)}
    reach = [0] * len(order)  # for each place, the farthest node that one before it leads to
    for start, end in edges:
        reach[rank[start]] = max(reach[rank[start]], rank[end])
    fed = {rank[end] for _, end in edges}
    parts: list[list[Node]] = []
    part: list[Node] = []
    farthest = 0
    for place, node in enumerate(order):
        part.append(node)
        if farthest <= place and (place + 1 in fed or place + 1 == len(order)):
            parts.append(part)
            part = []
        farthest = max(farthest, reach[place])
    return [*parts, part] if part else parts


@dataclass
class _Lanes:
    """Which lane each box and connection takes; lanes lie in the order of `line`."""

    line: list[int] = field(default_factory=list)  # lanes from left to right
    free: set[int] = field(default_factory=set)
    of_node: dict[object, int] = field(default_factory=dict)
    of_edge: dict[int, int] = field(default_factory=dict)

    def beside(self, lane: int | None) -> int:
        """A lane for something new: a new one next to another, or where there are many, the nearest that is free."""
        at = self.line.index(lane) + 1 if lane is not None else len(self.line)
        distance = {one: abs(self.line.index(one) - at) for one in self.free}
        nearest = min(distance, key=lambda one: (distance[one], one), default=None)
        if nearest is not None and (distance[nearest] == 0 or len(self.line) >= MANY):
            self.free.remove(nearest)
            return nearest
        new = len(self.line)
        self.line.insert(at, new)
        return new


def _assign(order: Sequence[Node], edges: Sequence[tuple[Node, Node]]) -> _Lanes:
    lanes = _Lanes()
    incoming, outgoing = _by_node(order, edges)
    for node in order:
        held = sorted((lanes.of_edge[index] for index in incoming[node]), key=lanes.line.index)
        lane = held[(len(held) - 1) // 2] if held else lanes.beside(lanes.line[-1] if lanes.line else None)
        lanes.of_node[node] = lane
        lanes.free.update(other for other in held if other != lane)
        if not outgoing[node]:
            lanes.free.add(lane)
        last = lane
        for number, index in enumerate(outgoing[node]):
            last = lane if number == 0 else lanes.beside(last)
            lanes.of_edge[index] = last
    return lanes


def draw(
    order: Sequence[Node],
    edges: Sequence[tuple[Node, Node]],
    width: float,
    size: Callable[[Node, float], Point],
    gap: Callable[[Node, Node], float] = lambda _start, _end: GAP,
    alone: Collection[Node] = (),
) -> Drawing:
    """Place boxes and connections.

    Args:
        order: the nodes, each after those that lead to it (`in_order`).
        edges: (from, to) between them; a pair may be there twice.
        width: of the drawing.
        size: (width, height) of a node's box in a lane of this width.
        gap: the room between two connected boxes.
        alone: the nodes with nothing next to them: they are centered and may be as wide as the drawing.
    """
    lanes = _assign(order, edges)
    middles, room = _columns(lanes, width)
    below = dict.fromkeys(lanes.line, 0.0)  # down to where each lane is taken
    boxes: dict[object, Box] = {}
    begins: dict[int, float] = {}  # where a connection has reached its lane
    incoming, outgoing = _by_node(order, edges)
    for node in order:
        lane = lanes.of_node[node]
        middle, across = (width / 2, width) if node in alone else (middles[lane], room[lane])
        wide, high = size(node, across)
        taken = max(below.values()) if node in alone else below[lane]
        ends = [boxes[edges[i][0]].bottom[1] + gap(*edges[i]) for i in incoming[node]]
        y = max([taken, *ends, *(begins[i] for i in incoming[node])])
        boxes[node] = Box(middle - wide / 2, y, wide, high)
        for index in incoming[node]:
            below[lanes.of_edge[index]] = max(below[lanes.of_edge[index]], y)
        below[lane] = y + high + GAP
        for index in outgoing[node]:
            own = lanes.of_edge[index]
            begins[index] = y + high + gap(*edges[index]) if own == lane else max(y + high + GAP, below[own])
    paths = tuple(
        _path(boxes[start], boxes[end], middles[lanes.of_edge[i]], begins[i]) for i, (start, end) in enumerate(edges)
    )
    return Drawing(width, max((box.bottom[1] for box in boxes.values()), default=0.0), boxes, paths)


def _by_node(
    order: Sequence[Node], edges: Sequence[tuple[Node, Node]]
) -> tuple[dict[Node, list[int]], dict[Node, list[int]]]:
    """The indices of the connections that arrive at each node, and of those that leave it."""
    incoming: dict[Node, list[int]] = {node: [] for node in order}
    outgoing: dict[Node, list[int]] = {node: [] for node in order}
    for index, (start, end) in enumerate(edges):
        outgoing[start].append(index)
        incoming[end].append(index)
    return incoming, outgoing


def _columns(lanes: _Lanes, width: float) -> tuple[dict[int, float], dict[int, float]]:
    """The middle of each lane, and the width that a box has in it; lanes without boxes are narrow."""
    with_boxes = set(lanes.of_node.values())
    narrow = min(NARROW, width / (3 * max(1, len(lanes.line))))
    spare = narrow * (len(lanes.line) - len(with_boxes))
    wide = (width - spare) / max(1, len(with_boxes))
    middles, room, x = {}, {}, 0.0
    for lane in lanes.line:
        across = wide if lane in with_boxes else narrow
        middles[lane], room[lane] = x + across / 2, max(across - 2 * MARGIN, 2.0)
        x += across
    return middles, room


def _path(start: Box, end: Box, x: float, begins: float) -> tuple[Point, ...]:
    """From a box into the lane of the connection, down, and to the other box."""
    (x0, y0), (x1, y1) = start.bottom, end.top
    if x in (x0, x1) and y1 - y0 <= 2 * GAP:
        return (x0, y0), (x1, y1)
    turn = max(begins, y0)
    return tuple(dict.fromkeys([(x0, y0), (x, turn), (x, max(turn, y1 - GAP)), (x1, y1)]))
