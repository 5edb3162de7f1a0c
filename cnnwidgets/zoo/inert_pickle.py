"""Pickles read as plain data: nothing that a file names is ever imported, looked up or called.

A pickle is a program for a small stack machine, and Python's own reader carries it out. This reader only writes down
what is asked for: a name becomes a `Name`, a call a `Call`, data kept elsewhere a `Reference`. Whoever reads the result
compares it with what a weight file has to look like. The few opcodes and names that weights need are allowed, and
everything else is refused.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from typing import IO, Any

from cnnwidgets.errors import BadModel, quoted


@dataclass(frozen=True, slots=True)
class Name:
    """Something that a pickle names by module and name; it stays a name."""

    module: str
    name: str


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """A call that a pickle asks for, with the state and the items to be set on its result; it is never made."""

    function: Name
    arguments: tuple[object, ...]
    state: object = None
    items: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Reference:
    """Data that is kept outside of the pickle, under a key."""

    key: object


def refusal(reason: str) -> BadModel:
    """The error for a weight file that is not read: what is wrong with it, and what to do."""
    return BadModel(f"{reason}. Nothing in it was executed; install the package that it belongs to again.")


def read_pickle(stream: IO[bytes], allowed: Set[Name]) -> object:
    """The content of one pickle of protocol 2 or 3, as plain data.

    Args:
        stream: Read up to the end of the pickle and no further.
        allowed: The names that may occur, compared exactly.

    Returns:
        Numbers, text, bytes, tuples, lists, dicts with text as keys; `Name`, `Call` and `Reference` for the rest.

    Raises:
        BadModel: The pickle is damaged, or wants an opcode or a name that is not allowed.
    """
    machine = _Machine(allowed)
    try:
        for opcode, argument, _ in pickletools.genops(stream):
            machine.step(opcode.name, argument)
        return machine.result()
    except BadModel:
        raise
    except (ValueError, LookupError, TypeError) as error:
        raise refusal(f"The weight file is damaged ({quoted(str(error))})") from None


class _Machine:
    """The pickle machine without its hands: a stack, marks in it, and a memo."""

    def __init__(self, allowed: Set[Name]) -> None:
        self.allowed = allowed
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # the stacks under each open mark
        self.memo: dict[int, object] = {}

    def step(self, opcode: str, argument: Any) -> None:
        if opcode not in _STEPS:
            raise refusal(f"The weight file uses the pickle opcode {opcode}, which weights do not need")
        _STEPS[opcode](self, argument)

    def result(self) -> object:
        if self.below or len(self.stack) != 1:
            raise ValueError("the pickle does not end with one value")
        return self.stack[0]

    def skip(self, _: Any) -> None:
        """Protocol numbers and the end mean nothing to plain data."""

    def push(self, value: object) -> None:
        self.stack.append(value)

    def mark(self, _: Any) -> None:
        self.below.append(self.stack)
        self.stack = []

    def since_mark(self) -> list[Any]:
        values, self.stack = self.stack, self.below.pop()
        return values

    def pack(self, count: int) -> None:
        values = [self.stack.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def top(self, kind: type | tuple[type, ...]) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise TypeError(f"an opcode meets a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def append(self, values: list[Any]) -> None:
        self.top(list).extend(values)

    def set_items(self, flat: list[Any]) -> None:
        target = self.top((dict, Call))
        keys, values = flat[::2], flat[1::2]
        if not all(isinstance(key, str) for key in keys):
            raise TypeError("a key is no text")
        items = target.items if isinstance(target, Call) else target
        items.update(zip(keys, values, strict=True))

    def name(self, argument: str) -> None:
        asked = Name(*argument.split(" ", 1))
        if asked not in self.allowed:
            raise refusal(f"The weight file names {quoted(argument.replace(' ', '.'))}, which weights do not need")
        self.push(asked)

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise TypeError("what is called is no name")
        self.push(Call(function, arguments))

    def build(self, _: Any) -> None:
        state = self.stack.pop()
        self.top(Call).state = state

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self.set_items([key, value])

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]


_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINBYTES", "SHORT_BINBYTES")

_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _Machine.skip,
    "STOP": _Machine.skip,
    **dict.fromkeys(_VALUES, _Machine.push),
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_TUPLE": lambda machine, _: machine.pack(0),
    "TUPLE1": lambda machine, _: machine.pack(1),
    "TUPLE2": lambda machine, _: machine.pack(2),
    "TUPLE3": lambda machine, _: machine.pack(3),
    "MARK": _Machine.mark,
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": _Machine.set_item,
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPUT": _Machine.remember,
    "LONG_BINPUT": _Machine.remember,
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "GLOBAL": _Machine.name,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.build,
    "BINPERSID": lambda machine, _: machine.push(Reference(machine.stack.pop())),
}
