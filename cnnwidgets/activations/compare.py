"""How far the responses of a layer's units moved between two networks."""

from __future__ import annotations

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
        layer: a path that both have; an unambiguous last part is enough.
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
    networks = {"before": as_network(before), "after": as_network(after)}
    infos = {name: _layer_of(net, name, layer, call) for name, net in networks.items()}
    if infos["before"].units != infos["after"].units:
        raise BadTarget(
            f"The layer {quoted(layer)} has {infos['before'].units} units before and {infos['after'].units} after. "
            "Choose a layer of as many in both."
        )
    moments = Moments()
    for picture in pictures_in(pictures):
        one, other = (
            feature_maps(net, picture, [infos[name].path], call=call)[infos[name].path]
            for name, net in networks.items()
        )
        if one.shape != other.shape:
            raise BadTarget(
                f"The feature maps of {quoted(layer)} are {list(one.shape)} before and {list(other.shape)} after. "
                "Give both networks the same size, or choose a layer where they agree."
            )
        moments.add(one.reshape(-1, one.shape[-1]), other.reshape(-1, other.shape[-1]))
    return moments.distances()


def _layer_of(net: Network, name: str, layer: str, call: int) -> LayerInfo:
    try:
        info = net.layer(layer)
    except BadTarget as error:
        raise BadTarget(f"The network {name} ({quoted(net.name)}): {error}") from error
    check_call(info, call)
    return info


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
