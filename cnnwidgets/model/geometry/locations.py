"""Locations of a layer's cells: the picture's rows and columns found in the layer's axes."""

from __future__ import annotations

import functools
import math
import weakref
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.placement import Edges, Placement, scaled
from cnnwidgets.model.geometry.trail_rules import EXTENT, KINDS, LOCATION, Trail
from cnnwidgets.model.geometry.trails import Carried, Walk, picture_trails
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.compiled import GraphFailed
from cnnwidgets.model.tracing.traced_run import TracedRun

GRID, SPREAD, NOWHERE = "grid", "spread", "nowhere"
MOST_KEPT = 512  # answers for each network
USUAL = (224, 224)  # pixels of a picture for a network of any size
INSIDE = 0.25  # of the largest mass: a cell with less has its middle in padding


@dataclass(frozen=True, eq=False)
class Location:
    """Where the cells of one call of a layer look in the picture, in pixels of what the network is fed.

    Attributes:
        kind: "grid" where they look side by side in rows and columns; "spread" where all look at the same, such as
            behind a dense layer; "nowhere" where the layer's axes are not rows and columns of the picture.
        cells: (rows, columns) of the layer's map.
        rows: the pixel at the middle of each of the picture's map's rows; NaN where that lies in padding.
        columns: the same across.
        seen: (top, left, bottom, right) of all that is seen.
        fed: (height, width) of the picture that the network gets.
        is_transposed: whether the layer's rows run across the picture.
        tokens: for a layer of tokens, the token of each cell, row by row; the other tokens see no one location.
        others: how many other tokens there are.
        guessed: operations on the way whose geometry is not known.
    """

    kind: str
    cells: tuple[int, int]
    rows: Array
    columns: Array
    seen: Edges
    fed: tuple[int, int]
    is_transposed: bool = False
    tokens: tuple[int, ...] = ()
    others: int = 0
    guessed: tuple[str, ...] = field(default=())

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed about the cells, for the note of a map."""
        found = []
        if self.tokens:
            rest = f"; {self.others} other token{'s' * (self.others > 1)}, such as a class token, left out"
            found.append(
                f"tokens: {len(self.tokens)} patch tokens shown as {self.cells[0]} x {self.cells[1]} cells, each where "
                f"its patch lies{rest if self.others else ''}"
            )
        if self.kind == SPREAD and max(self.cells) > 1:
            found.append("not located: each cell sees the same part of the picture, so the map's frame is assumed")
        if self.guessed:
            found.append(f"location assumed: it could not be followed through {', '.join(self.guessed[:3])}")
        return tuple(found)

    def placement(self, size: tuple[int, int]) -> Placement:
        """Where the cells lie on a picture of (height, width) that was stretched to what the network gets."""
        if self.kind != GRID:
            return Placement.plain(self.cells, size, scaled(self.seen, self.fed, size))
        scales = [given / fed for given, fed in zip(size, self.fed, strict=True)]
        rows, columns = (
            (middles + 0.5) * scale - 0.5 for middles, scale in zip((self.rows, self.columns), scales, strict=True)
        )
        return Placement(size, rows, columns, scaled(self.seen, self.fed, size), self.is_transposed)


class _Found(NamedTuple):
    """What was followed through the graph: [3, ...] masses, rows and columns, [4, ...] extents, and the full shape."""

    location: Array | None
    extent: Array | None
    shape: tuple[int, ...]
    guessed: tuple[str, ...]


_kept: weakref.WeakKeyDictionary[Network, dict[Any, Any]] = weakref.WeakKeyDictionary()


def locate(net: Network, path: str, call: int, which: int, fed: tuple[int, int]) -> Location:
    """Where the cells of a layer's call look in one picture input; worked out once for each size.

    Args:
        net: the network.
        path: the layer's full path.
        call: which of its calls.
        which: the index of the picture input.
        fed: (height, width) of the picture as the network gets it.
    """

    def look() -> Location:
        return _located(_followed(net, path, call, which, fed), fed, net.layer(path).channel_axis == 1)

    return _once(net, ("layer", path, call, which, fed), look)  # type: ignore[no-any-return]


def output_placement(net: Network, output: int, which: int, fed: tuple[int, int], size: tuple[int, int]) -> Placement:
    """Where the positions of a dense output lie on a picture of (height, width).

    An output of the picture's own size, or of a whole fraction of it, covers the picture evenly, whatever each position
    sees; one that is smaller, such as behind convolutions without padding, lies where its positions look.
    """

    def look() -> Location:
        return _located(_followed(net, "", output, which, fed), fed, net.outputs[output].channels_first)

    location: Location = _once(net, ("positions", output, which, fed), look)
    if location.kind != GRID:
        return Placement.plain((1, 1), size)
    lines = [_line(middles) for middles in (location.rows, location.columns)]
    counts = len(location.rows), len(location.columns)
    if all(_covers(count, line[1], length) for count, line, length in zip(counts, lines, fed, strict=True)):
        return Placement.plain(counts, size)
    rows, columns = (start + step * np.arange(count) for count, (start, step) in zip(counts, lines, strict=True))
    return replace(location, rows=rows, columns=columns).placement(size)


def _line(middles: Array) -> tuple[float, float]:
    """The first middle and the distance of middles, of a line through them: nearest-neighbor upsampling makes steps."""
    cells = np.flatnonzero(np.isfinite(middles))
    if len(cells) < 2:
        return float(middles[cells][0]), math.inf
    step, start = np.polyfit(cells, middles[cells], 1)
    return float(start), float(step)


def _covers(count: int, step: float, length: int) -> bool:
    """Whether so many positions, so far apart, are all that a padded network has for this length."""
    if count == length or step <= 0 or math.isinf(step):
        return True
    whole = round(step) if step >= 1 else 1 / round(1 / step)
    return count == math.ceil(length / whole)


def seen_by_output(net: Network, output: int, which: int, fed: tuple[int, int]) -> Edges:
    """The part of a picture, in pixels of what the network gets, on which an output depends at all."""

    def look() -> Edges:
        found = _followed(net, "", output, which, fed)
        return _edges(found.extent, fed) if found.extent is not None else (0, 0, *fed)

    return _once(net, ("output", output, which, fed), look)  # type: ignore[no-any-return]


def seen_input(net: Network, path: str) -> int:
    """The index of the picture input that a layer sees; of several the first."""
    every = net.picture_inputs
    return every[0] if len(every) == 1 else (net.sees(path) or every)[0]


def has_rows(net: Network, path: str) -> bool:
    """Whether a layer's cells, or its tokens, look at the picture side by side in rows and columns."""
    which = seen_input(net, path)
    return locate(net, path, 0, which, net.inputs[which].full_size(*USUAL)).kind != NOWHERE


