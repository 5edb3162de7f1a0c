"""Traced functions, kept so that nothing is traced twice, and bounded so that they do not pile up."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any


class Traces:
    """The least recently used of at most `limit` traced functions are forgotten."""

    def __init__(self, limit: int = 32) -> None:
        """Start empty."""
        self._limit = limit
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.RLock()

    def get(self, key: Hashable, build: Callable[[], Any]) -> Any:
        """The function kept under `key`, built now if there is none."""
        with self._lock:
            if key not in self._kept:
                self._kept[key] = build()
                while len(self._kept) > self._limit:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return self._kept[key]

    def __len__(self) -> int:
        """How many functions are kept."""
        return len(self._kept)
