"""The reentrancy guard of widgets whose traits and controls set each other's values."""

from __future__ import annotations

import threading


class Updating(threading.local):
    """Whether the program itself is setting values now, on this thread; observers then ignore the change.

    Blocks nest. Each thread has its own count: while the worker's thread fills a menu, the user's clicks still count.

    Example:
        >>> updating = Updating()
        >>> with updating:
        ...     print(bool(updating))
        True
    """

    def __init__(self) -> None:
        self._depth = 0

    def __bool__(self) -> bool:
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_raised: object) -> None:
        self._depth -= 1
