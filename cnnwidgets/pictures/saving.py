"""Files that are complete or not there, under names that are safe on every system."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from itertools import count
from pathlib import Path

from cnnwidgets.errors import BadTarget, quoted, quoted_path
from cnnwidgets.paths import checked_path

LONGEST = 64  # characters of a slug
RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(10))}


def write_file(path: str | Path, data: bytes) -> Path:
    """Write a file whole or not at all: into a temporary one in the same folder, which then takes its name.

    Returns:
        The path, for the message that says where it is.

    Raises:
        BadTarget: a folder that does not exist or cannot be written to, a full disk.
    """
    path = checked_path("path", path)
    temporary = path.parent / f".{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, ValueError) as error:  # ValueError: NUL in the name
        why = getattr(error, "strerror", None) or error
        raise BadTarget(
            f"{quoted_path(path)} cannot be written: {why}. Choose a folder that exists and can be written to."
        ) from error
    finally:
        with suppress(OSError, ValueError):
            temporary.unlink()  # still there only if something went wrong
    return path


def slug(name: object) -> str:
    """A safe file name, without suffix, for any name: `[A-Za-z0-9._-]{1,64}`, no leading dot, not reserved by Windows.

    Two names may share a slug; `free_path` keeps their files apart.

    Example:
        >>> slug("block/../conv 5")
        'block-..-conv-5'
    """
    text = re.sub(r"[^A-Za-z0-9._-]+", "-", str(name)[: 4 * LONGEST]).lstrip(".-")
    if text.split(".")[0].upper() in RESERVED:
        text = "_" + text
    return text[:LONGEST].rstrip(".-") or "unnamed"  # Windows drops dots at the end


def free_path(folder: str | Path, stem: object, suffix: str) -> Path:
    """A path in `folder` that nothing has yet: "stem.png", else "stem-1.png", "stem-2.png", ...

    Args:
        folder: where the file will be written.
        stem: any name; its slug is used.
        suffix: such as ".png".
    """
    if not re.fullmatch(r"\.[a-z0-9]{1,8}", suffix):
        raise BadTarget(f"suffix must be that of a file, such as '.png', got {quoted(suffix)}.")
    name, place = slug(stem), checked_path("folder", folder)
    names = (f"{name}{suffix}" if not n else f"{name}-{n}{suffix}" for n in count())
    # lexists: a link to nowhere is in the way too, for writing through it would leave the folder.
    return next(path for path in (place / name for name in names) if not os.path.lexists(path))
