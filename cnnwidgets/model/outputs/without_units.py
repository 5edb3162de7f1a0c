"""A network with some units of its layers set to zero, for one prediction; the model itself is not changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import check_call, check_unit, is_list
from cnnwidgets.model.backend import keras, tf

if TYPE_CHECKING:
    from cnnwidgets.model.network import Network

Without = Mapping[str, "int | Iterable[int]"]  # {path: units}
Kept = dict[str, Array]  # by full path: [units] bool, False for a unit that is set to zero


def kept_units(net: Network, without: Without | None) -> Kept:
    """Which units of each named layer are kept."""
    if without is None:
        return {}
    if not isinstance(without, Mapping):
        raise BadTarget(f'without must be a dict of units by layer, such as {{"conv1": [3]}}, got {quoted(without)}.')
    kept: Kept = {}
    for path, units in without.items():
        info = net.layer(path)
        check_call(info, 0)
        off = [check_unit(info, unit) for unit in (units if is_list(units) else [units])]
        mask = kept.setdefault(info.path, np.ones(info.units, bool))
        mask[off] = False
    return kept


def forward_without(net: Network, paths: Sequence[str]) -> Callable[..., Any]:
    """`f(feed, kept)`: the outputs, with units of these layers set to zero in every call; `kept` is a mask for each."""
    calls = [(path, call) for path in paths for call in range(net.layer(path).calls)]

    def run(feed: Any, kept: Any) -> Any:
        masks = dict(zip(paths, kept, strict=True))
        changes = {(path, call): masking(net, path, masks[path]) for path, call in calls}
        with net.record(paths, instead=changes):
            return net.call(feed)

    return run


def masking(net: Network, path: str, kept: Any) -> Callable[[Any], Any]:
    """A change of a layer's output, for `record(instead=...)`, that sets the units that are not kept to zero."""

    def change(output: Any) -> Any:
        leaves = keras.tree.flatten(output)
        first = leaves[0]
        is_first = net.layer(path).channel_axis == 1 and first.shape.rank == 4
        mask = kept[:, None, None] if is_first else kept
        leaves[0] = tf.where(mask, first, tf.zeros_like(first))
        return keras.tree.pack_sequence_as(output, leaves)

    return change
