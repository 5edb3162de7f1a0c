"""The running time of a run, without its pauses."""

from __future__ import annotations

import time
from collections.abc import Callable


class Stopwatch:
    """Counts seconds from `begin`, except those between `hold` and `go`.

    Args:
        clock: seconds, steady.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """Count from zero."""
        self._counted, self._since = 0.0, self._clock()
        self._running = True

    def hold(self) -> None:
        """Count no further until `go`; harmless while it is held."""
        self._counted, self._running = self.seconds, False

    def go(self) -> None:
        """Count on; harmless while it counts."""
        self._counted, self._since, self._running = self.seconds, self._clock(), True

    @property
    def seconds(self) -> float:
        """What it has counted."""
        return self._counted + (self._clock() - self._since if self._running else 0.0)
