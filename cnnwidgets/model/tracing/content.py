"""The content of any Python value as nested tuples: equal for two values that act alike, at any address.

`live` serves keys inside this process: code, variables and networks stand for themselves and are kept alive by the key.
`LastingReader` serves fingerprints that another process can compare: everything is given by its value.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import random
import types
import weakref
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnwidgets.model.backend import keras, tf
from cnnwidgets.model.tracing import source
from cnnwidgets.model.tracing.source import Unreadable, is_library, taken_along

MOST_PARTS, DEEPEST = 200_000, 150  # of one value; a larger one is not read
_ATOMS = {type(None), bool, int, str, bytes, complex, type(Ellipsis), range, slice, np.dtype}
_OF_KERAS = {"_tracker", "_inbound_nodes", "_outbound_nodes", "_auto_config", "_lock", "_name", "name"}
_WRAPPERS = (staticmethod, classmethod, functools.cached_property, functools._lru_cache_wrapper)
_DRAWING = (random.Random, np.random.Generator, np.random.RandomState, np.random.BitGenerator)


@dataclass(frozen=True, eq=False)
class Held:
    """An object that stands for itself: equal to nothing else, and kept alive so that its address is not given away."""

    thing: Any

    def __eq__(self, other: object) -> bool:
        """Whether it is the very same object."""
        return isinstance(other, Held) and self.thing is other.thing

    def __hash__(self) -> int:
        """Of the object's address, which stays taken."""
        return id(self.thing)


class Key:
    """A content with its hash, which is computed once: a network's content has hundreds of parts."""

    __slots__ = "content", "_hash"

    def __init__(self, content: Hashable) -> None:
        self.content, self._hash = content, hash(content)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._hash == other._hash and self.content == other.content

    def __hash__(self) -> int:
        return self._hash


def live(value: object) -> Key:
    """The content of a value in this process.

    Raises:
        Unreadable: for what holds a generator, an open file, a lock, or reads the time or random numbers.
    """
    return Key(Reader().read(value))


def digest_of(data: bytes | memoryview) -> str:
    """A sha256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


class Reader:
    """Reads values part by part; an object that holds itself is named by its depth.

    Attributes:
        is_lasting: whether the order of dicts and the types of sequences are left out, since a file keeps neither.
    """

    is_lasting = False

    def __init__(self) -> None:
        self._open: dict[int, int] = {}  # id -> depth, of the objects that are being read
        self._read: dict[int, tuple[Any, Hashable]] = {}  # id -> (the object, which keeps its id taken, its content)

    def read(self, value: Any) -> Hashable:
        if type(value) in _ATOMS:
            return type(value).__name__, repr(value)
        if type(value) is float:
            return "float", value.hex()
        if id(value) in self._read:
            return self._read[id(value)][1]
        if id(value) in self._open:
            return "itself", self._open[id(value)]
        if len(self._read) > MOST_PARTS or len(self._open) > DEEPEST:
            raise Unreadable("it is too large")
        self._open[id(value)] = len(self._open)
        try:
            content = self.content(value)
        except Unreadable as error:
            content = self.unread(value, error)
        finally:
            del self._open[id(value)]
        self._read[id(value)] = value, content
        return content

    def unread(self, value: Any, error: Unreadable) -> Hashable:
        """The content of a value that cannot be read: there is none."""
        raise error

    def content(self, value: Any) -> Hashable:
        """The content of a value that is not read yet, by its kind."""
        kind = type(value)
        way = _WAYS.get(kind)
        if way is None:
            way = _way(value)
            if kind is value.__class__ and is_library(kind.__module__):  # a proxy may stand for anything
                _WAYS[kind] = way
        return way(self, value)

    def named(self, kind: str, *parts: Any) -> Hashable:
        """The contents of several values together."""
        return kind, *map(self.read, parts)

    def array(self, value: Any) -> Hashable:
        if value.dtype.hasobject:
            return self.named("objects", value.shape, value.tolist())
        return "array", value.dtype.str, value.shape, digest_of(np.ascontiguousarray(value).tobytes())

    def variable(self, value: Any) -> Hashable:
        """A graph reads a variable's numbers each time it runs, so it stands for itself."""
        return Held(value)

    def tensor(self, value: Any) -> Hashable:
        """A tensor of this moment by its numbers; a handle, or one of a graph, stands for itself."""
        is_eager = hasattr(value, "numpy") and value.dtype not in (tf.resource, tf.variant)
        return self.read(value.numpy()) if is_eager and not tf.is_symbolic_tensor(value) else Held(value)

    def part_of_network(self, value: Any) -> Hashable:
        """A layer or network stands for itself, with what graphs of it read besides its variables."""
        return "network", Held(value), *map(self.read, getattr(value, "read_by_graphs", tuple)())

    def spec(self, value: tf.TensorSpec) -> Hashable:
        """The shape and type of a tensor that a graph takes."""
        if type(value) is not tf.TensorSpec:
            return self.object(value)
        shape = None if value.shape.rank is None else tuple(value.shape)
        return "spec", shape, value.dtype.name, value.name

    def code(self, value: types.CodeType) -> Hashable:
        """What a function does."""
        return value

    def sequence(self, value: Iterable[Any]) -> Hashable:
        """A list or tuple, or one with names for its fields."""
        if self.is_lasting:
            return ("sequence", *map(self.read, value))
        if type(value) is tuple and set(map(type, value)) == {str}:  # class names: as many as a thousand
            return "names", value
        return (type(value).__name__, *map(self.read, value))

    def mapping(self, value: Mapping[Any, Any]) -> Hashable:
        """A dict, in its own order where code that reads it may follow that."""
        items = ((self.read(key), self.read(one)) for key, one in value.items())
        return ("dict", *(sorted(items, key=repr) if self.is_lasting else items))

    def set(self, value: Iterable[Any]) -> Hashable:
        """A set, which has no order."""
        return ("set", *sorted(map(self.read, value), key=repr))

    def module(self, value: types.ModuleType) -> Hashable:
        """A module by its name; what a function reads of one is read with the function."""
        return "module", value.__name__

    def wrapper(self, value: Any) -> Hashable:
        """A function inside a method's decorator, or behind a cache."""
        inner = getattr(value, "__wrapped__", None) or getattr(value, "__func__", None) or value.func
        return self.named(type(value).__name__, inner)

    def function(self, function: types.FunctionType) -> Hashable:
        """Its code and all that it reads; of a library's function the name, and what it took along."""
        taken = taken_along(function) if function.__closure__ else {}
        own = [function.__defaults__, function.__kwdefaults__, taken]
        if is_library(function.__module__):
            return self.named("library", f"{function.__module__}:{function.__qualname__}", function.__code__, *own)
        return self.named("function", function.__code__, *own, vars(function), list(source.read_by(function)))

    def class_(self, value: type) -> Hashable:
        """A library's class by its name; one of the user's by what its methods do, and that of its bases."""
        if is_library(value.__module__):
            return "class", f"{value.__module__}:{value.__qualname__}"
        own = {name: one for name, one in vars(value).items() if name not in source.ASIDE_IN_CLASSES}
        return self.named("own class", value.__bases__, own)

    def object(self, value: Any) -> Hashable:
        """Any other object: its class, and the state that Python's own copying would take along."""
        if isinstance(value, types.BuiltinFunctionType) and getattr(value.__self__, "__name__", "") in source.CHANGING:
            raise Unreadable("it draws random numbers or reads the clock")
        compared = getattr(type(value), "__dataclass_fields__", {})
        aside = {name for name, one in compared.items() if not one.compare}
        held = {name: one for name, one in getattr(value, "__dict__", {}).items() if name not in aside}
        if type(value).__module__.startswith("keras."):  # Keras would write a file
            return self.named("object", type(value), {k: one for k, one in held.items() if k not in _OF_KERAS})
        try:
            registered = copyreg.dispatch_table.get(type(value))
            made = registered(value) if registered else value.__reduce_ex__(4)
        except Exception as error:
            raise Unreadable(f"a {type(value).__name__} has a content that Python cannot read") from error
        if isinstance(made, str):
            return self.named("global", type(value), made)
        _, given, state, items, pairs = (*made, None, None, None)[:5]
        state = None if state is getattr(value, "__dict__", None) else _without(state, aside)
        return self.named("object", type(value), given, held, state, list(items or ()), list(pairs or ()))


