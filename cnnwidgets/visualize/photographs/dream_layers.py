"""The layers that a dream maximizes: with weights, named one by one or by a preset.

Presets are measured for the bundled networks, and taken by relative depth in any other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.arguments import number
from cnnwidgets.model.layers import convolutions
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.optimizers import Rate

STEP_SIZE = 0.02  # in units of 0..1

Layers = str | Sequence[str] | Mapping[str, Rate] | None


class DreamLayers(NamedTuple):
    """The weight of each layer, by full path, and how far a step goes, in units of 0..1."""

    weights: Mapping[str, Rate]
    step_size: float = STEP_SIZE


BUNDLED: Mapping[str, Mapping[str, DreamLayers]] = {
    "squeezenet": {
        "edges": DreamLayers({"fire3_concat": 1.0}, 0.006),  # early layers move many pixels at once: colors burn
        "brush": DreamLayers({"fire4_concat": 1.0}, 0.012),
        "eyes": DreamLayers({"fire6_concat": 1.0}),
        "animals": DreamLayers({"fire9_concat": 1.0}),
        "fur": DreamLayers({"fire8_concat": 1.0}),
    },
    "efficientnet_lite0": {
        "edges": DreamLayers({"block2_add": 1.0}, 0.01),
        "brush": DreamLayers({"block4_add": 1.0}, 0.015),
        "eyes": DreamLayers({"block9_expand_bn": 1.0}),
        "animals": DreamLayers({"block10_add": 1.0}),
        "fur": DreamLayers({"block12_add": 1.0, "block14_add": 1.0}),
    },
}
DEPTHS = {"edges": 0.15, "brush": 0.3, "eyes": 0.6, "animals": 0.7, "fur": 0.85}
OTHER_NAMES = {"ripples": "brush"}
PRESETS = (*DEPTHS, *OTHER_NAMES)


def dream_layers(net: Network, layers: Layers) -> DreamLayers:
    """What a user's `layers` means.

    Args:
        net: the network.
        layers: a path, several, or {path: weight}; a preset's name; the preset "animals" for `None`. A weight is a
            number or a function that is called before each step.
    """
    if layers is None or (isinstance(layers, str) and layers in PRESETS and layers not in net.layers_by_path):
        return preset(net, layers or "animals")
    given: list[tuple[str, Rate]] = []
    if isinstance(layers, str):
        given = [(layers, 1.0)]
    elif isinstance(layers, Mapping):
        given = list(layers.items())
    elif isinstance(layers, Sequence):
        given = [(path, 1.0) for path in layers]
    if not given:
        raise BadTarget(
            "layers must be a path, several, a dict {path: weight}, or one of the presets "
            f"{', '.join(PRESETS)}, got {quoted(layers)}."
        )
    return DreamLayers({_path(net, path): _weight(path, weight) for path, weight in given})


def preset(net: Network, name: str) -> DreamLayers:
    """The layers of a preset; of a network that is not bundled the convolution nearest to the preset's depth."""
    name = OTHER_NAMES.get(name, name)
    known = BUNDLED.get(net.name, {}).get(name)
    if known and all(path in net.layers_by_path for path in known.weights):
        return known
    every = convolutions(net)
    if not every:
        raise BadTarget(f"The network {quoted(net.name)} has no convolution for DeepDream. Name a layer: layers='...'.")
    return DreamLayers({every[round(DEPTHS[name] * (len(every) - 1))]: 1.0})


def _path(net: Network, path: object) -> str:
    try:
        return net.layer(path).path
    except BadTarget as error:
        if "/" in str(path) or any(str(path) == full.rpartition("/")[2] for full in net.layers_by_path):
            raise  # ambiguous, or a path that is nearly right: the presets do not help
        near = nearest(path, net.layers_by_path)
        raise BadTarget(
            f"There is no layer or preset {quoted(path)}. Choose a layer ({near}) or a preset ({', '.join(PRESETS)})."
        ) from error


def _weight(path: str, weight: object) -> Rate:
    if callable(weight):
        return weight
    return number(f"The weight of {path}", weight, -math.inf)
