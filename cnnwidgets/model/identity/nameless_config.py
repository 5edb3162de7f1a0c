"""The configuration of a model without the names of its layers, which count what was made before in the same process.

Where one layer refers to another by name, the index in the list of layers stands instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Where a configuration names layers: each as [name, call, output].
_REFERRING = {"inbound_nodes", "input_layers", "output_layers"}


def nameless(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `get_config` of a layer or model says, less its name and those of the layers inside it."""
    indices = {name: index for index, name in enumerate(_names(config))}
    found = {
        key: _referring(one, indices) if key in _REFERRING else _inside(one, indices) for key, one in config.items()
    }
    found.pop("name", None)
    return found


def _names(config: Mapping[str, Any]) -> Iterator[str]:
    """The names of the layers that a model lists."""
    listed = config.get("layers")
    for entry in listed if isinstance(listed, list | tuple) else ():
        if _is_layer(entry):
            yield str(entry.get("name") or entry["config"].get("name"))


def _is_layer(value: Any) -> bool:
    """Whether it is a layer as Keras writes it down; a precision has a class, a configuration and a name too."""
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("config"), Mapping)
        and "name" in value["config"]
        and ("inbound_nodes" in value or "trainable" in value["config"] or value.get("class_name") == "InputLayer")
    )


def _inside(value: Any, indices: Mapping[str, int]) -> Any:
    if isinstance(value, list | tuple):
        return [_inside(one, indices) for one in value]
    if not isinstance(value, Mapping):
        return value
    if not _is_layer(value):
        return {key: _inside(one, indices) for key, one in value.items()}
    rest = {key: one for key, one in value.items() if key not in ("name", "config")}
    others = {key: _referring(one, indices) if key in _REFERRING else one for key, one in rest.items()}
    return {**others, "config": nameless(value["config"])}


def _referring(value: Any, indices: Mapping[str, int]) -> Any:
    """References to layers, by their indices."""
    if isinstance(value, list | tuple):
        if len(value) == 3 and isinstance(value[0], str) and value[0] in indices:
            return [indices[value[0]], *value[1:]]
        return [_referring(one, indices) for one in value]
    return {key: _referring(one, indices) for key, one in value.items()} if isinstance(value, Mapping) else value
