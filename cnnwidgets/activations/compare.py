"""How far the responses of a layer's units moved between two networks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnwidgets.activations.feature_maps import feature_maps
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, pictures_in
from cnnwidgets.model.layers import LayerInfo
from cnnwidgets.model.network import Network, as_network

CONSTANT = 1e-6  # of a unit's largest response: a smaller spread is the rounding of one and the same number


def compare_units(before: Network | Any, after: Network | Any, layer: str, pictures: object, *, call: int = 0) -> Array:
    """How far each unit's responses moved: 1 less the Pearson correlation over all positions of all pictures.

    0: the unit responds where it did before, up to a factor and an offset. 1: its responses have nothing in common with
    those before. 2: it responds exactly where it did not. A unit that is constant in both networks, such as a dead one,
    did not move: 0. One that is constant in a single network was lost or gained: 1.

    Args:
        before: a Network or a bare Keras model.
        after: another one, or the same with other weights; layers are matched by path.
        layer: a path that both have; an unambiguous last part is enough. Where one network is inside the other, its
            "conv1" is the other's "backbone/conv1".
        pictures: a list of what `load_picture` takes (for models of several inputs of lists or dicts of them), or an
            array [N, H, W, C].
        call: which call of a shared layer.

    Returns:
        float32 [units], 0..2.

    Raises:
        BadTarget: for a layer or call that one of the networks does not have, or that differs in units or size.
        BadPicture: for what is not a list of pictures.
        BadModel: for a layer that outputs NaN or infinity.

    Example:
        >>> moved = compare_units(base, fine_tuned, "conv2", pictures)
        >>> moved.argsort()[::-1][:8]  # the eight units that moved most
    """
    networks = as_network(before), as_network(after)
    paths = _paths(networks, layer, call)
    moments = Moments()
    for picture in pictures_in(pictures):
        moments.add(*responses(networks, paths, picture, call))
    return moments.distances()


def responses(networks: tuple[Network, Network], paths: tuple[str, str], picture: object, call: int = 0) -> list[Array]:
    """The responses [positions, units] of both networks to one picture."""
    one, other = (
        feature_maps(net, picture, [path], call=call)[path] for net, path in zip(networks, paths, strict=True)
    )
    if one.shape != other.shape:
        raise BadTarget(
            f"The feature maps of {quoted(paths[0])} are {list(one.shape)} before and {list(other.shape)} after. "
            "Give both networks the same size, or choose a layer where they agree."
        )
    return [one.reshape(-1, one.shape[-1]), other.reshape(-1, other.shape[-1])]


def _paths(networks: tuple[Network, Network], layer: str, call: int) -> tuple[str, str]:
    """The path of a layer in both networks."""
    before, after = networks
    found = matched(before, after)
    try:
        path = before.layer(layer).path
    except BadTarget:
        backwards = {other: path for path, other in found.items()}
        other = _info(after, layer, "after").path
        path = backwards.get(other) or _info(before, layer, "before").path
    infos = before.layer(path), after.layer(found[path]) if path in found else _info(after, path, "after")
    for info in infos:
        check_call(info, call)
    if infos[0].units != infos[1].units:
        raise BadTarget(
            f"The layer {quoted(layer)} has {infos[0].units} units before and {infos[1].units} after. "
            "Choose a layer of as many in both."
        )
    return infos[0].path, infos[1].path


def matched(before: Network, after: Network) -> dict[str, str]:
    """The layers of one network, by path, with their partners in the other.

    The same path; or the same with the name of a backbone before it; or what is left of those whose names differ by
    the numbers alone that Keras counts, in their order: "conv2d_3" and "conv2d_7" are the first convolution of either.
    """
    ours, theirs = list(before.layers_by_path), list(after.layers_by_path)
    found: dict[str, str] = {}

    def match(alike: Callable[[str, str], bool]) -> None:
        for path in ours:
            left = [other for other in theirs if other not in taken and alike(path, other)]
            is_sure = len(left) == 1 or _without_counts(path) in map(_without_counts, left[:1])
            if path not in found and left and is_sure:
                found[path] = left[0]
                taken.add(left[0])

    taken: set[str] = set()
    match(lambda path, other: path == other)
    match(_one_inside)
    match(lambda path, other: _without_counts(path) == _without_counts(other))
    match(lambda path, other: _one_inside(_without_counts(path), _without_counts(other)))
    return found


def _one_inside(path: str, other: str) -> bool:
    return path.endswith("/" + other) or other.endswith("/" + path)


def _without_counts(path: str) -> str:
    """A path without the numbers that Keras counts through a session."""
    return re.sub(r"_\d+(?=/|$)", "", path)


def partners(before: Network, after: Network) -> tuple[dict[str, str], tuple[str, ...], tuple[str, ...]]:
    """Layers with units by path, each with its partner in the other network, and those of either without one.

    Returns:
        (path before -> path after, paths only before, paths only after); a layer of another number of units has none.
    """
    every, units = matched(before, after), {info.path: info.units for info in _with_units(after)}
    ours = _with_units(before)
    found = {info.path: every[info.path] for info in ours if units.get(every.get(info.path, "")) == info.units}
    only_before = tuple(info.path for info in ours if info.path not in found)
    return found, only_before, tuple(path for path in units if path not in found.values())


def _with_units(net: Network) -> list[LayerInfo]:
    return [info for info in net.layers if info.units and info.calls and info.kind not in ("input", "model")]


def _info(net: Network, layer: str, name: str) -> LayerInfo:
    try:
        return net.layer(layer)
    except BadTarget as error:
        raise BadTarget(f"The network {name} ({quoted(net.name)}): {error}") from error


class Moments:
    """Means, variances and the covariance of the responses of two networks, updated picture by picture."""

    def __init__(self) -> None:
        self._count = 0
        self._means: Array = np.zeros(())
        self._products: Array = np.zeros(())  # sums of products of deviations: of one, of the other, of both
        self._largest: Array = np.zeros(())

    def add(self, one: Array, other: Array) -> None:
        """Add responses [positions, units] of both (Chan et al., updating formulas for variances)."""
        pair = np.stack([one, other]).astype(np.float64)  # [2, positions, units]
        count, means = pair.shape[1], pair.mean(1)
        apart = pair - means[:, None]
        products = np.stack([(a * b).sum(0) for a, b in (apart[[0, 0]], apart[[1, 1]], apart)])
        shift = means - self._means
        between = np.stack([shift[0] * shift[0], shift[1] * shift[1], shift[0] * shift[1]])
        total = self._count + count
        self._products = self._products + products + between * (self._count * count / total)
        self._means = self._means + shift * (count / total)
        self._largest = np.maximum(self._largest, np.abs(pair).max(1))
        self._count = total

    def distances(self) -> Array:
        """1 less the correlation of each unit, float32 [units]."""
        spread = np.sqrt(self._products[:2] / self._count)
        varies = spread > CONSTANT * self._largest
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = 1 - self._products[2] / np.sqrt(self._products[0] * self._products[1])
        moved = np.where(varies.all(0), np.clip(moved, 0, 2), varies.any(0).astype(np.float64))
        return moved.astype(np.float32)
