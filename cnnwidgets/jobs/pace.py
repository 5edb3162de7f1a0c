"""Rate limit for frames: no faster than they are acknowledged, and slow if nobody acknowledges."""

from __future__ import annotations

import itertools
from collections import deque

MOST_FPS = 30.0  # more than a page shows
FULL_INTERVAL = 0.5  # seconds between frames while the window is full
ABSENT_AFTER = 10.0  # seconds without an acknowledgement after which the page is taken to be gone
ABSENT_INTERVAL = 2.0  # seconds between frames from then on

_numbers = itertools.count(1)  # shared by all runs, so that late acknowledgements of an earlier run are ignored


class Pace:
    """Decides from time stamps alone, in seconds of any steady clock; it neither sleeps nor reads a clock.

    Args:
        fps: most frames in a second, above 0, at most 30.
        window: frames that may be under way, sent and not yet acknowledged; each further one waits half a second.
    """

    def __init__(self, fps: float = 15.0, window: int = 2) -> None:
        if not fps > 0:
            raise ValueError(f"fps is {fps!r}; it must be above 0 (30 at most are sent)")
        self._interval = 1 / min(fps, MOST_FPS)
        self._window = window
        self._under_way: deque[int] = deque(maxlen=max(64, window))
        self._sent_at = float("-inf")
        self._unacknowledged_since = float("inf")  # time of the oldest unacknowledged frame; infinite if none

    def delay(self, now: float) -> float:
        """Seconds until the next frame may be sent, if no acknowledgement arrives before; 0 or less: now."""
        if now - self._unacknowledged_since >= ABSENT_AFTER:
            interval = ABSENT_INTERVAL
        elif len(self._under_way) >= self._window:
            interval = FULL_INTERVAL
        else:
            interval = 0.0
        return self._sent_at + max(interval, self._interval) - now

    def sent(self, now: float) -> int:
        """Note that a frame is sent now; returns its number, which no other frame of this process has."""
        number = next(_numbers)
        self._under_way.append(number)
        self._sent_at = now
        self._unacknowledged_since = min(self._unacknowledged_since, now)
        return number

    def acknowledged(self, number: int, now: float) -> None:
        """Note that frame `number`, and so each one before it, has arrived; one that is not under way is ignored."""
        if number not in self._under_way:
            return
        while self._under_way and self._under_way[0] <= number:
            self._under_way.popleft()
        self._unacknowledged_since = now if self._under_way else float("inf")