def _without(state: Any, aside: set[str]) -> Any:
    """A state less the fields that are aside, where it is a dict."""
    return {k: one for k, one in state.items() if k not in aside} if isinstance(state, dict) else state


def _drawing(_reader: Reader, value: Any) -> Hashable:
    raise Unreadable(f"a {type(value).__name__} draws other numbers each time")


Way = Callable[[Reader, Any], Hashable]
_KINDS: tuple[tuple[Any, Way], ...] = (
    (Held, lambda _, held: held),
    ((np.ndarray, np.generic), lambda reader, value: reader.array(value)),
    ((tf.Variable, keras.Variable), lambda reader, value: reader.variable(value)),
    (
        tf.__internal__.CompositeTensor,
        lambda reader, t: reader.named("tensor", type(t), *tf.nest.flatten(t, expand_composites=True)),
    ),
    (keras.Layer, lambda reader, value: reader.part_of_network(value)),
    (_DRAWING, _drawing),
    (types.FunctionType, lambda reader, value: reader.function(value)),
    (types.CodeType, lambda reader, value: reader.code(value)),
    (types.MethodType, lambda reader, m: reader.named("method", m.__func__, m.__self__)),
    (functools.partial, lambda reader, p: reader.named("partial", p.func, p.args, p.keywords)),
    (tf.types.experimental.PolymorphicFunction, lambda reader, f: reader.named("graph", f.python_function)),
    (_WRAPPERS, lambda reader, value: reader.wrapper(value)),
    (property, lambda reader, p: reader.named("property", p.fget, p.fset)),
    (enum.Enum, lambda reader, e: reader.named("enum", type(e), e.name)),
    (type, lambda reader, value: reader.class_(value)),
    (types.ModuleType, lambda reader, value: reader.module(value)),
    ((list, tuple), lambda reader, value: reader.sequence(value)),
    ((dict, types.MappingProxyType), lambda reader, value: reader.mapping(value)),
    ((set, frozenset), lambda reader, value: reader.set(value)),
    (weakref.ref, lambda reader, ref: reader.named("reference", ref())),
    ((types.MemberDescriptorType, types.GetSetDescriptorType), lambda _, d: ("slot", d.__name__)),
    (tf.TensorSpec, lambda reader, value: reader.spec(value)),
)

_WAYS: dict[type, Way] = {}  # by type, for those of libraries: asking for each kind takes longer than reading


def _way(value: Any) -> Way:
    """How a value is read, by its kind."""
    if tf.is_tensor(value) and not isinstance(value, tf.Variable | keras.Variable | tf.__internal__.CompositeTensor):
        return lambda reader, tensor: reader.tensor(tensor)
    if hasattr(type(value), "read_by_graphs"):
        return lambda reader, network: reader.part_of_network(network)
    return next((way for kinds, way in _KINDS if isinstance(value, kinds)), lambda reader, one: reader.object(one))
