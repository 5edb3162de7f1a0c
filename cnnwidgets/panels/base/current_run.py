"""A panel's current job and its publisher."""

from __future__ import annotations

import threading
from typing import Any

from cnnwidgets.jobs import Job, Publisher


class CurrentRun:
    """A job and its publisher; what another run replaces is stopped, and shows nothing more.

    Attributes:
        job: the run, or `None` before the first.
        is_visible: whether its panel can be seen; a run that can goes first.
        is_watched: whether a page has ever told that it got a frame.
        lock: to be held by whoever looks whether a job is still the current one, and acts on it.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.job: Job[Any] | None = None
        self.is_watched = False
        self._is_visible = True
        self._publisher: Publisher[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it computes, waits for its turn, or is held."""
        return self.job is not None and not self.job.ended

    @property
    def is_visible(self) -> bool:
        """Whether the run can be seen on the page."""
        return self._is_visible

    @is_visible.setter
    def is_visible(self, is_visible: bool) -> None:
        with self.lock:
            self._is_visible = is_visible
            if self.job is not None:
                self.job.visible = is_visible

    def replace(self, publisher: Publisher[Any] | None) -> None:
        """Let the job of a publisher that has been started be the current one, or none."""
        with self.lock:
            old, self._publisher = self._publisher, publisher
            self.job = publisher.job if publisher is not None else None
            self.is_visible = self._is_visible
        if old is not None:  # without the lock: it may be showing a frame, and so wait for the lock itself
            old.mute()
            old.job.release()

    def pause(self) -> None:
        """Make no further steps until `resume`."""
        if self.job is not None:
            self.job.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.job is not None:
            self.job.resume()

    def stop(self) -> None:
        """End it after the step under way, and do not wait for that."""
        if self.job is not None:
            self.job.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended and the last word on it is said; not on the threads that say it."""
        publisher = self._publisher
        if publisher is not None and not threading.current_thread().name.startswith("cnnwidgets-"):
            publisher.join(timeout)

    def acknowledge(self, number: int) -> None:
        """Note that a frame has reached the page."""
        publisher, self.is_watched = self._publisher, True
        if publisher is not None:
            publisher.acknowledge(number)
