"""Feature maps, and the units with the strongest activations for a picture."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.errors import BadModel, BadPicture, BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, choice, is_list, whole_number
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.locations import locate, seen_input
from cnnwidgets.model.layers import convolutions
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import Settings
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.own_memory import arrays_of, is_own

FLAT = 1e-6  # of the largest value: less is the rounding of one and the same number


class UnitValue(NamedTuple):
    """A unit and what it answers."""

    unit: int
    value: float


def feature_maps(
    net: Network | Any,
    picture: object,
    layers: str | Iterable[str] | None = None,
    *,
    call: int = 0,
    size: Size | None = None,
) -> dict[str, Array]:
    """What the units of layers answer to a picture, at each place: all layers in one pass.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layers: paths, an unambiguous last part is enough; all convolutions if not given.
        call: which call of a shared layer. Without `layers`, those convolutions that have it.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which the
            picture fits, or "picture" for the picture's own, up to 1,024 px.

    Returns:
        For each full path float32 [h, w, units], whatever the model's own order of axes; [units] for a layer without
        rows and columns.

    Raises:
        BadPicture: for what is not a picture, or is too small for the network.
        BadTarget: for a layer or call that does not exist.
        BadModel: for a layer whose output holds NaN or infinity.

    Example:
        >>> feature_maps(net, "cat.jpg", ["conv1"])["conv1"].shape
        (75, 112, 64)
    """
    return MapsSettings.given(locals()).check(net, picture).maps()


@dataclass(frozen=True, eq=False)
class MapsSettings(Settings):
    """The settings of `feature_maps`."""

    layers: str | Iterable[str] | None = None
    call: int = 0
    size: Size | None = None

    def check(self, net: Network | Any, picture: object) -> MapsPlan:
        """Check a request for feature maps.

        Raises:
            BadTarget, BadPicture: what `feature_maps` raises before any computing.
        """
        net = as_network(net)
        paths = _paths(net, self.layers, self.call)
        return MapsPlan(self, net, paths, net.arrays(picture, self.size))


@dataclass(frozen=True, eq=False)
class MapsPlan:
    """A checked request for feature maps."""

    settings: MapsSettings
    net: Network
    paths: tuple[str, ...]
    arrays: Sequence[Array]

    def maps(self) -> dict[str, Array]:
        """The maps of each layer, all in one pass."""
        return dict(zip(self.paths, answers(self.net, self.paths, self.settings.call, self.arrays), strict=True))


def _paths(net: Network, layers: str | Iterable[str] | None, call: int) -> tuple[str, ...]:
    if layers is None:
        whole_number("call", call)
        found = tuple(convolutions(net, call))
        if not found:
            second = f" with a call {call}" if call else ""
            raise BadTarget(f"The network {quoted(net.name)} has no convolution{second}. Name its layers.")
        return found
    named = list(layers) if is_list(layers) or isinstance(layers, Mapping) else [layers]
    infos = [net.layer(layer) for layer in named]
    for info in infos:
        check_call(info, call)
    paths = tuple(dict.fromkeys(info.path for info in infos))
    if not paths:
        raise BadTarget("layers must name at least one layer, got none. Leave it out for all convolutions.")
    return paths


def answers(net: Network, paths: tuple[str, ...], call: int, arrays: Sequence[Array]) -> list[Array]:
    """What layers answer in one run of the network; pictures of another size need no new graph.

    Returns:
        float32 [h, w, units] or [units] for each path.
    """
    feed = [tf.constant(array) for array in arrays]
    net.check_room(feed)

    graph, are_own = net.traces.get(functools.partial(_maps_graph, net, paths, call))
    maps, sums = graph(feed)
    every = zip(paths, arrays_of(maps, are_own), strict=True)
    found = [_in_rows(net, path, call, answer[0], arrays) for path, answer in every]
    for path, answer, total in zip(paths, found, sums.numpy(), strict=True):
        if not (np.isfinite(total) or np.isfinite(answer).all()):  # a sum may overflow
            raise BadModel(f"The output of the layer {quoted(path)} holds NaN or infinity. {net.why_not_finite()}")
        if not total and net.spoiled_weights():  # the fast ReLU of some devices makes 0 of NaN
            raise BadModel(f"The output of the layer {quoted(path)} is zero everywhere. {net.why_not_finite()}")
    return found


def _maps_graph(net: Network, paths: tuple[str, ...], call: int) -> tuple[Any, list[bool]]:
    """The pass, and for each layer whether its output can be given away without a copy."""
    are_own: list[bool] = []

    def run(feed: list[Any]) -> tuple[list[Any], Any]:
        with net.record(paths, until=[(path, call) for path in paths]) as recording:
            net.call(feed)
        maps = [recording.activation(path, call) for path in paths]
        are_own[:] = [is_own(one, feed) for one in maps]
        return maps, tf.stack([tf.reduce_sum(tf.abs(one)) for one in maps])  # here, where it costs least

    return compiled(run).get_concrete_function([tf.TensorSpec(shape) for shape in shapes(net)]), are_own


def _in_rows(net: Network, path: str, call: int, answer: Array, arrays: Sequence[Array]) -> Array:
    """Tokens [T, C] as rows and columns [h, w, C] where they look at the picture so."""
    if answer.ndim != 2:
        return answer
    which = seen_input(net, path)
    height, width = arrays[which].shape[1:3]
    location = locate(net, path, call, which, (height, width))
    return answer[list(location.tokens)].reshape(*location.cells, -1) if location.tokens else answer


def _is_finite(values: Array) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())  # a sum is faster, but may overflow


def shapes(net: Network) -> list[tuple[int | None, ...]]:
    """The shapes of what `net.arrays` gives, `None` where the network takes any size."""
    return [(1, *info.fed_shape) for info in net.inputs]


def display_maps(maps: Array, how: str = "books") -> Array:
    """Feature maps as gray pictures, each channel normalized separately.

    Args:
        maps: [h, w, units], finite.
        how: "books": (x - mean) / std * 64 + 128, cut off at 0 and 255 (Chollet, "Deep Learning with Python"): maps of
            different strength look alike, and a few strong places don't darken the rest. "range": lowest value
            black, highest white.

    Returns:
        uint8 [units, h, w]. A map that is the same everywhere is plain gray, and black where that is 0: the unit is
        silent.

    Raises:
        BadPicture: for arrays that are not feature maps.
        BadTarget: for another way.

    Example:
        >>> mosaic(display_maps(maps["conv1"]))
    """
    choice("how", how, ("books", "range"))
    maps = np.asarray(maps, np.float32)
    if maps.ndim != 3 or not maps.size or not _is_finite(maps):
        raise BadPicture(f"maps must be finite numbers [h, w, units], got an array of shape {list(maps.shape)}.")
    planes = np.array(maps.reshape(-1, maps.shape[2]).T, order="C")  # [h, w, units] -> [units, h * w], a copy
    low, high = planes.min(1), planes.max(1)
    flat = high - low <= FLAT * np.maximum(abs(low), abs(high))  # [units]
    planes -= (planes.mean(1) if how == "books" else low)[:, None]
    spread = np.sqrt(np.einsum("ij,ij->i", planes, planes) / planes.shape[1]) if how == "books" else high - low
    planes *= ((64 if how == "books" else 255) / np.where(flat, 1, spread))[:, None]
    planes += 128 if how == "books" else 0.5  # the books cut fractions off; a half more rounds
    planes[flat] = np.where(high == 0, 0, 128)[flat, None]
    return np.clip(planes, 0, 255, out=planes).astype(np.uint8).reshape(-1, *maps.shape[:2])


def silent_share(maps: Array) -> float:
    """The share of units that answer nowhere, 0..1; deep layers are usually sparser.

    Args:
        maps: [h, w, units] or [units], after the activation function.
    """
    return float(np.mean(_by_unit(maps, "max") <= 0))


def _by_unit(maps: Array, by: str) -> Array:  # [..., units] -> [units]
    rows = maps.reshape(-1, maps.shape[-1])
    return np.asarray(rows.max(0) if by == "max" else rows.mean(0))


def top_units(
    net: Network | Any,
    picture: object,
    layer: str,
    count: int = 10,
    *,
    by: str = "max",
    call: int = 0,
    size: Size | None = None,
) -> list[UnitValue]:
    """The units of a layer that answer most to a picture, best first.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes; for a model of several inputs a list or dict of them.
        layer: a path; an unambiguous last part is enough.
        count: how many, at most.
        by: "max", the strongest place of the unit's map; or "mean", the whole map.
        call: which call of a shared layer.
        size: as in `feature_maps`.

    Raises:
        BadPicture: for what is not a picture, or is too small for the network.
        BadTarget: for a layer, call, count or measure that does not exist.
    """
    choice("by", by, ("max", "mean"))
    count = whole_number("count", count, 1)
    (maps,) = feature_maps(net, picture, [layer], call=call, size=size).values()
    values = _by_unit(maps, by)
    return [UnitValue(int(unit), float(values[unit])) for unit in np.argsort(-values, kind="stable")[:count]]