def leads_from_tokens(net: Network, output: int, path: str, call: int, which: int, location: Location) -> bool:
    """Whether an output depends on any patch token of a layer, and not on its other tokens alone."""

    def build() -> Any:
        run = net.traced_run
        walk = Walk(run.recording.calls[path][call], run.outputs[output])

        def reach(chosen: Any) -> Any:
            start = tf.repeat(chosen[None, :, None], KINDS, 0)  # [4, T, 1]
            trail = walk.carry(Trail(start, frozenset({2})), EXTENT)
            return tf.constant(0.0) if trail is None or trail.value is None else tf.reduce_max(trail.value)

        return run.function(reach, tf.TensorSpec([None], tf.float32))

    def look() -> bool:
        chosen = np.zeros(len(location.tokens) + location.others, np.float32)
        chosen[list(location.tokens)] = 1
        follow = net.traces.get(build)
        return bool(follow(*_zeros(net, which, location.fed), tf.constant(chosen)).numpy() > 0)

    return _once(net, ("from tokens", output, path, call), look)  # type: ignore[no-any-return]


def _once(net: Network, key: Any, look: Any) -> Any:
    known, key = _kept.setdefault(net, {}), (net.version, key)
    if key not in known:
        if len(known) >= MOST_KEPT:
            known.clear()
        known[key] = look()
    return known[key]


