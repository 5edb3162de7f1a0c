"""A run of an iterator of frames: controlled from any thread, stepped by one."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Generic, Literal, TypeVar, cast

from cnnwidgets.jobs.failure import Failure

F = TypeVar("F")
State = Literal["waiting", "running", "paused", "stopped", "done", "error"]
ENDED: frozenset[State] = frozenset({"stopped", "done", "error"})


def _nothing() -> None:
    """The `close` of an iterator that has none."""


class Job(Generic[F]):
    """One run of `frames`; only the newest frame is kept, and a frame nobody took in time is skipped.

    `pause`, `resume` and `stop` are requests: callable from any thread, any number of times. They take effect between
    two steps, so "paused" and "stopped" mean that no device work is left.

    `failure` describes what went wrong as text, since a kept exception would keep every array it passed; it is `None`
    where nothing went wrong.

    Args:
        frames: any iterator; its `close()`, if it has one, is called at the end by the thread that stepped it.
        on_change: called with the job after each change of state, by the thread that changed it, mostly the worker's.
            It may report the end before the last frame is shown; `Publisher(finished=...)` comes after both.
        visible: whether somebody can see the result now; visible jobs go first. May be set at any time.

    Example: `job = Job(ascend(net, objective)); worker().submit(job); job.wait(); job.frame`
    """

    def __init__(
        self, frames: Iterator[F], *, on_change: Callable[[Job[F]], object] | None = None, visible: bool = True
    ) -> None:
        self.visible = visible
        self.state: State = "waiting"
        self.frame: F | None = None
        self.frames_made = 0
        self.fresh = False  # a frame is there that `take` has not taken yet
        self.failure: Failure | None = None
        self.changed = threading.Condition()  # notified when the state changes and when `fresh` becomes true
        self._frames: Iterator[F] | None = frames
        self._on_change = on_change
        self._context = contextvars.copy_context()  # ipykernel 7.0 sends nothing from a thread without its cell
        self._request: Literal["go", "pause", "stop"] = "go"
        self._wake: Callable[[], None] | None = None
        self._released = False

    def __repr__(self) -> str:
        return f"Job({self.state}, {self.frames_made} frames)"

    # From any thread.

    @property
    def ended(self) -> bool:
        """Whether the run is over: stopped, done, or failed."""
        return self.state in ENDED

    def pause(self) -> None:
        """Make no further frames until `resume`."""
        self._set_request("pause")

    def resume(self) -> None:
        """Continue after `pause`, with the next frame."""
        self._set_request("go")

    def stop(self) -> None:
        """End the run for good; does nothing if it has ended."""
        self._set_request("stop")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the run has ended, at most `timeout` seconds; never on the worker's own thread."""
        with self.changed:
            return self.changed.wait_for(lambda: self.ended, timeout)

    def take(self) -> F:
        """The newest frame, which is then no longer `fresh`; there must be one."""
        with self.changed:
            self.fresh = False
            return cast("F", self.frame)

    def fail(self, error: BaseException) -> None:
        """End the run as an error, or turn its end into one; the first error is the one reported."""
        self._record(error)
        if self.ended:
            self._become("error")
        else:
            self.stop()

    def release(self) -> None:
        """Stop, and drop the frame and the callback: for a run that will not be shown again."""
        self.stop()
        with self.changed:
            self._released, self._on_change = True, None
            self.frame, self.fresh = None, False

    # For the worker.

    @property
    def ready(self) -> bool:
        """Whether `advance` has something to do."""
        return not self.ended and (self._request != "pause" or self.state != "paused")

    @property
    def priority(self) -> tuple[bool, bool, bool]:
        """Sort key of the worker: ready jobs; of these pending requests, which cost nothing; then visible jobs."""
        return self.ready, self._request != "go", self.visible

    def attach(self, wake: Callable[[], None]) -> None:
        """Call `wake` after each request, on the requesting thread."""
        with self.changed:
            self._wake = wake

    def advance(self) -> None:
        """Apply the request, then make at most one frame; raises nothing."""
        if self._request == "stop":
            self._end("stopped")
        elif self._request == "pause":
            self._become("paused")
        else:
            self._become("running")
            self._step()

    def _set_request(self, request: Literal["go", "pause", "stop"]) -> None:
        with self.changed:
            if self.ended or self._request == "stop":
                return
            self._request = request
            wake = self._wake
        if wake is not None:  # outside this lock: the worker takes another one
            wake()
        elif request == "stop":  # never submitted, so nobody else would end it
            self.advance()

    def _step(self) -> None:
        if self._frames is None:
            return
        ending: State = "done"
        try:
            self._put(next(self._frames))
            return
        except StopIteration:
            pass
        except KeyboardInterrupt:  # an interrupt sent to this thread means Stop
            ending = "stopped"
        except BaseException as error:  # SystemExit too: the thread has other jobs to run
            self._record(error)
        self._end(ending)  # here, where the exception and its references are gone already

    def _put(self, frame: F) -> None:
        with self.changed:
            self.frames_made += 1
            if self._released:
                return
            self.frame = frame
            if not self.fresh:  # if the last one was not taken, no need to wake again
                self.fresh = True
                self.changed.notify_all()

    def _end(self, state: State) -> None:
        with self.changed:
            frames, self._frames = self._frames, None
        if frames is None:
            return
        try:
            getattr(frames, "close", _nothing)()
        except BaseException as error:
            self._record(error)
        del frames  # freed before `on_change` is called
        self._become(state)

    def _record(self, error: BaseException) -> None:
        failure = Failure.of(error)
        with self.changed:
            self.failure = self.failure or failure  # the first one counts

    def _become(self, state: State) -> None:
        with self.changed:
            if state in ENDED and self.failure is not None:
                state = "error"
            if state == self.state:
                return
            self.state = state
            self.changed.notify_all()
            on_change = self._on_change
        if on_change is None:
            return
        try:
            self._context.copy().run(on_change, self)
        except BaseException as error:
            self.fail(error)
