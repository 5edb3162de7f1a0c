"""The sizes of a dream: those that a network can take, and how it runs on each."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cnnwidgets.errors import BadPicture
from cnnwidgets.model.backend import tf
from cnnwidgets.model.graph import SMALL, enough_room
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import SMALLEST_SIDE, Canvas
from cnnwidgets.model.tracing.compiled import from_shapes
from cnnwidgets.visualize.photographs.tiled_gradient import Windows

TILE = 512
WHOLE = 2**20  # pixels: a larger picture is read tile by tile

Size = tuple[int, int]  # height, width


@dataclass(frozen=True)
class Octave:
    """One size of a dream.

    Attributes:
        size: (height, width) in pixels.
        windows: how the picture is read, where it is not read at once.
    """

    size: Size
    windows: Windows | None = None


def octaves_of(
    net: Network, paths: Sequence[str], canvas: Canvas, whole: Size, many: int, scale: float, tile: int | None
) -> tuple[tuple[Octave, ...], tuple[str, ...]]:
    """The octaves of a picture, smallest first, and what the reader should know of them.

    Args:
        net: the network.
        paths: the layers that are maximized.
        canvas: the input that is changed, and what the others get.
        whole: the picture's own size.
        many: how many octaves are wanted.
        scale: how many times larger each is than the one before.
        tile: the side of the tiles by which the picture is read, if that was asked for.
    """
    info = net.inputs[canvas.which]
    sizes = [_shrunk(whole, scale**k) for k in reversed(range(many))]
    kept = [size for size in sizes if _fits(net, paths, canvas, whole, size)]
    if whole not in kept:
        raise BadPicture(
            f"A picture of {whole[0]} x {whole[1]} pixels is too small for DeepDream on {', '.join(paths)}: no "
            "rows or columns are left there. Give a larger picture or name an earlier layer."
        )
    octaves = tuple(Octave(size, _windows(info, size, tile)) for size in kept)
    return octaves, tuple(_notes(sizes, octaves))


def _fits(net: Network, paths: Sequence[str], canvas: Canvas, whole: Size, size: Size) -> bool:
    """Whether something is left of a picture of this size at each of the layers, found by shapes alone."""
    info = net.inputs[canvas.which]
    if min(size) < SMALLEST_SIDE:
        return False
    if min(size) >= SMALL or None not in info.size:
        return True

    shapes = {i: tuple(tensor.shape) for i, tensor in held_along(net, canvas, whole, size).items()}
    return bool(net.traces.get(functools.partial(_has_room, net, tuple(paths), canvas.which, size, shapes)))


def _has_room(net: Network, paths: Sequence[str], which: int, size: Size, shapes: dict[int, tuple[int, ...]]) -> bool:
    """The body of `_fits`; `shapes` are those of the other inputs."""

    def run() -> bool:
        held = {i: tf.zeros(shape) for i, shape in shapes.items()}
        may_stop = contextlib.suppress(BadPicture)  # what lies behind the layers may have no room; it is not needed
        info = net.inputs[which]
        with net.record(paths) as recording, may_stop, enough_room(*size, BadPicture):
            net.call(net.feed(tf.zeros([1, *info.full_size(*size), info.channels]), which, held))
        return all(path in recording.calls and 0 not in recording.calls[path][0].shape for path in paths)

    return from_shapes(run)


def held_along(net: Network, canvas: Canvas, whole: Size, size: Size) -> dict[int, Any]:
    """What the other inputs get: pictures shrink along with the one that dreams, where the network takes any size."""

    def shrunk(info: InputInfo, tensor: Any) -> Any:
        if not info.is_picture:
            return tensor
        sides = (max(1, round(n * now / full)) for n, now, full in zip(tensor.shape[1:3], size, whole, strict=True))
        return resized(tensor, info.full_size(*sides))

    return {index: shrunk(net.inputs[index], tensor) for index, tensor in canvas.held.items()}


def _windows(info: InputInfo, size: Size, side: int | None) -> Windows | None:
    """How a picture of this size is read."""
    rows, columns = info.size
    if rows or columns:
        exact = rows or columns or 0, columns or rows or 0
        return None if exact == size else Windows(*exact, exact=True)
    if side is None:
        return Windows(TILE, TILE) if size[0] * size[1] > WHOLE else None
    return Windows(side, side) if max(size) > side else None


def _notes(sizes: Sequence[Size], octaves: Sequence[Octave]) -> Iterator[str]:
    dropped = len(sizes) - len(octaves)
    if dropped:
        height, width = sizes[dropped - 1]
        yield f"{dropped} of {len(sizes)} octaves dropped: {height} x {width} pixels are too few for this network."
    tiled = next((octave.windows for octave in reversed(octaves) if octave.windows), None)
    if tiled:
        why = "the network takes no other size" if tiled.exact else "to save memory"
        yield f"Read in tiles of {tiled.height} x {tiled.width} pixels: {why}."


def _shrunk(size: Size, factor: float) -> Size:
    return max(1, round(size[0] / factor)), max(1, round(size[1] / factor))


def resized(pictures: Any, size: Size) -> Any:
    """Pictures [N, H, W, C] at another size, bicubic."""
    return tf.image.resize(pictures, size, "bicubic", antialias=True)