def _followed(net: Network, path: str, number: int, which: int, fed: tuple[int, int]) -> _Found:
    """Carry coordinates to a layer's call, or to an output where there is no path; built once for all sizes."""
    follow, unknown = net.traces.get(functools.partial(_way_to, net, path, number, which))
    try:
        location, extent, shape = follow(*_zeros(net, which, fed))
    except GraphFailed:  # the coordinates are a batch of four
        known = net.layer(path).output_shape if path else net.outputs[number].shape
        batch = "operations on the whole batch" if net.takes_batches else "a fixed batch of one"
        return _Found(None, None, (1, *(n or 1 for n in known)), (*sorted(unknown), batch))
    values = [one.numpy() if one.shape.rank else None for one in (location, extent)]
    return _Found(values[0], values[1], tuple(shape.numpy()), tuple(sorted(unknown)))


def _way_to(net: Network, path: str, number: int, which: int) -> tuple[Any, set[str]]:
    """The function that carries coordinates, and the operations on its way whose geometry is guessed."""
    run = net.traced_run
    tensor = run.recording.calls[path][number] if path else run.outputs[number]
    walk = Walk(run.inputs[which], tensor)

    def carried() -> list[Any]:
        trails = [walk.carry(*begun) for begun in _begun(run, which)]
        return [*map(_value, trails), _shape(tensor, trails)]

    return run.function(carried), walk.unknown


def _begun(run: TracedRun, which: int) -> list[tuple[Trail, str, Carried]]:
    """Both kinds of trails of a picture, and how far each was carried for other layers: the graph grows once."""
    if which not in run.known:
        starts = picture_trails(run.inputs[which])
        pairs = zip(starts, (LOCATION, EXTENT), strict=True)
        run.known[which] = [(start, kind, Carried({}, set())) for start, kind in pairs]
    return run.known[which]  # type: ignore[no-any-return]


def _value(trail: Trail | None) -> Any:
    return tf.constant(0.0) if trail is None or trail.value is None else trail.value


def _shape(tensor: Any, trails: Any) -> Any:
    """The tensor's shape; of an axis on which all numbers share their coordinates what is known beforehand."""
    known = [trail.value for trail in trails if trail is not None and trail.value is not None]
    lengths = []
    for axis, length in enumerate(tensor.shape):
        if length is None:
            length = tf.reduce_max(tf.stack([tf.shape(value)[axis] for value in known])) if known else 1
        lengths.append(length)
    return tf.stack(lengths)


def _zeros(net: Network, which: int, fed: tuple[int, int]) -> list[Any]:
    """Empty inputs for the run of a network, as many as there are kinds of coordinates."""
    every = enumerate(net.traced_run.inputs)
    return [tf.zeros([KINDS, *_fed_shape(net, i, which, fed)], placeholder.dtype) for i, placeholder in every]


def _fed_shape(net: Network, index: int, which: int, fed: tuple[int, int]) -> tuple[int, ...]:
    info = net.inputs[index]
    if not info.is_picture:
        return tuple(n or 1 for n in info.shape)
    return (*(fed if index == which else info.full_size(*fed)), info.channels)


# -- from coordinates to rows and columns


def _located(found: _Found, fed: tuple[int, int], channels_first: bool) -> Location:
    seen = _edges(found.extent, fed) if found.extent is not None else (0, 0, *fed)
    first = channels_first and len(found.shape) == 4
    channel = 1 if first else len(found.shape) - 1
    shape = tuple(n for axis, n in enumerate(found.shape) if axis not in (0, channel))
    empty = Location(NOWHERE, _cells(shape), np.zeros(1), np.zeros(1), seen, fed, guessed=found.guessed)
    if found.location is None or len(shape) not in (1, 2) or found.location.shape[0] != KINDS:
        return empty
    mass, down, across = (
        np.broadcast_to(plane.sum(channel - 1, dtype=np.float64), shape) for plane in found.location[:3]
    )
    inside = mass > INSIDE * max(mass.max(), 1e-9)
    if not inside.any():
        return empty
    rows, columns = (np.where(inside, one / np.where(inside, mass, 1), np.nan) for one in (down, across))
    if len(shape) == 1:
        return _tokens(rows, columns, empty)
    return _grid(rows, columns, empty)


