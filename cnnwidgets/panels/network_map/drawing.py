"""A scene as HTML and SVG; each box has an id by which clicks on it are recognized."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from importlib import resources

from cnnwidgets.panels.base.markup import escape, tail
from cnnwidgets.panels.network_map.scene import ENTRY, EXIT, Edge, Item, Level, Scene
from cnnwidgets.pictures.flow_layout import GAP, Box, Drawing, Point, cut, draw

STYLE = f"<style>\n{resources.files(__package__).joinpath('network_map.css').read_text('utf-8')}</style>"
WIDTH = 272.0  # of a column, in CSS pixels
TALL = 360.0  # of a column, before the next one begins
LETTER = 6.0  # the width of one, about
MINOR = {"activation", "normalization"}  # drawn thin, close to the layer before
THIN, THIN_WITH_MAP = 6.0, 12.0
LOOP = 20.0  # the room next to a box for a connection that goes back up
WITH_NUMBER = 16.0  # between two boxes, where the connection has a number
HEAD, PADDING = 15.0, 4.0  # of an open model


class Drawer:
    """Draws a scene.

    Args:
        scene: what.
        prefix: of every id on the page.
        focus: the id of what gets the focus where the drawing is clicked.
        maps: for some paths the address of a small picture, `data:...`.
    """

    def __init__(self, scene: Scene, prefix: str, focus: str, maps: Mapping[str, str]) -> None:
        self.scene, self.prefix, self.focus, self.maps = scene, prefix, focus, maps
        self.height = 0.0  # of all parts so far
        sides = [side for item in scene.items if len(item.shape) == 3 for side in item.shape[:2] if side]
        self.largest = max(sides, default=1)

    def html(self) -> str:
        """The whole drawing: parts that the page may arrange in columns."""
        parts = "".join(self._parts(self.scene.top, WIDTH))
        columns = max(1, math.ceil(self.height / TALL))
        style = f"columns:{WIDTH:g}px {columns};max-width:{columns * (WIDTH + 44):g}px"
        return f'<label class="cnnw-map-flow" for="{self.focus}" style="{style}">{parts}</label>'

    def _parts(self, level: Level, width: float) -> list[str]:
        """A level as parts one under the other."""
        found = []
        for before, part in _cut(level):
            item = part[0]
            if len(part) == 1 and item in level.inner:
                self.height += GAP + HEAD + PADDING
                found.append(_svg(width, GAP, _line([(width / 2, 0), (width / 2, GAP)])))
                inside = "".join(self._parts(level.inner[item], width - 2 * PADDING))
                found.append(f'<div class="cnnw-map-frame">{self._head(item)}{inside}</div>')
            else:
                content, high = self._part(level, before, part, width)
                self.height += high
                found.append(_svg(width, high, content) if high else "")
        return found

    def _head(self, item: Item) -> str:
        used = f" ×{item.uses}" if item.uses > 1 else ""
        name = f"− {item.name}{used}"
        return f'<div class="cnnw-map-head" id="{self._id(item)}" title="{escape(item.path)}">{escape(name)}</div>'

    def _id(self, item: Item) -> str:
        return f"{self.prefix}-{item.index}"

    def _part(self, level: Level, before: Item | None, part: Sequence[Item], width: float) -> tuple[str, float]:
        """The SVG of a part, and its height."""
        nodes = [*([] if before is None else [before]), *part]
        inside = set(nodes)
        edges = [edge for edge in level.edges if edge.start in inside and edge.end in inside and edge.end != before]
        opened: dict[Item, tuple[str, float]] = {}
        numbered = {(edge.start, edge.end) for edge in edges if edge.use}
        looping = {item for edge in level.back for item in (edge.start, edge.end)}

        def size(item: Item, across: float) -> Point:
            if item == before or item in (ENTRY, EXIT):
                return 0.0, 0.0
            if item in level.inner:
                opened[item] = self._level(level.inner[item], across - 2 * PADDING)
                return across, HEAD + opened[item][1] + PADDING
            wide, high = self._size(item, across)
            return min(wide, across - 2 * LOOP if item in looping else across), high

        def gap(start: Item, end: Item) -> float:
            return WITH_NUMBER if (start, end) in numbered else _gap(start, end)

        drawing = draw(nodes, [(e.start, e.end) for e in edges], width, size, gap, _alone(before, part, edges))
        lines = [_line(path) + _use(edge, path) for edge, path in zip(edges, drawing.paths, strict=True)]
        lines += [_loop(edge, drawing, width) for edge in level.back if edge.start in inside and edge.end in inside]
        boxes = [
            self._frame(item, drawing.boxes[item], opened[item][0])
            if item in opened
            else self._box(item, drawing.boxes[item])
            for item in part
            if item not in (ENTRY, EXIT)
        ]
        return "".join(lines + boxes), drawing.height

    def _level(self, level: Level, width: float) -> tuple[str, float]:
        """A whole level as SVG, and its height, for a model that is open and has neighbors in its part."""
        content, y = [], 0.0
        for before, part in _cut(level):
            inside, high = self._part(level, before, part, width)
            content.append(f'<g transform="translate(0,{y:.1f})">{inside}</g>')
            y += high
        return "".join(content), y

    def _size(self, item: Item, across: float) -> Point:
        """As wide as the map is large, as high as it has channels, both on a logarithmic scale."""
        spatial = len(item.shape) == 3
        channels = next((n for n in reversed(item.shape) if n), 1)
        sides = [n for n in item.shape[:2] if n] if spatial else [1]
        share = math.log2(1 + max(sides, default=self.largest)) / math.log2(1 + self.largest) if spatial else 0.0
        wide = across * (0.3 + 0.7 * share)
        if item.kind in MINOR:
            return wide, THIN_WITH_MAP if item.path in self.maps else THIN
        return wide, 14 + math.log2(1 + channels)

    def _box(self, item: Item, box: Box) -> str:
        round_ = 8 if item.kind in ("input", "output") else 2
        parts = [
            f'<rect id="{self._id(item)}" class="{item.kind}" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" rx="{round_}"><title>{escape(words(item))}</title></rect>'
        ]
        left, right = box.x + 4, box.x + box.width - 4
        if item.path in self.maps:
            side = min(box.height - 2, box.width - 2)
            parts.append(
                f'<foreignObject x="{box.x + 1:.1f}" y="{box.y + 1:.1f}" width="{side:.1f}" height="{side:.1f}">'
                f'<div style="background-image:url({self.maps[item.path]})"></div></foreignObject>'
            )
            left += side
        if item.has_inside:
            parts.append(f'<text class="sign" x="{right - 4:.1f}" y="{box.y + box.height / 2 + 4:.1f}">+</text>')
            right -= 12
        if item.kind not in MINOR:
            parts.append(_label(item, left, right, box.y + box.height / 2 + 3.5))
        return "".join(parts)

    def _frame(self, item: Item, box: Box, inside: str) -> str:
        return (
            f'<rect class="frame" x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
            f'rx="3"/><rect id="{self._id(item)}" class="model" x="{box.x:.1f}" y="{box.y:.1f}" '
            f'width="{box.width:.1f}" height="{HEAD}"><title>{escape(words(item))}</title></rect>'
            f"{_label(item, box.x + 4, box.x + box.width - 4, box.y + 11, '− ')}"
            f'<g transform="translate({box.x + PADDING:.1f},{box.y + HEAD:.1f})">{inside}</g>'
        )


def words(item: Item) -> str:
    """The name and shape of a box, for its tooltip."""
    used = f", used {item.uses} times" if item.uses > 1 else ""
    return f"{item.path or item.name}: {item.kind}, {shape_of(item)}{used}"


def shape_of(item: Item) -> str:
    """As "56 x 56 x 64"."""
    return " x ".join("any" if n is None else str(n) for n in item.shape) or "one number"


def _cut(level: Level) -> list[tuple[Item | None, list[Item]]]:
    """The parts of a level, each with the item before it that leads to it."""
    parts = cut(level.items, [(edge.start, edge.end) for edge in level.edges])
    return [(parts[i - 1][-1] if i else None, part) for i, part in enumerate(parts)]


def _alone(before: Item | None, part: Sequence[Item], edges: Sequence[Edge]) -> set[Item]:
    """The items of a part that have a row to themselves: the one before it, and the last if all lead there."""
    leading = {edge.start for edge in edges}
    alone = set() if before is None else {before}
    if all(item in leading for item in part[:-1]):
        alone.add(part[-1])
    return alone


def _gap(start: Item, end: Item) -> float:
    return 1.5 if end.kind in MINOR and start.kind not in ("input", "edge of a model") else GAP


def _svg(width: float, height: float, content: str) -> str:
    return (
        f'<svg class="cnnw-map-part" viewBox="0 0 {width:g} {height:.1f}" aria-hidden="true" '
        f'xmlns="http://www.w3.org/2000/svg">{content}</svg>'
    )


def _line(points: Sequence[Point], kind: str = "") -> str:
    (x, y), *others = points
    steps = [f"M{x:.1f},{y:.1f}"]
    for x1, y1 in others:
        middle = (y + y1) / 2
        steps.append(f"V{y1:.1f}" if x == x1 else f"C{x:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}")
        x, y = x1, y1
    return f'<path{kind} d="{"".join(steps)}"/>'


def _use(edge: Edge, path: Sequence[Point]) -> str:
    """The number of the call, where a shared layer is used."""
    if not edge.use:
        return ""
    (x0, y0), (x1, y1) = path[-2:] if len(path) == 2 else path[:2]
    x, y = (0.6 * x0 + 0.4 * x1 + 3, (y0 + y1) / 2 + 3.5) if len(path) == 2 else (x1 + 3, y1 + 4)
    return f'<text class="faint" x="{x:.1f}" y="{y:.1f}">{escape(edge.use)}</text>'


def _loop(edge: Edge, drawing: Drawing, width: float) -> str:
    """A connection that goes back up, at the right side."""
    start, end = drawing.boxes[edge.start], drawing.boxes[edge.end]
    x = min(max(start.x + start.width, end.x + end.width) + LOOP, width)
    (x0, y0), (x1, y1) = (start.x + start.width, start.y + start.height * 0.75), (end.x + end.width, end.y + 3)
    path = f"M{x0:.1f},{y0:.1f}C{x:.1f},{y0 + 8:.1f} {x:.1f},{y1 - 8:.1f} {x1:.1f},{y1:.1f}"
    label = f'<text class="faint" x="{x - 6:.1f}" y="{(y0 + y1) / 2 + 3:.1f}">{escape(edge.use)}</text>'
    return f'<path class="back" d="{path}"/>{label}'


def _label(item: Item, left: float, right: float, y: float, sign: str = "") -> str:
    """The name, cut to what has room, and the shape where there is room for both."""
    used = f" ×{item.uses}" if item.uses > 1 else ""
    room = int((right - left) / LETTER)
    if room < 4:
        return ""
    name = tail(f"{sign}{item.name}", room - len(used))
    text = f'<text x="{left:.1f}" y="{y:.1f}">{escape(name + used)}</text>'
    shape = shape_of(item)
    if item.shape and not sign and len(name) + len(used) + len(shape) + 2 <= room:
        text += f'<text class="faint" x="{right:.1f}" y="{y:.1f}" text-anchor="end">{escape(shape)}</text>'
    return text
