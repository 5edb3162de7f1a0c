"""A bounded cache of traced functions, so that nothing is traced twice."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from cnnwidgets.model.tracing.content import Key, live
from cnnwidgets.model.tracing.source import Unreadable


class Traces:
    """The least recently used of at most `limit` traced functions are forgotten.

    What a function is kept under is derived from the function that builds it: its code and everything that it took
    along, by content. So another function, another number or a changed array is another key, and nobody lists them.
    What may change without another graph (units, weights, pictures) must come to the graph as a tensor, and must not be
    taken along by what builds it.

    Args:
        limit: how many are kept.
        context: what every graph depends on besides, read each time: the network.
    """

    def __init__(self, limit: int = 32, context: object = None) -> None:
        """Start empty."""
        self._limit, self._context = limit, context
        self._kept: OrderedDict[Key, list[Any]] = OrderedDict()  # [graph]; [] while it is built
        self._lock = threading.RLock()

    def get(self, build: Callable[[], Any]) -> Any:
        """What `build` returns, from the last time that it was asked with the same content; else built now."""
        try:
            key = live((build, self._context))
        except Unreadable:  # it may act differently each time, so it is not kept
            return build()
        with self._lock:
            slot: list[Any] = self._kept.setdefault(key, [])
            self._kept.move_to_end(key)
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
            if not slot:
                try:
                    slot.append(build())
                except BaseException:
                    self._kept.pop(key, None)
                    raise
            return slot[0]

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)