def _cells(shape: tuple[int, ...]) -> tuple[int, int]:
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else (1, 1)


def _edges(extent: Array, fed: tuple[int, int]) -> Edges:
    """The box around all that is seen."""
    above, below, before, behind = extent.reshape(KINDS, -1).max(1)
    height, width = fed
    if min(above, below, before, behind) <= 0:
        return 0, 0, 0, 0
    top, left = max(0, height - math.ceil(above - 1e-3)), max(0, width - math.ceil(before - 1e-3))
    return top, left, min(height, math.ceil(below - 1e-3)), min(width, math.ceil(behind - 1e-3))


def _grid(rows: Array, columns: Array, empty: Location) -> Location:
    """Middles [h, w] that depend on the row alone and on the column alone."""
    cells = rows.shape
    for is_transposed, (down, across) in ((False, (0, 1)), (True, (1, 0))):
        (middles_down, loose_down), (middles_across, loose_across) = _along(rows, down), _along(columns, across)
        moves = [np.nanmax(m) - np.nanmin(m) if len(m) > 1 else np.inf for m in (middles_down, middles_across)]
        if not (loose_down or loose_across) and min(moves) > 0.01:
            return _with(empty, GRID, cells, middles_down, middles_across, is_transposed)
    if np.nanmax(rows) - np.nanmin(rows) < 0.01 and np.nanmax(columns) - np.nanmin(columns) < 0.01:
        even = [(np.arange(n) + 0.5) * length / n - 0.5 for n, length in zip(cells, empty.fed, strict=True)]
        return _with(empty, SPREAD, cells, even[0], even[1], False)
    return replace(empty, cells=cells)


def _along(middles: Array, axis: int) -> tuple[Array, bool]:
    """The middles along one axis of the map, and whether they depend on the other axis too."""
    known = np.isfinite(middles).any(1 - axis)
    mean = np.full(middles.shape[axis], np.nan)
    mean[known] = np.nanmean((middles if axis == 0 else middles.T)[known], 1)
    expected = mean[:, None] if axis == 0 else mean
    cells = np.flatnonzero(known)
    if len(cells) > 1:
        step, start = np.polyfit(cells, mean[cells], 1)
        line = start + step * cells
        tolerance = 0.3 + 0.3 * abs(step)
        if np.abs(line - mean[cells]).max() <= tolerance:
            mean[cells] = line  # a transposed convolution jitters
    else:
        tolerance = 0.3
    return mean, bool(np.nanmax(np.abs(middles - expected)) > tolerance)


def _with(
    empty: Location, kind: str, cells: tuple[int, int], rows: Array, columns: Array, is_transposed: bool
) -> Location:
    return replace(empty, kind=kind, cells=cells, rows=rows, columns=columns, is_transposed=is_transposed)


def _tokens(rows: Array, columns: Array, empty: Location) -> Location:
    """Tokens that look at the cells of a grid, in any order; others, such as a class token, look at no one location."""
    patches = np.flatnonzero(np.isfinite(rows))
    lines = [np.unique(np.round(one[patches], 1)) for one in (rows, columns)]
    high, wide = (len(line) for line in lines)
    if high * wide != len(patches) or len(patches) < 2:
        return empty
    order = patches[np.lexsort((columns[patches], np.round(rows[patches], 1)))]
    grid = [one[order].reshape(high, wide) for one in (rows, columns)]
    found = _grid(grid[0], grid[1], empty)
    if found.kind != GRID or found.is_transposed:
        return empty
    return replace(found, tokens=tuple(map(int, order)), others=len(rows) - len(patches))
