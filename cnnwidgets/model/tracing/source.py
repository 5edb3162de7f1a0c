"""Values that a function reads besides its arguments: the globals in its code, and attributes of modules."""

from __future__ import annotations

import builtins
import dis
import functools
import itertools
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

# What makes, shows, compares or saves an object, and what Python itself notes in a class: none of it acts in a graph.
ASIDE_IN_CLASSES = {
    "__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__annotate__",
    "__annotate_func__", "__annotations_cache__", "__firstlineno__", "__static_attributes__", "__orig_bases__",
    "__parameters__", "__type_params__", "__abstractmethods__", "__dataclass_fields__", "__dataclass_params__",
    "__match_args__", "__slots__", "_abc_impl", "__init__", "__repr__", "__str__", "__eq__", "__hash__", "__reduce__",
    "__reduce_ex__", "__getstate__", "__setstate__", "__replace__", "get_config", "from_config",
}  # fmt: skip
CHANGING = {"datetime", "random", "secrets", "time", "uuid"}  # modules that answer differently each time
_CHANGING_PARTS = {("numpy", "random"), ("os", "environ"), ("os", "getenv"), ("os", "urandom")}
_ANYTHING = {"eval", "exec", "globals", "input", "locals", "open", "vars", "__import__"}  # builtins that read anything
_FILES = {"imread", "load", "loadtxt", "open", "read_bytes", "read_text"}  # methods and functions that read files
_GROWING = {"add", "append", "appendleft", "extend", "insert", "put", "update"}  # methods that only write
_GLOBAL = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"}
_CLOSURE = {"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"}
_ATTRIBUTE = {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM"}
_LIBRARIES = {"site-packages", "dist-packages"}


class Unreadable(Exception):
    """The content of a value cannot be read."""


@functools.lru_cache(maxsize=4096)
def is_library(module: str | None) -> bool:
    """Whether a module is one of Python's, installed, or this package's own: it stays as it is in a process."""
    if not module or module == "__main__":
        return False
    top = module.partition(".")[0]
    if top == "cnnwidgets" or top in sys.stdlib_module_names:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return file is not None and not _LIBRARIES.isdisjoint(Path(file).parts)


class Names(NamedTuple):
    """What code reads, that of functions inside it too.

    Attributes:
        globals: in the order in which they are first read.
        taken: names of what it took along from where it was made.
        attributes: of whatever object.
        imports: modules.
    """

    globals: tuple[str, ...]
    taken: frozenset[str]
    attributes: frozenset[str]
    imports: frozenset[str]


@functools.lru_cache(maxsize=1024)
def named_in(code: types.CodeType) -> Names:
    """The names in a piece of code, without those that it only writes to: lists to append to, counters."""
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("CACHE", "PRECALL", "EXTENDED_ARG")]
    reads = [
        (step.opname, str(step.argval))
        for index, step in enumerate(steps)
        if not _only_writes(steps[index : index + 4])
    ]
    inner = [named_in(const) for const in code.co_consts if isinstance(const, types.CodeType)]
    names = itertools.chain((name for kind, name in reads if kind in _GLOBAL), *(one.globals for one in inner))
    return Names(
        tuple(dict.fromkeys(names)),
        frozenset(name for kind, name in reads if kind in _CLOSURE).union(*(one.taken for one in inner)),
        frozenset(name for kind, name in reads if kind in _ATTRIBUTE).union(*(one.attributes for one in inner)),
        frozenset(name for kind, name in reads if kind == "IMPORT_NAME").union(*(one.imports for one in inner)),
    )


def _only_writes(steps: list[dis.Instruction]) -> bool:
    """Whether a name is loaded just to write to it: `seen.append(x)`, `seen[0] = x`, `count[0] += 1`, `count += 1`."""
    kinds, names = [step.opname for step in steps], [str(step.argval) for step in steps]
    if kinds[0] not in _GLOBAL | _CLOSURE:
        return False
    return (
        (kinds[1] in _ATTRIBUTE and names[1] in _GROWING)
        or kinds[2:3] == ["STORE_SUBSCR"]
        or kinds[2:4] == ["COPY", "COPY"]
        or (kinds[2:3] == ["BINARY_OP"] and kinds[3].startswith("STORE_") and names[3] == names[0])
    )


def taken_along(function: types.FunctionType) -> dict[str, Any]:
    """What a function took along from where it was made, without what it only writes to."""
    read = named_in(function.__code__).taken
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return {name: _inside(cell) for name, cell in cells if name in read or name == "__class__"}


def _inside(cell: Any) -> Any:
    """What a cell of a closure holds."""
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return None


def read_by(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """(name, value) of each global that a function reads, as it is now.

    Raises:
        Unreadable: where it reads something that cannot be known in advance: a file, the clock, random numbers.
    """
    names = named_in(function.__code__)
    for part in names.attributes & _FILES:
        raise Unreadable(f"it calls {part}")
    for name in names.globals:
        if name in function.__globals__:
            yield from _of_global(name, function.__globals__[name], names.attributes)
        elif name in _ANYTHING:
            raise Unreadable(f"it calls {name}")
        elif not hasattr(builtins, name):
            yield name, None
    for name in sorted(names.imports):
        if name in sys.modules:
            yield from _of_global(name, sys.modules[name], names.attributes)


def _of_global(name: str, value: Any, attributes: frozenset[str]) -> Iterator[tuple[str, Any]]:
    """A global; of a module what the function may ask of it."""
    yield name, value
    if not isinstance(value, types.ModuleType):
        return
    module = value.__name__
    if module in CHANGING or any((module, part) in _CHANGING_PARTS for part in attributes):
        raise Unreadable(f"it reads {module}")
    if is_library(module):
        return
    for part in sorted(attributes & vars(value).keys()):
        yield from _of_global(f"{name}.{part}", vars(value)[part], attributes)
