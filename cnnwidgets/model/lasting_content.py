"""The content of values for fingerprints: the same in every process, without names, lines or addresses."""

from __future__ import annotations

import dis
import types
from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np

from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing import source
from cnnwidgets.model.tracing.content import Reader, taken_along
from cnnwidgets.model.tracing.source import Unreadable, is_library


class LastingReader(Reader):
    """Reads variables and tensors by their numbers and code by its instructions; of what cannot be read the kind."""

    def content(self, value: Any) -> Hashable:
        """As for any reader, and nothing is refused."""
        try:
            return super().content(value)
        except Unreadable:
            return "unread", type(value).__qualname__

    def variable(self, value: Any) -> Hashable:
        """By its numbers."""
        return self.array(np.asarray(value))

    def tensor(self, value: Any) -> Hashable:
        """By its numbers, where it has any at this moment."""
        if tf.is_symbolic_tensor(value) or value.dtype in (tf.resource, tf.variant):
            return "tensor", value.dtype.name
        return self.read(value.numpy())

    def part_of_network(self, value: Any) -> Hashable:
        """A layer's own content is read where the model is; of another model that a function holds, the weights."""
        weights = getattr(value, "weights", ())
        return ("layer", *map(self.variable, weights)) if hasattr(value, "layers") else "layer"

    def code(self, value: types.CodeType) -> Hashable:
        """The instructions, with the names and constants that they use."""
        return ("code", *((step.opname, self.read(step.argval)) for step in dis.get_instructions(value)))

    def sequence(self, value: Iterable[Any]) -> Hashable:
        """A file makes lists of tuples."""
        return ("sequence", *map(self.read, value))

    def mapping(self, value: Mapping[Any, Any]) -> Hashable:
        """A dict, whatever its order."""
        return ("dict", *sorted(((self.read(key), self.read(one)) for key, one in value.items()), key=repr))

    def function(self, function: types.FunctionType) -> Hashable:
        """A library's function by its name; one of the user's by what it does and reads."""
        own = [function.__defaults__, function.__kwdefaults__, taken_along(function)]
        if is_library(function.__module__):
            name = f"{function.__module__}:{function.__qualname__}"
            return self.named("library", name, *own, *([function.__code__] if "<" in name else []))
        try:
            read = list(source.read_by(function))
        except Unreadable:
            read = []
        return self.named("function", function.__code__, *own, read)
