"""The content of values for fingerprints: the same in every process, without names, lines or addresses."""

from __future__ import annotations

import dis
import types
from collections.abc import Hashable
from typing import Any

import numpy as np

from cnnwidgets.model.backend import tf
from cnnwidgets.model.tracing import source
from cnnwidgets.model.tracing.content import Reader
from cnnwidgets.model.tracing.source import Unreadable, is_library, taken_along


class LastingReader(Reader):
    """Reads variables and tensors by their numbers and code by its instructions; of what cannot be read the kind.

    What belongs to this package is read by its name and its fields, so that other versions of it agree.

    Attributes:
        left_out: whether there was something that cannot be read.
    """

    is_lasting = True
    spec = Reader.object

    def __init__(self) -> None:
        """Start with nothing read."""
        super().__init__()
        self.left_out = False

    def unread(self, value: Any, error: Unreadable) -> Hashable:
        """The type of a value that cannot be read; nothing is refused."""
        self.left_out = True
        return "unread", type(value).__qualname__

    def object(self, value: Any) -> Hashable:
        """As for any reader; one of this package by its class and what two of them are compared by."""
        if not _is_ours(type(value)):
            return super().object(value)
        fields = getattr(type(value), "__dataclass_fields__", None)
        compared = vars(value) if fields is None else [name for name, one in fields.items() if one.compare]
        return self.named("ours", type(value), {name: getattr(value, name) for name in compared})

    def class_(self, value: type) -> Hashable:
        """As for any reader; one of this package by its name, in any module."""
        return ("class", value.__qualname__) if _is_ours(value) else super().class_(value)

    def variable(self, value: Any) -> Hashable:
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
        steps = list(dis.get_instructions(value))
        arguments = map(self.read, [step.argval for step in steps])
        return ("code", *zip([step.opname for step in steps], arguments, strict=True))

    def function(self, function: types.FunctionType) -> Hashable:
        """A library's function by its name; one of the user's by what it does and reads."""
        own = [function.__defaults__, function.__kwdefaults__, taken_along(function)]
        if _is_ours(function):
            return self.named("ours", function.__qualname__, *own)
        if is_library(function.__module__):
            name = f"{function.__module__}:{function.__qualname__}"
            return self.named("library", name, *own, *([function.__code__] if "<" in name else []))
        try:
            read = list(source.read_by(function))
        except Unreadable:
            self.left_out, read = True, []
        return self.named("function", function.__code__, *own, read)


def _is_ours(thing: Any) -> bool:
    """Whether a class or function belongs to this package."""
    return str(thing.__module__).partition(".")[0] == "cnnwidgets"
