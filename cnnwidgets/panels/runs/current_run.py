"""A panel's current job and its publisher."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.jobs import Job, Publisher, worker
from cnnwidgets.panels.base.screen import WINDOW
from cnnwidgets.panels.protocols import F


def _nothing(*_arguments: object) -> None:
    """The default of callbacks."""


@dataclass(frozen=True)
class Listener(Generic[F]):
    """What is called in the course of a run.

    All but `paint` are called with the run's lock held, and only while the run is the current one.

    Attributes:
        show: on the publisher's thread, with the frame, its picture as JPEG, and its number.
        finished: on the publisher's thread, after the last frame.
        paint: on the publisher's thread: a frame as a picture [H, W, C]; `None` where frames are no pictures.
        begun: on the thread that begins it, before the first step.
        running: on the worker's thread, when it computes, at first or after a pause.
        paused: on the publisher's thread, once nothing is computed any more.
    """

    show: Callable[[F, bytes, int], object]
    finished: Callable[[Job[F]], object]
    paint: Callable[[F], np.ndarray] | None = None
    begun: Callable[[], object] = _nothing
    running: Callable[[Job[F]], object] = _nothing
    paused: Callable[[Job[F]], object] = _nothing


class CurrentRun(Generic[F]):
    """A job and its publisher; a run that is replaced by another one is stopped, and shows nothing more.

    Attributes:
        job: the run, or `None` before the first.
        is_visible: whether its panel can be seen; visible runs go first.
        is_watched: whether a page has ever acknowledged a frame.
        lock: to be held while acting on the current job.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.job: Job[F] | None = None
        self.is_watched = False
        self._is_visible = True
        self._publisher: Publisher[F] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether it computes, waits for its turn, or is paused."""
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

    def begin(self, frames: Iterator[F], listener: Listener[F]) -> None:
        """Hand frames down to the worker; an earlier run is stopped, and its reports are ignored."""

        def running(job: Job[F]) -> None:
            self._report(job, listener.running, "running")

        def paused(job: Job[F]) -> None:
            self._report(job, listener.paused, "paused")

        def show(frame: F, number: int) -> None:
            # Without the lock, since it takes a while: buttons and sliders wait for the lock.
            jpeg = b"" if listener.paint is None else pictures.to_jpeg(listener.paint(frame))
            with self.lock:
                if job is self.job:
                    listener.show(frame, jpeg, number)

        def finished(job: Job[F]) -> None:
            self._report(job, listener.finished)

        job: Job[F] = Job(frames, on_change=running)
        publisher = Publisher(job, show, finished=finished, paused=paused, window=WINDOW)
        publisher.start()
        self._replace(publisher)
        with self.lock:
            if job is self.job:  # else another thread has begun another run
                listener.begun()
                worker().submit(job)

    def drop(self) -> None:
        """Stop it, and show nothing more of it."""
        self._replace(None)

    def pause(self) -> None:
        """Make no further steps until `resume`."""
        if self.job is not None:
            self.job.pause()

    def resume(self) -> None:
        """Continue after `pause`."""
        if self.job is not None:
            self.job.resume()

    def stop(self) -> None:
        """End it after the current step, and do not wait for that."""
        if self.job is not None:
            self.job.stop()

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it has ended and `finished` was called; not on the threads that would have to call it."""
        publisher = self._publisher
        is_called_by_it = isinstance(threading.current_thread(), Publisher) or worker().is_this_thread
        if publisher is not None and not is_called_by_it:
            publisher.join(timeout)

    def acknowledge(self, number: int) -> None:
        """Note that a frame has reached the page."""
        publisher, self.is_watched = self._publisher, True
        if publisher is not None:
            publisher.acknowledge(number)

    def _report(self, job: Job[F], call: Callable[[Job[F]], object], state: str | None = None) -> None:
        """Call it with the lock held, if the job is still the current one, and in this state where one is given."""
        with self.lock:
            if job is self.job and state in (None, job.state):
                call(job)

    def _replace(self, publisher: Publisher[F] | None) -> None:
        with self.lock:
            old, self._publisher = self._publisher, publisher
            self.job = publisher.job if publisher is not None else None
            self.is_visible = self._is_visible
        if old is not None:  # without the lock: it may be showing a frame, and so wait for the lock itself
            old.mute()
            old.job.release()
