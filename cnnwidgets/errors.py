"""What can go wrong, in words.

    CnnWidgetsError
    ├── BadPicture  (also a ValueError)    a picture that cannot be read or used
    ├── BadModel    (also a ValueError)    a network, model file or input that cannot be used
    ├── BadTarget   (also a ValueError)    a setting that does not exist: layer, unit, class, method, size, ...
    └── JobFailed   (also a RuntimeError)  a run that broke while it was running
        └── OutOfMemory (also a MemoryError)   because an array did not fit

Each message has two parts: what was wrong, with the value; and what to do, with what exists.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class CnnWidgetsError(Exception):
    """The family of all errors that this package raises on purpose."""


class BadPicture(CnnWidgetsError, ValueError):
    """A picture that cannot be read, or that the network cannot take."""


class BadModel(CnnWidgetsError, ValueError):
    """A network, model file or model input that cannot be used."""


class BadTarget(CnnWidgetsError, ValueError):
    """A setting that does not exist: layer, unit, class, method, recipe, size, steps, ..."""


class JobFailed(CnnWidgetsError, RuntimeError):
    """A run that broke while it was running, for example because it diverged."""


class OutOfMemory(JobFailed, MemoryError):
    """A run that found no memory for an array."""


_SHAPE = re.compile(r"shape ?[\[(]([\d, ]+)[\])]")


def short_of_memory(message: str) -> str:
    """What is missing, by the message of numpy or TensorFlow, and what helps."""
    shape = _SHAPE.search(message)
    wanted = f" for an array of {' x '.join(re.findall(r'[0-9]+', shape[1]))} numbers" if shape else ""
    return f"There is not enough memory{wanted}. Take smaller pictures, fewer at once, or stop other kernels."


def without_colors(message: str) -> str:
    """A message of Keras or TensorFlow without the codes that color it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*m", "", message)


def quoted(value: object, length: int = 80) -> str:
    """The value as it is shown in a message: its `repr`, at most `length` characters, no control sequences."""
    text = re.sub(r"\n\s*", " ", repr(value))  # arrays and tables take several lines
    text = "".join(c if c.isprintable() else "?" for c in text)
    return text if len(text) <= length else text[: length - 3] + "..."


def quoted_path(path: object, length: int = 80) -> str:
    """A path as it is shown in a message; a long one loses its first folders and keeps the file's name."""
    text = quoted(str(path), 100_000)
    return text if len(text) <= length else f"'...{text[4 - length :]}"


def nearest(name: object, choices: Iterable[str], most: int = 10) -> str:
    """`"nearest: conv1, conv10"` where something is alike, else `"there are: ..."` with the first few choices."""
    every = [str(c) for c in choices]
    if not every:
        return "there are none"
    alike = difflib.get_close_matches(str(name), every, n=min(5, most), cutoff=0.5)
    if alike:
        return "nearest: " + ", ".join(alike)
    more = f", ... ({len(every)} in all)" if len(every) > most else ""
    return "there are: " + ", ".join(every[:most]) + more
