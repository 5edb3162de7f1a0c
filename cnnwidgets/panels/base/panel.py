"""A panel of a verb: one run at a time, whose frames are shown while they are made.

From a click to a picture, in the order of the methods below: `start` hands an unstarted iterator DOWN to the
worker; the worker keeps its newest frame; the publisher hands that UP to `_show`, which puts it on the page; the last
one is concluded. Nothing else crosses between the threads, and each part names the thread on which it runs.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs import Job, worker
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import device_kind
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base.base_panel import BUSY, BasePanel
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.base.scrubber import Scrubber
from cnnwidgets.panels.base.verb_hooks import VerbHooks
from cnnwidgets.panels.protocols import F
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener
from cnnwidgets.panels.runs.history import Record
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.positions import with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions

MOVING = "The weights are moving: the network is being trained."


class Panel(VerbHooks[F], BasePanel):
    """Buttons and pictures of one verb; a leaf class provides the methods of `VerbHooks`.

    Attributes:
        net: the network.
        frames_shown: how many frames were written to the picture, seen or not.
        result: what the verb returns, as far as it has come; `None` before the first frame.
        screen: the picture.
    """

    _curve_name: str | None = "objective"  # None where nothing is optimized

    def __init__(self, net: Network | Any, width: int = 512) -> None:
        self.net = as_network(net)
        self._run: CurrentRun[F] = CurrentRun()
        self._record = Record()
        self._last: Any = None  # the frame that is shown: an F, or None
        self._is_requested = True  # whether the user started this very run, rather than a setting
        self.screen = Screen(width, self._run.acknowledge, self._clicked)
        self._scrubber = Scrubber(lambda index: self._guarded(self._look_back, index))
        super().__init__(self._curve_name)
        self._graph = self._report.curve

    def _parts(self) -> Sequence[widgets.Widget]:
        return [*self._body(), self._report.progress_line, self._scrubber]

    def _body(self) -> Sequence[widgets.Widget]:
        return [self.screen]

    # A run begins, on a thread of the user's.

    def start(self) -> None:
        """Begin a run; one that is under way is stopped first. Returns at once with `state == "running"`.

        Raises:
            BadTarget: for settings that are not possible.
        """
        self._is_requested = True
        self._begin()

    def begin_unasked(self) -> None:
        """Begin a run that the user has not asked for: its end does not rebuild the output and take the focus."""
        self._begin_again()

    def _begin_again(self) -> None:
        """Begin a run because a setting has changed, which may happen often."""
        self._is_requested = False
        self._begin()

    def _begin(self) -> None:
        record = Record()
        begun = functools.partial(self._begun, record)
        listener = Listener(self._show, self._finished, self._paint, begun, self._running, self._paused)
        self._run.begin(record.watched(self._frames(), self._pixels, self._are_steps_first), listener)

    def _begun(self, record: Record) -> None:
        self._record = record
        self.frames_shown, self.progress, self.traceback = 0, 0.0, ""
        self._scrubber.offer(())
        self._report.begin()
        self._say("Preparing: compiling the first step for this layer.")
        self.state = "running"

    # What a run reports, with its lock held: on the worker's thread,

    def _running(self, _job: Job[F]) -> None:
        self._record.watch.go()
        self.state = "running"

    # and on the publisher's.

    def _show(self, frame: F, jpeg: bytes, number: int) -> None:
        """Put a frame on the page."""
        self.screen.put(jpeg, number)
        self._last = frame
        self.frames_shown += 1
        self.progress = max(self.progress, frame.step / frame.steps)  # a run may turn out longer than it began
        self.result = self._result(frame)
        if time.monotonic() >= self._report.due_at:
            self._describe(frame)
            doing = f"{MOVING} {self._doing(frame)}" if self.net.weights_are_moving else self._doing(frame)
            self.status = self._report.step(frame, self._record, self.progress, self._phase(frame), doing)

    def _paused(self, job: Job[F]) -> None:
        self._record.watch.hold()
        self._say(f"Paused at {_where(job)}. Resume continues from the next step.")
        self.state = "paused"

    def _finished(self, job: Job[F]) -> None:
        try:
            self._conclude(job)
        except Exception as error:  # nobody else would see it
            job.fail(error)
            failure = Failure.of(error)  # perhaps it cannot even be shown: each part is tried
            for part in (lambda: self._complain(failure), lambda: self.set_trait("state", "error"), self._show_state):
                with contextlib.suppress(Exception):
                    part()

    def _conclude(self, job: Job[F]) -> None:
        """Show the last frame for good, and how the run has ended."""
        self._record.watch.hold()
        frame = job.frame
        if frame is not None:
            self._keep(frame)
            self._offer_to_look_back(frame)
            self._keep_in_output()
        if job.state == "done":
            self.progress = 1.0
            self._report.end(self._record, 1.0, "done in")
            if frame is not None:
                self._ended(frame)
            self._say(self._noted(self._conclusion()))
        elif job.failure is None:
            self._report.end(self._record, self.progress, f"{_where(job)} · stopped after")
            self._say(f"Stopped at {_where(job)}. The last picture is kept; Start begins again.")
        else:
            self._report.end(self._record, self.progress, f"{_where(job)} · ended after")
            self._complain(job.failure)
        self.state = job.state

    def _keep_in_output(self) -> None:
        """Let a notebook that is saved now hold the picture."""
        if self._run.is_watched and not (self._is_requested and self.shown_in.may_redraw()):
            self.shown_in.refresh_later()
            return
        if self._is_requested:
            self._buttons.keep_focus()
        self.shown_in.refresh()

    # The run, from any thread of the user's: waited for, held, or ended.

    def run(self) -> Any:
        """Run to the end in this thread, with or without a browser, and return the result.

        Raises:
            JobFailed: when the run breaks; what it made is kept in `result`.
            KeyboardInterrupt: when it is interrupted; the run is stopped first.
        """
        self.start()
        job = None
        while job is not self._run.job:  # a setting that is changed meanwhile begins another run
            job = self._run.job
            if job is None:
                break
            try:
                worker().run(job)
            finally:
                self._run.wait()
        if self.state == "error":
            raise JobFailed(self.status)
        return self.result

    def pause(self) -> None:
        """Hold the run after the current step; "paused" once nothing is computed any more."""
        self._run.pause()

    def resume(self) -> None:
        """Continue after a pause, with the next step."""
        self._run.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the run after the current step and keep its last picture; harmless where nothing runs."""
        self._stop_soon()
        self._run.wait(timeout)

    def _stop_soon(self) -> None:
        self._run.stop()

    # The page, from any thread.

    def _rest(self) -> None:
        """Show the empty panel, and what Start will do."""
        self._last = self.result = None
        self._record = Record()
        self.frames_shown, self.progress = 0, 0.0
        self.screen.explain(self._invitation())
        self._scrubber.offer(())
        self._report.clear()
        self._say(self._noted(""))
        self._show_state()

    def _keep(self, frame: F) -> None:
        """Show a frame for good."""
        self.screen.show(self._paint(frame))
        self._last = frame
        self.result = self._result(frame)
        self._describe(frame)

    def _show_state(self) -> None:
        busy = self.state in BUSY
        can_save = not busy and self._last is not None and self.may_save
        self._buttons.show(busy, self.state == "paused", busy or self._is_busy_beside(), can_save)
        self._code.refresh()

    def _noted(self, text: str) -> str:
        """A sentence for the status line, after remarks about the network and the photograph."""
        moving = MOVING if self.net.weights_are_moving else ""
        return " ".join(filter(None, [moving, self._note(), text]))

    # Looking back at a run that has ended.

    def _offer_to_look_back(self, frame: F) -> None:
        moments = [f"step {moment.step} of {self._record.steps}" for moment in self._record.snapshots]
        is_shown_already = bool(moments) and self._record.snapshots[-1].step == frame.step
        self._scrubber.offer([*moments[: -1 if is_shown_already else None], "the end"])

    def _look_back(self, index: int) -> None:
        """Show an earlier moment of the run, or its end."""
        with self._run.lock:
            moments = self._record.snapshots
            if self._last is None or self.state in BUSY:
                return
            if index >= len(moments) or moments[index].step == self._last.step:
                self._keep(self._last)
                return
            self.screen.show(self._paint_pixels(moments[index].pixels), 0)
            self._describe_moment(moments[index])

    # Files and code, on the user's thread.

    def recipe_of(self) -> Recipe:
        """The recipe of the picture that is shown: everything that changes a pixel."""
        return self._recipe(self.net.fingerprint())

    def _recipe(self, fingerprint: str) -> Recipe:
        verb, settings = self._settings()
        located = with_positions(settings, self.net)
        return Recipe(verb, self.net.name, fingerprint, located, installed_versions(), device_kind())

    def snippet(self) -> str:
        """The Python that makes the same picture without a widget."""
        verb, settings = self._settings()
        return snippets.write(verb, self.net.name, settings)

    def _shown_picture(self) -> np.ndarray | None:
        return None if self._last is None else self._picture(self._last)

    def _film(self) -> Sequence[np.ndarray]:
        earlier = [self._picture_of_pixels(moment.pixels) for moment in self._record.snapshots]
        return [*earlier, pictures.to_uint8(self._picture(self._last))]

    def _recorded(self) -> dict[str, Any]:
        return self.recipe_of().to_dict()

    # The widget itself.

    def __repr__(self) -> str:
        job = self._run.job  # its end is kept in the cell's output before it is reported
        return f"{type(self).__name__}({self.net.name!r}, {self.state if job is None or not job.ended else job.state})"

    @property
    def is_visible(self) -> bool:
        """Whether it can be seen; visible panels go first."""
        return self._run.is_visible

    @is_visible.setter
    def is_visible(self, is_visible: bool) -> None:
        self._run.is_visible = is_visible

    def _end(self) -> None:
        self._run.drop()
        self.screen.close()


def _where(job: Job[Any]) -> str:
    return f"step {job.frame.step} of {job.frame.steps}" if job.frame is not None else "the beginning"
