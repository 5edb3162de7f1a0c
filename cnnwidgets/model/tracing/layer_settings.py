"""The settings of layers that a graph holds as Python values: strides, rates, functions, attributes of own layers."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import own_attributes
from cnnwidgets.model.tracing.content import Held, Key, digest_of, live
from cnnwidgets.model.tracing.source import Unreadable, is_library

_PLAIN = {type(None), bool, int, float, str, bytes, complex}
_OF_TENSORFLOW = "_self_"
_LISTS = (tuple, list)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# Keras' own bookkeeping, and `call`, which recordings shadow.
_OF_KERAS = {*vars(keras.Layer()), *vars(keras.Sequential()), "built", "call", "stop_training"}


def settings_of(layers: Iterable[Any]) -> tuple[object, ...]:
    """What graphs of these layers hold, to be compared by `==`: it changes as soon as a setting does.

    Numbers, text and lists of them count by their values, arrays by their content, functions of the user's and `call`
    of their layers by what they do and read: a Lambda may read a global that changes.
    """
    plain: list[Any] = []
    functions: list[Held | Key] = []
    layers = list(layers)
    for every in own_attributes(layers):
        for name in _read(tuple(every)):
            value = every[name]
            if type(value) in _PLAIN:
                plain.append((name, value))
            elif isinstance(value, _LISTS):
                if _PLAIN.issuperset(map(type, value)):
                    plain.append((name, *value))
            elif isinstance(value, _FUNCTIONS) or (name == "activation" and callable(value)):
                functions.append(_of_function(value))
            elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
                plain.append((name, value.shape, value.dtype.str, digest_of(np.ascontiguousarray(value).tobytes())))
    calls = dict.fromkeys(type(layer).call for layer in layers if not is_library(type(layer).__module__))
    return repr(plain), *functions, *map(_of_function, calls)


def _of_function(function: Any) -> Held | Key:
    """What a function of the user's does and reads now; a library's, and one that cannot be read, stands for itself."""
    if not isinstance(function, types.FunctionType) or is_library(function.__module__):
        return Held(function)
    with contextlib.suppress(Unreadable, RecursionError):  # such as one that holds its own network
        return live(function)
    return Held(function)


@functools.lru_cache(maxsize=4096)  # asked before each verb for each layer; layers of one class have the same names
def _read(names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of a layer's attributes are looked at, in alphabetical order."""
    return tuple(sorted(name for name in names if name not in _OF_KERAS and not name.startswith(_OF_TENSORFLOW)))
