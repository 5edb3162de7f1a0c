"""A layer's map laid over the picture: each cell at the middle of what it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnwidgets import pictures as pictures_
from cnnwidgets.frame import Array
from cnnwidgets.model.unlocked_property import unlocked_property

Edges = tuple[int, int, int, int]  # top, left, bottom, right: bottom and right are the first pixels outside
ALIGNED = 0.02  # pixels: cells that are off by less lie where plain stretching puts them
ALONE = 2**17  # multiplications: fewer are faster on one thread, since the threads of numpy's BLAS wait by spinning
PART = 0.97  # of the picture's height or width: less than that is only a part of it


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the cells of a map lie on a picture.

    Attributes:
        size: (height, width) of the picture.
        rows: for each row of the picture's map the pixel of its middle, 0 being the middle of the first pixel; NaN
            for a row that sees no picture, such as one of padding.
        columns: the same across.
        seen: (top, left, bottom, right) of what all cells together see.
        is_transposed: whether the layer's rows run across the picture.
    """

    size: tuple[int, int]
    rows: Array
    columns: Array
    seen: Edges
    is_transposed: bool = False

    @classmethod
    def plain(cls, cells: tuple[int, ...], size: tuple[int, ...], seen: Edges | None = None) -> Placement:
        """A map of so many (rows, columns) over a whole picture of (height, width), in equal parts."""
        rows, columns = (_even(count, length) for count, length in zip(cells, size, strict=True))
        return cls((size[0], size[1]), rows, columns, seen or (0, 0, size[0], size[1]))

    def lay(self, raw: Array) -> Array:
        """A map [..., h, w] over the picture, float32 [..., H, W]: bilinear between the cells, zero where none sees.

        A map of more cells than pixels is averaged, as in `pictures.resize`.
        """
        raw = np.asarray(raw, np.float32)
        raw = raw.swapaxes(-1, -2) if self.is_transposed else raw
        if self.is_even and raw.ndim == 2:
            laid = pictures_.resize(raw, self.size) if raw.shape != self.size else raw.copy()
        else:
            down, across = self._weights
            laid = _product(_product(down, raw), across.T)
        if self.seen != (0, 0, *self.size):
            laid *= self.is_seen
        return laid

    def gather(self, mask: Array) -> Array:
        """[h, w] float32, for a mask [H, W] of the picture: the share of each cell's own pixels that it covers.

        A cell's own pixels are those nearer to its middle than to any other cell's.
        """
        down, across = (
            _own_pixels(middles, length) for middles, length in zip((self.rows, self.columns), self.size, strict=True)
        )
        shares = _product(_product(down, np.asarray(mask, np.float32)), across.T)
        return shares.T if self.is_transposed else shares

    def cell(self, row: int, column: int) -> tuple[int, int] | None:
        """(row, column) in the layer's map of the cell next to a pixel; `None` where no cell sees the pixel."""
        if not self.is_seen[row, column]:
            return None
        nearest = int(np.nanargmin(np.abs(self.rows - row))), int(np.nanargmin(np.abs(self.columns - column)))
        return (nearest[1], nearest[0]) if self.is_transposed else nearest

    def at_size(self, size: tuple[int, int]) -> Placement:
        """The same cells on the same picture, resized to (height, width)."""
        pairs = zip((self.rows, self.columns), self.size, size, strict=True)
        rows, columns = ((middles + 0.5) * length / own - 0.5 for middles, own, length in pairs)
        return Placement(size, rows, columns, scaled(self.seen, self.size, size), self.is_transposed)

    @unlocked_property
    def is_even(self) -> bool:
        """Whether plain stretching puts each cell where it belongs."""
        return all(
            bool(np.all(np.abs(middles - _even(len(middles), length)) < ALIGNED))
            for middles, length in zip((self.rows, self.columns), self.size, strict=True)
        )

    @unlocked_property
    def is_seen(self) -> Array:
        """[H, W] bool: the pixels that any cell sees."""
        mask = np.zeros(self.size, bool)
        top, left, bottom, right = self.seen
        mask[top:bottom, left:right] = True
        return mask

    @property
    def note(self) -> str:
        """A word where the cells see only a part of the picture; "" where they see nearly all of it."""
        return part_note(self.seen, self.size)

    @unlocked_property
    def _weights(self) -> tuple[Array, Array]:
        pairs = zip((self.rows, self.columns), self.size, strict=True)
        return tuple(_interpolation(middles, length) for middles, length in pairs)  # type: ignore[return-value]


