"""The settings of layers that a graph holds as Python values: strides, rates, functions, attributes of own layers."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras
from cnnwidgets.model.keras_internals import own_attributes
from cnnwidgets.model.tracing.content import Held, digest_of

_PLAIN = {type(None), bool, int, float, str, bytes, complex}
_OF_TENSORFLOW = "_self_"
_LISTS = (tuple, list)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# Keras' own bookkeeping, and `call`, which recordings shadow.
_OF_KERAS = {*vars(keras.Layer()), *vars(keras.Sequential()), "built", "call", "stop_training"}


def settings_of(layers: Iterable[Any]) -> tuple[object, ...]:
    """What graphs of these layers hold, to be compared by `==`: it changes as soon as a setting does.

    Numbers, text and lists of them count by their values, small arrays by their content, functions by identity.
    """
    plain: list[Any] = []
    functions: list[Held] = []
    for layer in layers:
        every = own_attributes(layer)
        for name in _read(tuple(every)):
            value = every[name]
            if type(value) in _PLAIN:
                plain.append((name, value))
            elif isinstance(value, _LISTS):
                if _PLAIN.issuperset(map(type, value)):
                    plain.append((name, *value))
            elif isinstance(value, _FUNCTIONS) or (name == "activation" and callable(value)):
                functions.append(Held(value))
            elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
                plain.append((name, value.shape, value.dtype.str, digest_of(np.ascontiguousarray(value).tobytes())))
    return repr(plain), *functions


@functools.lru_cache(maxsize=4096)  # asked before each verb for each layer; layers of one class have the same names
def _read(names: tuple[str, ...]) -> tuple[str, ...]:
    """Which of a layer's attributes are looked at, in alphabetical order."""
    return tuple(sorted(name for name in names if name not in _OF_KERAS and not name.startswith(_OF_TENSORFLOW)))
