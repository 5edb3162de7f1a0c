"""The link between a job and its display: passes on the newest frame, at the rate at which frames are seen.

It is no faster than they are acknowledged, and slow if nobody acknowledges.
"""

from __future__ import annotations

import contextvars
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from cnnwidgets.jobs.job import ENDED, Job

MOST_FPS = 30.0  # more than a page shows
FULL_INTERVAL = 0.5  # seconds between frames while the window is full
ABSENT_AFTER = 10.0  # seconds without an acknowledgement after which the page is taken to be gone
ABSENT_INTERVAL = 2.0  # seconds between frames from then on

F = TypeVar("F")

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


class Publisher(threading.Thread, Generic[F]):
    """A thread that lives as long as one run; it skips frames and never queues them.

    The first frame, the last, and the last before a pause are shown at once. An exception in `show`, `paused` or
    `finished` ends the job as an error.

    Args:
        job: the run whose frames are shown.
        show: called as `show(frame, number)`; may be slow; call `acknowledge(number)` once the frame is seen.
        finished: called once as `finished(job)` after the end of the run and the last `show`.
        paused: called as `paused(job)` in each pause, once the last frame before it is shown.
        fps: most frames in a second, at most 30.
        window: frames that may be shown and not yet acknowledged.
        clock: seconds, steady.

    Example: `Publisher(job, show, finished=finished).start(); worker().submit(job)`
    """

    def __init__(
        self,
        job: Job[F],
        show: Callable[[F, int], object],
        *,
        finished: Callable[[Job[F]], object] = lambda job: None,
        paused: Callable[[Job[F]], object] = lambda job: None,
        fps: float = 15.0,
        window: int = 2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name="cnnwidgets-publisher", daemon=True)
        self.job = job
        self.shown = 0
        self._context = contextvars.copy_context()  # ipykernel 7.0 sends nothing from a thread without its cell
        self._show = show
        self._finished = finished
        self._paused = paused
        self._clock = clock
        self._pace = Pace(fps, window)
        self._muted = False
        self._reported_pause = False
        self._calling = threading.RLock()  # held while `show`, `paused` or `finished` runs

    def acknowledge(self, number: int) -> None:
        """Note, from any thread, that frame `number` has arrived; numbers of other runs are ignored."""
        with self.job.changed:
            self._pace.acknowledged(number, self._clock())
            self.job.changed.notify_all()

    def mute(self, timeout: float = 0.5) -> None:
        """Show nothing more, for a run that another one replaces; `finished` is still called.

        Waits for a running call of `show`, `paused` or `finished`, at most `timeout` seconds: it may itself be waiting
        for the caller.
        """
        self._muted = True
        if self._calling.acquire(timeout=timeout):
            self._calling.release()

    def run(self) -> None:
        """The thread's body, in the context of the cell that made it: `start` calls it."""
        self._context.run(self._run_to_the_end)

    def _run_to_the_end(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            self.job.fail(error)
        self.job.wait()
        try:
            with self._calling:
                self._finished(self.job)
        except BaseException as error:
            self.job.fail(error)

    def _turn(self) -> bool:
        """Show one frame or report a pause; a separate function, so that a waiting thread keeps no frame alive."""
        with self.job.changed:
            if not self._wait_for_turn():
                return False
            is_pause = self._reported_pause = not self.job.fresh  # the next pause comes after another frame
            if not is_pause:
                number, frame = self._pace.sent(self._clock()), self.job.take()
        with self._calling:
            if self._muted:
                return False
            if is_pause:
                self._paused(self.job)
            else:
                self._show(frame, number)
                self.shown += 1
        return True

    def _wait_for_turn(self) -> bool:
        """Wait for a frame to show or a pause to report (true), or for the end (false)."""
        job = self.job
        while True:
            delay = None
            if job.fresh:
                at_once = self.shown == 0 or job.state == "paused" or job.state in ENDED
                delay = 0.0 if at_once else self._pace.delay(self._clock())
                if delay <= 0:
                    return True
            elif job.state in ENDED:
                return False
            elif job.state == "paused" and not self._reported_pause:
                return True
            job.changed.wait(delay)
