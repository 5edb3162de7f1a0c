"""Paths as people type them: `~` is the home folder, for reading and for writing."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path

from cnnwidgets.errors import BadTarget, quoted


def expanded(path: str | PathLike[str]) -> Path:
    """The path with a leading `~` or `~user` replaced; unchanged where there is no such home folder."""
    try:
        return Path(path).expanduser()
    except RuntimeError:  # a file whose name begins with "~", such as "~backup.png"
        return Path(path)


def checked_path(name: str, path: object) -> Path:
    """A path that was given for the argument `name`, with `~` replaced."""
    text = fspath(path) if isinstance(path, (str, PathLike)) else None
    if not isinstance(text, str) or not text.strip():
        raise BadTarget(f"{name} must be a path (text or a pathlib.Path), got {quoted(path)}.")
    return expanded(text)
