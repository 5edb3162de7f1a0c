"""Properties that are computed at their first use, without a lock."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class unlocked_property(functools.cached_property[T]):  # noqa: N801 - a decorator, like the one it replaces
    """`functools.cached_property` without the lock that it has before Python 3.12.

    All instances share that lock, so a thread that traces would wait for one that holds it and waits to trace. Two
    threads may now compute the same value, which does no harm.
    """

    def __init__(self, compute: Callable[[Any], T]) -> None:
        super().__init__(compute)
        self.lock = contextlib.nullcontext()