def scaled(box: Sequence[int], fed: Sequence[int], given: Sequence[int]) -> Edges:
    """A box in the picture as it was given, from that in the picture as the network gets it."""
    top, left, bottom, right = box
    return (
        top * given[0] // fed[0],
        left * given[1] // fed[1],
        -(-bottom * given[0] // fed[0]),
        -(-right * given[1] // fed[1]),
    )


def part_note(seen: Edges, size: tuple[int, int]) -> str:
    """Which part of a picture is seen, for a note; "" where it is nearly all."""
    top, left, bottom, right = seen
    (height, width), (high, wide) = size, (bottom - top, right - left)
    if high <= 0 or wide <= 0:
        return "no part of the picture: nothing here sees a pixel"
    if high >= PART * height and wide >= PART * width:
        return ""
    return (
        f"part of the picture: only rows {top} to {bottom - 1} and columns {left} to {right - 1} of "
        f"{height} x {width} pixels are seen here; the map is 0 elsewhere"
    )


def _product(left: Array, right: Array) -> Array:  # [..., m, k], [..., k, n] -> [..., m, n]
    """The matrix product `left @ right`, a few rows at a time, so that one thread computes it."""
    rows = max(1, ALONE // (right.shape[-2] * right.shape[-1]))
    parts = [left[..., start : start + rows, :] @ right for start in range(0, left.shape[-2], rows)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, -2)


def _even(count: int, length: int) -> Array:
    """The middles of equal parts."""
    return (np.arange(count) + 0.5) * length / count - 0.5


def _interpolation(middles: Array, length: int) -> Array:  # [cells] -> [length, cells]
    """How much of each cell a pixel shows: tents as wide as the distance of cells, or as a pixel if that is more."""
    known = np.flatnonzero(np.isfinite(middles))
    weights = np.zeros((length, len(middles)), np.float32)
    if not len(known):
        return weights
    order = known[np.argsort(middles[known], kind="stable")]
    ordered, count = middles[order], len(order)
    cell = np.interp(np.arange(length), ordered, np.arange(count))  # where each pixel lies among the cells
    spread = max(1.0, (count - 1) / max(ordered[-1] - ordered[0], 1e-6)) if count > 1 else 1.0
    tents = np.maximum(0, 1 - np.abs(np.arange(count) - cell[:, None]) / spread)  # [length, count]
    weights[:, order] = tents / tents.sum(1, keepdims=True)
    return weights


def _own_pixels(middles: Array, length: int) -> Array:  # [cells] -> [cells, length]
    """The share that each pixel has in a cell, whose own part ends halfway to the next one."""
    shares = np.zeros((len(middles), length), np.float32)
    known = np.flatnonzero(np.isfinite(middles))
    order = known[np.argsort(middles[known], kind="stable")]
    if not len(order):
        return shares
    ordered = middles[order] + 0.5  # the first pixel lies between 0 and 1
    between = (ordered[1:] + ordered[:-1]) / 2
    steps = np.diff(ordered) if len(ordered) > 1 else np.array([float(length)])
    edges = np.concatenate([[ordered[0] - steps[0] / 2], between, [ordered[-1] + steps[-1] / 2]])
    pixels = np.arange(length)
    ends, starts = np.minimum(edges[1:, None], pixels + 1), np.maximum(edges[:-1, None], pixels)
    overlap = np.where(ends - starts > 1e-6, ends - starts, 0)  # [cells, length]
    shares[order] = overlap / np.maximum(overlap.sum(1, keepdims=True), 1e-6)
    return shares
