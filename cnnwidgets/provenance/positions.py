"""Layers and outputs by their places in the network, beside their names: Keras counts automatic names in a session.

The same network may have "conv2d" and "conv2d_1" in one session and "conv2d_1" and "conv2d_2" in the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.network import Network

LAYERS, OUTPUT = "positions", "output_position"


def with_positions(settings: Mapping[str, Any], net: Network) -> dict[str, Any]:
    """Settings with the place in `net.layers` of each layer that they name, and that of an output given by name."""
    paths = list(net.layers_by_path)
    found = dict(settings)
    if named := [path for path in _named(settings) if path in net.layers_by_path]:
        found[LAYERS] = {path: paths.index(path) for path in named}
    names = [info.name for info in net.outputs]
    output = settings.get("output")
    if isinstance(output, str) and names.count(output) == 1:
        found[OUTPUT] = names.index(output)
    return found


def renamed(settings: Mapping[str, Any], net: Network) -> dict[str, Any]:
    """Settings of the same network under other names of its layers; those without places stay as they are."""
    paths = list(net.layers_by_path)
    given = settings.get(LAYERS, {})
    if not isinstance(given, Mapping):
        raise BadTarget(f"The positions of a recipe must be numbers by layer, got {quoted(given)}.")
    names = {path: _at(place, paths) for path, place in given.items()}
    found = {name: value for name, value in settings.items() if name not in (LAYERS, OUTPUT)}
    layer, layers = settings.get("layer"), settings.get("layers")
    if isinstance(layer, str):
        found["layer"] = names.get(layer, layer)
    if isinstance(layers, Mapping):
        found["layers"] = {names.get(path, path): weight for path, weight in layers.items()}
    elif isinstance(layers, list | tuple):
        found["layers"] = [names.get(path, path) for path in layers]
    if isinstance(without := settings.get("without"), Mapping):
        found["without"] = {names.get(path, path): units for path, units in without.items()}
    if OUTPUT in settings:
        found["output"] = _at(settings[OUTPUT], range(len(net.outputs)))
    return found


def _named(settings: Mapping[str, Any]) -> list[str]:
    """The layers that settings name."""
    several = (*(settings.get("layers") or ()), *(settings.get("without") or ()))
    return [path for path in (settings.get("layer"), *several) if isinstance(path, str)]


def _at(place: object, every: Any) -> Any:
    if type(place) is int and 0 <= place < len(every):
        return every[place]
    raise BadTarget(f"A recipe's positions must be numbers from 0 to {len(every) - 1}, got {quoted(place)}.")
