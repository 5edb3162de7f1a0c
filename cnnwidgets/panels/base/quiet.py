"""One guard for all widgets that set each other's values."""

from __future__ import annotations

import threading


class Quiet(threading.local):
    """Whether the changes made now, on this thread, are the program's own, so that no observer takes them for a wish.

    Blocks nest. Each thread has its own count: while the worker's thread fills a menu, the reader is still heard.

    Example:
        >>> quiet = Quiet()
        >>> with quiet:
        ...     print(bool(quiet))
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
