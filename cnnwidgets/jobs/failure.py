"""Exceptions as text: a stored exception would keep alive every array of the frames it passed through."""

from __future__ import annotations

import re
import traceback
from typing import NamedTuple

from cnnwidgets.errors import OutOfMemory, short_of_memory

LONGEST_LINE = 300

_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\{\{[^}]*\}\}|\[Op:[^\]]*\]")
_NAMED = re.compile(r"(?:\w+\.)*(\w+): ?(.*)")
_GRAPH = ("in user code:", "Graph execution error:")  # how a traced function's error begins: a traceback follows
_MEMORY = {"MemoryError", "ResourceExhaustedError"}  # Python's and numpy's, TensorFlow's
_WRAPPING = ("Exception encountered when calling", "Detected at node", "Detected unsupported", "File ", "Traceback (")


class Failure(NamedTuple):
    """A description of an exception, as plain text."""

    line: str  # one line, at most 300 characters, never empty
    kind: str  # the name of the error that `line` describes: "ValueError"
    types: tuple[str, ...]  # the names of the raised type and its bases: which family it belongs to
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Describe an exception; one that a traced graph wraps is described by the Python error inside."""
        name = type(error).__name__
        kind, line = _cause(_message(error), name)
        types = tuple(base.__name__ for base in type(error).__mro__)
        if _MEMORY & {kind, *types} and OutOfMemory.__name__ not in types:
            line = short_of_memory(line)
        return cls((line or kind)[:LONGEST_LINE], kind, types, "".join(traceback.format_exception(error)))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a failing __str__ must not hide the error itself
        return ""


def _cause(message: str, kind: str) -> tuple[str, str]:
    """The kind and the informative line of a message, without the lines that graphs and layers add."""
    lines = [clean for line in message.splitlines() if (clean := _clean(line))]
    if lines and lines[0].startswith(_GRAPH):
        kind, lines = _inner_error(lines[1:], kind)
    return kind, next((line for line in lines if line and not line.startswith(_WRAPPING)), "")


def _inner_error(lines: list[str], kind: str) -> tuple[str, list[str]]:
    """The Python error at the end of a graph's traceback: its kind, and its message's lines."""
    for i in reversed(range(len(lines))):
        match = _NAMED.fullmatch(lines[i])
        if match and (match[1] == kind or match[1].endswith(("Error", "Exception"))):
            return match[1], [match[2], *lines[i + 1 :]]
    return kind, lines


def _clean(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in _CONTROL.sub("", line)).strip()
