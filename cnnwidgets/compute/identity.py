"""What tells one network from another: all that changes a pixel, and nothing else, as one sha256.

Weights alone do not: the same numbers behind another activation, stride or preprocessing are another network.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cnnwidgets.compute import layers as layers_
from cnnwidgets.compute.backend import keras

# What a configuration says besides the computation: how training would go on, and how a file is read.
_ASIDE = {"build_config", "compile_config", "registered_name", "trainable"}


def fingerprint(model: Any, preprocess: Callable[[Any], Any]) -> str:
    """A sha256 of weights, architecture and preprocessing as they are now, 64 hexadecimal digits.

    A model that was saved and loaded again has the same, as far as its layers tell their settings by `get_config`.
    Nothing is refused: of what cannot be told, such as an object that a function holds, the kind alone is told.
    """
    digest = hashlib.sha256()
    for weight in model.weights:
        value = np.ascontiguousarray(weight.numpy())
        digest.update(f"{value.shape}{value.dtype}".encode())
        digest.update(value.tobytes())
    configuration = _configuration(model)
    told = _plain([configuration, list(_untold(model, configuration is None)), preprocess])
    digest.update(json.dumps(told, sort_keys=True).encode())
    return digest.hexdigest()


def _untold(model: Any, everything: bool) -> Iterator[Any]:
    """What the model's configuration keeps to itself: functions, and the insides and code of what is not Keras' own."""
    for path, part in [("", model), *layers_.walk(model)]:
        functions = [getattr(part, name, None) for name in ("function", "activation")]
        yield from ((path, f) for f in functions if isinstance(f, types.FunctionType) and not _is_of_keras(f))
        if everything or not _is_of_keras(type(part)):
            inner = part.layers if isinstance(part, keras.Model) else part._layers
            yield path, type(part).call, [_configuration(layer) for layer in inner]


def _is_of_keras(thing: Any) -> bool:
    return str(thing.__module__).startswith("keras.")


def _configuration(layer: Any) -> Any:
    """What a layer says of itself, without what is aside; `None` where it cannot say."""
    if any(getattr(getattr(one, "activation", None), "__name__", "") == "<lambda>" for one in layer._flatten_layers()):
        return None  # Keras would warn the reader that such a model is unsafe to save
    try:
        return type(layer).__name__, _without_aside(layer.get_config())
    except Exception:  # whatever a custom layer's get_config raises
        return None


def _without_aside(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {str(key): _without_aside(value) for key, value in config.items() if key not in _ASIDE}
    return [_without_aside(value) for value in config] if isinstance(config, (list, tuple)) else config


def _plain(value: Any) -> Any:
    """Any value as what JSON knows, the same in every process: no object's address is in it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.ndarray() | np.generic() | bytes():
            return hashlib.sha256(np.asarray(value).tobytes()).hexdigest()
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case functools.partial():
            return _plain([value.func, value.args, value.keywords])
        case types.MethodType():
            return _plain([value.__func__, type(value.__self__).__qualname__])
        case types.FunctionType():
            return _plain([value.__code__, value.__defaults__, list(_held(value))])
        case types.CodeType():
            return [value.co_code.hex(), list(value.co_names), _plain(value.co_consts)]
    return [getattr(value, "__qualname__", type(value).__qualname__), _plain(_simple_attributes(value))]


def _held(function: types.FunctionType) -> Iterator[Any]:
    """What a function took along from where it was made; of another function its code alone, since it may be itself."""
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # nothing in it yet
            held = cell.cell_contents
            yield held.__code__ if isinstance(held, types.FunctionType) else held


def _simple_attributes(value: Any) -> dict[str, Any]:
    held = getattr(value, "__dict__", {}).items()
    return {k: one for k, one in held if k[0] != "_" and isinstance(one, bool | int | float | str | tuple)}
