"""Fingerprints of networks: one sha256 of everything that changes a pixel, and of nothing else.

Weights alone do not: the same numbers behind another activation, stride or preprocessing are another network.
"""

from __future__ import annotations

import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from cnnwidgets.model import layers as layers_
from cnnwidgets.model.backend import keras
from cnnwidgets.model.identity.lasting_content import LastingReader
from cnnwidgets.model.keras_internals import all_layers, inner_layers

# Parts of a configuration that do not change what is computed: how training would continue, how a file is read.
_ASIDE = {"build_config", "compile_config", "registered_name", "trainable"}


_SET_BY_KERAS = {"call", "input_spec", "autocast", "supports_masking"}  # when a layer is called or built
_OF_TRAINING = {"optimizer", "history", "loss", "stop_training", "stop_evaluating", "stop_predicting"}  # of a model
# Where a configuration names layers: each as [name, call, output].
_REFERRING = {"inbound_nodes", "input_layers", "output_layers"}


class Identity(NamedTuple):
    """The identity of a network: what distinguishes it from others.

    Attributes:
        digest: a sha256, 64 hexadecimal digits.
        is_complete: whether everything that changes a pixel is in it; not where something reads a file or the clock.
    """

    digest: str
    is_complete: bool


def identity(model: Any, preprocess: Callable[[Any], Any]) -> Identity:
    """The identity of weights, architecture and preprocessing as they are now; names of layers are not part of it.

    A model that was saved and loaded again has the same, as far as `get_config` returns the settings of its layers.
    Nothing is refused: of a value that cannot be read, such as an open file, only the type is included.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    configuration = _configuration(model)
    parts = [configuration, list(_without_config(model, configuration is None)), preprocess]
    reader = LastingReader()
    digest.update(repr(reader.read(parts)).encode())
    return Identity(digest.hexdigest(), not reader.left_out)


def fingerprint(model: Any, preprocess: Callable[[Any], Any]) -> str:
    """The digest of `identity`."""
    return identity(model, preprocess).digest


def _without_config(model: Any, everything: bool) -> Iterator[Any]:
    """What the model's configuration keeps to itself: functions, and the insides and code of what is not Keras' own."""
    for index, part in enumerate([model, *layers_.by_path(model).values()]):
        functions = [getattr(part, name, None) for name in ("function", "activation")]
        yield from ((index, f) for f in functions if isinstance(f, types.FunctionType) and not _is_of_keras(f))
        if everything or not _is_of_keras(type(part)):
            inner = [_configuration(layer) for layer in inner_layers(part)]
            yield index, type(part), _attributes(part), inner


def _attributes(part: Any) -> dict[str, Any]:
    """What a layer of the user's own holds besides what every layer of Keras has."""
    if _is_of_keras(type(part)):
        return {}
    usual = vars(keras.Model(name="usual") if isinstance(part, keras.Model) else keras.Layer(name="usual"))
    mine = {name: one for name, one in vars(part).items() if name not in usual and not _is_aside(name)}
    kept = {name: one for name, one in mine.items() if not isinstance(one, keras.Variable)}  # these are the weights
    if isinstance(part, keras.Model):
        return {name: one for name, one in kept.items() if not name.startswith("_") and name not in _OF_TRAINING}
    return {name: one for name, one in kept.items() if not isinstance(one, keras.random.SeedGenerator)}


def _is_of_keras(thing: Any) -> bool:
    return str(thing.__module__).startswith("keras.")


def _configuration(layer: Any) -> Any:
    """The configuration of a layer without the parts that are set aside; `None` where it has none."""
    if any(getattr(getattr(one, "activation", None), "__name__", "") == "<lambda>" for one in all_layers(layer)):
        return None  # Keras would warn the reader that such a model is unsafe to save
    try:
        return type(layer).__name__, _without_aside(nameless(layer.get_config()))
    except Exception:  # whatever a custom layer's get_config raises
        return None


def _is_aside(key: str) -> bool:
    """Whether it acts in training alone, or is set by Keras when a layer is called."""
    return key in _ASIDE | _SET_BY_KERAS or key.endswith(("_initializer", "_regularizer", "_constraint"))


def _without_aside(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {str(key): _without_aside(value) for key, value in config.items() if not _is_aside(str(key))}
    return [_without_aside(value) for value in config] if isinstance(config, (list, tuple)) else config


def nameless(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `get_config` of a layer or model says, less its name and those of the layers inside it.

    Names count what was made before in the same process. Where one layer refers to another by name, the index in the
    list of layers stands instead.
    """
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
