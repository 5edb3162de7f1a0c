"""Whether a picture reaches a unit on the same path as photographs do, layer by layer (arXiv:2306.04719)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import answers, shapes
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit, pictures_in
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.dependence import Box, follow
from cnnwidgets.model.layer_graph import Call, layer_graph
from cnnwidgets.model.layers import convolutions
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.sizes.picture_size import Size

STRONGEST = 5  # photographs that a picture is compared with
FEWEST_UNITS = 3  # of a layer whose order means something


@dataclass(frozen=True, eq=False)
class PathSimilarity:
    """How much alike the units before a unit respond to a picture and to the photographs that excite it most.

    Attributes:
        layers: paths of the convolutions that lead to the unit, in the order of the run.
        picture: [layers] -1..1, the rank correlation of their units between the picture and the photographs, its mean.
        photographs: [layers] -1..1, the same among the photographs: what a picture can hope for.
        count: how many photographs these are.
    """

    layers: tuple[str, ...]
    picture: Array
    photographs: Array
    count: int

    @property
    def similarity(self) -> float:
        return float(self.picture.mean())

    @property
    def reference(self) -> float:
        return float(self.photographs.mean())


def path_similarity(
    net: Network | Any, layer: str, unit: int, picture: object, photographs: Iterable[object], *, call: int = 0
) -> Iterator[PathSimilarity]:
    """Whether a picture made for a unit excites the same units on the way to it as photographs do (arXiv:2306.04719).

    In each picture only what the unit's strongest position sees counts: the units of each convolution before it are
    ordered by their mean there. Two pictures whose orders agree (Spearman's rank correlation near 1) reach the unit on
    the same path. An optimized picture far below the photographs' own agreement reaches it on another one, and says
    less about what the unit does in photographs.

    Args:
        net: a Network or a bare Keras model, of one input.
        layer: a path; an unambiguous last part is enough.
        unit: its index.
        picture: [H, W, C], 0..1, seen at its own size.
        photographs: many of what `load_picture` takes; the five that excite the unit most are compared.
        call: which call of a shared layer.

    Yields:
        What is known so far, after each photograph from the second on that excites the unit.

    Raises:
        BadTarget: for a layer, unit or call that does not exist, a network of several inputs, or a unit with no
            convolution before it.
        BadPicture: for something that is not a picture.
    """
    net = as_network(net)
    info = net.layer(layer)
    way = _Way(net, (info.path, check_call(info, call)), check_unit(info, unit))
    own = way.orders(picture, None if net.inputs[0].is_fixed else "picture")
    if own is None:
        return
    best: list[tuple[float, Mapping[Call, Array]]] = []
    for photograph in pictures_in(photographs):
        found = way.orders(photograph)
        if found is not None:
            best = sorted([*best, found], key=lambda one: -one[0])[:STRONGEST]
            if len(best) > 1 and (result := _compared(way.before, own[1], [orders for _, orders in best])):
                yield result


class _Way:
    """The convolutions that lead to a unit."""

    def __init__(self, net: Network, at: Call, unit: int) -> None:
        if len(net.inputs) != 1:
            raise BadTarget(f"{quoted(net.name)} has several inputs. Give a network of one input.")
        self.net, self.at, self.unit = net, at, unit
        units = {info.path: info.units for info in net.layers}
        found = [one for one in _ancestors(net, at) if one[0] in convolutions(net, one[1])]
        self.before = tuple(one for one in found if units[one[0]] >= FEWEST_UNITS)
        if not self.before:
            raise BadTarget(f"No convolution leads to {quoted(at[0])}. Choose a later layer.")

    def orders(self, picture: object, size: Size | None = None) -> tuple[float, Mapping[Call, Array]] | None:
        """The highest response, and the ranks of the units of each layer there; `None` where it is flat."""
        arrays = self.net.arrays(picture, size)
        maps: dict[Call, Array] = {}
        for call in sorted({call for _, call in (*self.before, self.at)}):
            paths = tuple(path for path, its in (*self.before, self.at) if its == call)
            found = answers(self.net, paths, call, arrays)
            maps |= {(path, call): one for path, one in zip(paths, found, strict=True)}
        own = maps[self.at][..., self.unit]
        if own.size > 1 and own.min() == own.max():
            return None
        box = self._seen(own, arrays)
        parts = {one: _part(maps[one], box, arrays[0].shape[1:3]) for one in self.before}
        return float(own.max()), {one: _ranks(part.mean((0, 1))) for one, part in parts.items()}

    def _seen(self, own: Array, arrays: Sequence[Array]) -> Box:
        """What the strongest position sees; the whole picture for a unit without positions."""
        height, width = arrays[0].shape[1:3]
        if own.ndim != 2:
            return 0, 0, height, width
        place = np.unravel_index(own.argmax(), own.shape)
        follow_back, _ = follow(self.net, *self.at, shapes(self.net))
        found, _ = follow_back([tf.constant(array) for array in arrays], tf.constant((*place, self.unit), tf.int32))
        top, left, bottom, right = (int(edge) for edge in found)
        return (top, left, bottom, right) if bottom > top and right > left else (0, 0, height, width)


def _ancestors(net: Network, at: Call) -> list[Call]:
    """Every call that leads to a call, in the order of the run."""
    steps = layer_graph(net).steps
    found: set[Call] = set()
    waiting = [at]
    while waiting:
        step = steps.get(waiting.pop())
        new = {source for source in step.sources if source not in found} if step is not None else set()
        found |= new
        waiting += new
    return [call for call in steps if call in found and call != at]


def _part(maps: Array, box: Box, size: tuple[int, int]) -> Array:
    """The cells of a map [h, w, k] that lie in a box of the picture, at least one."""
    rows, columns = (
        slice(min(first * n // length, n - 1), max(-(-last * n // length), 1))
        for first, last, n, length in zip(box[:2], box[2:], maps.shape, size, strict=False)
    )
    return maps[rows, columns]


def _ranks(values: Array) -> Array:
    """[k] ranks, the mean one for equal values."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = counts.cumsum()
    return np.asarray((last - (counts - 1) / 2)[places], np.float64)


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's rank correlation of two [k], -1..1; NaN where one of them is constant."""
    return _correlation(_ranks(first), _ranks(second))


def _correlation(first: Array, second: Array) -> float:
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float(first @ second) / size if size else float("nan")


def _compared(
    layers: tuple[Call, ...], own: Mapping[Call, Array], others: list[Mapping[Call, Array]]
) -> PathSimilarity | None:
    """The mean correlations of each layer; layers in which a picture excites nothing are left out."""
    rows = []
    for layer in layers:
        with_own = [_correlation(own[layer], other[layer]) for other in others]
        among = [_correlation(a[layer], b[layer]) for a, b in itertools.combinations(others, 2)]
        if np.isfinite([*with_own, *among]).all():
            rows.append((layer[0], np.mean(with_own), np.mean(among)))
    if not rows:
        return None
    paths, picture, photographs = zip(*rows, strict=True)
    return PathSimilarity(tuple(paths), np.array(picture, np.float32), np.array(photographs, np.float32), len(others))
