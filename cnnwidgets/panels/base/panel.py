"""What all panels share: one row of controls, a screen, progress, a status line, and one run at a time.

The journey of a click: `start` hands an unstarted iterator DOWN to the worker; the worker keeps its newest frame; the
publisher hands that UP to `_show`, which paints it on the screen. Nothing else crosses between the threads.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets
import traitlets

from cnnwidgets import pictures
from cnnwidgets.durations import spoken
from cnnwidgets.errors import JobFailed
from cnnwidgets.jobs import Job, Publisher, worker
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import as_network
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.cell_output import Bundle, CellOutput
from cnnwidgets.panels.base.current_run import CurrentRun
from cnnwidgets.panels.base.export import Takeaway
from cnnwidgets.panels.base.history import Record
from cnnwidgets.panels.base.screen import WINDOW, Screen
from cnnwidgets.panels.base.scrubber import Scrubber

SIDE = {"flex": "1 1 280px", "min_width": "0", "max_width": "320px"}  # of what stands beside the picture
TEXT_INTERVAL = 0.2  # seconds between two updates of progress, curve and captions
BUSY = ("running", "paused")


class Panel(Takeaway, widgets.VBox):
    """Controls and pictures of one verb. A subclass says what runs, what is painted and what it means.

    Attributes:
        state: "idle" "running" "paused" "stopped" "done" or "error".
        progress: 0 to 1.
        status: one line of text.
        frames_shown: how many frames were written to the picture, seen or not.
        result: what the verb returns, as far as it has come; `None` before the first frame.
        shown_in: the cell output that keeps its last picture; that of an Explorer, where it is a part of one.
    """

    state = traitlets.Enum(["idle", "running", "paused", "stopped", "done", "error"], "idle")
    progress = traitlets.Float(0.0, min=0.0, max=1.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result = traitlets.Any(None, allow_none=True)

    _curve_name = "objective"

    def __init__(self, net: Any, width: int = 512) -> None:
        self.net = as_network(net)
        self.traceback = ""
        self._run = CurrentRun()
        self._record = Record()
        self._last: Any = None  # the frame that is shown
        self._is_stop_pressed = False  # so that Stop has the focus
        self._texted = 0.0  # when the words beside the picture were brought up to date
        self._buttons = {
            "start": self._button("Start", "play", self.start, "Start the run, or start it again", "primary"),
            "pause": self._button("Pause", "pause", self._pause_or_resume, "Pause the run; press again to resume"),
            "stop": self._button("Stop", "stop", self._press_stop, "Stop the run and keep the last picture"),
            "save": self._button("Save", "download", self._save_png, "Save the picture as PNG with its recipe"),
            "gif": self._button("Save GIF", "film", self._save_gif, "Save the run as an animation"),
            "code": self._button("Copy code", "code", self._toggle_code, "Show Python code for the same picture"),
        }
        self.screen = Screen(width, self._run.acknowledge, self._clicked)
        self._scrubber = Scrubber(lambda index: self._guarded(self._look_back, index))
        self._progress_line = markup.markup("", width="100%")
        self._line = markup.markup(markup.status(""), width="100%")
        self._graph = markup.markup("")
        self._code = markup.markup("", display="none", width="100%")
        self._controls = widgets.HBox(list(self._buttons.values()), layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__(layout=widgets.Layout(width="100%", max_width="850px"))
        self.add_class("cnnw")
        self._style = markup.markup(markup.STYLE, display="none")
        words = [self._progress_line, self._scrubber, self._line, self._code]
        self.children = [self._style, self._controls, *self._body(), *words]
        self._output = self.shown_in = CellOutput(self)
        self._show_state()
        self._rest()
        lifecycle.replace_in_cell(self)

    def __repr__(self) -> str:
        job = self._run.job  # its end is kept in the cell's output before it is told
        return f"{type(self).__name__}({self.net.name!r}, {self.state if job is None or not job.ended else job.state})"

    @property
    def is_visible(self) -> bool:
        """Whether it can be seen; what can goes first."""
        return self._run.is_visible

    @is_visible.setter
    def is_visible(self, is_visible: bool) -> None:
        self._run.is_visible = is_visible

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        """The widget, and the picture that is shown, for where no kernel is."""
        bundle: Bundle = super()._repr_mimebundle_(**options)
        if self._last is not None:
            still = pictures.to_still(self._picture(self._last))
            bundle["image/png"] = base64.b64encode(still).decode()
        return bundle

    def _ipython_display_(self) -> None:
        self._output.display()

    # The run.

    def start(self) -> None:
        """Begin a run; one that is under way is stopped first. Returns at once with `state == "running"`.

        Raises:
            BadTarget: for settings that cannot be.
        """
        self._is_asked_for = True
        self._begin()

    def _begin_again(self) -> None:
        """Begin a run because of something that was changed, and that may go on being changed."""
        self._is_asked_for = False
        self._begin()

    def _begin(self) -> None:
        self._is_stop_pressed = False
        record = Record()
        job = Job(self._recorded(self._frames(), record), on_change=self._job_changed)
        show = functools.partial(self._show, job)
        publisher = Publisher(job, show, finished=self._finished, paused=self._paused, window=WINDOW)
        publisher.start()
        self._run.replace(publisher)
        with self._run.lock:
            if job is not self._run.job:  # another thread has begun another run
                return
            self._record = record
            self.frames_shown, self.progress, self.traceback = 0, 0.0, ""
            self._texted = float("-inf")
            self._scrubber.offer(())
            self._tell_progress("")
            self._say("Preparing: compiling the first step for this layer.")
            worker().submit(job)
            self.state = "running"

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
        """Hold the run after the step under way; "paused" once nothing is computed any more."""
        self._run.pause()

    def resume(self) -> None:
        """Go on after a pause, with the very next step."""
        self._run.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the run after the step under way and keep its last picture; harmless where nothing runs."""
        self._ask_to_stop()
        self._run.wait(timeout)

    def _press_stop(self) -> None:
        self._is_stop_pressed = not self._buttons["stop"].disabled
        self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        """The Stop button: it only says so, since a callback must not wait."""
        self._run.stop()

    def _recorded(self, frames: Iterator[Any], record: Record) -> Iterator[Any]:
        """Pass frames on and note each step: runs on the worker's thread."""
        for frame in frames:
            if self._is_step(frame):
                record.add(frame, self._pixels)
            yield frame

    # What the run says: on the threads of worker and publisher. A run that was replaced is not heard any more.

    def _job_changed(self, job: Job[Any]) -> None:
        with self._run.lock:
            if job is self._run.job and job.state == "running":
                self._record.watch.go()
                self.state = "running"

    def _paused(self, job: Job[Any]) -> None:
        with self._run.lock:
            if job is self._run.job and job.state == "paused":
                self._record.watch.hold()
                self._say(f"Paused at {_where(job)}. Resume continues from the next step.")
                self.state = "paused"

    def _show(self, job: Job[Any], frame: Any, number: int) -> None:
        """Put a frame on the page."""
        picture = self._paint(frame)
        with self._run.lock:
            if job is not self._run.job:
                return
            self.screen.show(picture, number)
            self._last = frame
            self.frames_shown += 1
            self.progress = max(self.progress, frame.step / frame.steps)  # a run may turn out longer than it began
            self.result = self._result(frame)
            now = time.monotonic()
            if now - self._texted >= TEXT_INTERVAL:
                self._texted = now
                self._tell(frame)

    def _tell(self, frame: Any) -> None:
        """Bring the words beside the picture up to date."""
        phase, left = self._phase(frame), self._record.seconds_left
        if phase:
            most = self._record.phase_left(phase, frame.step, frame.steps)
            at_most = "" if most is None else f" · at most {spoken(most, tenths=True)} left"
            self._tell_progress(f"{phase} · {spoken(self._record.watch.seconds, tenths=True)} so far{at_most}")
        else:
            time_left = "" if left is None else f" · {spoken(left, tenths=True)} left"
            self._tell_progress(f"step {frame.step} of {frame.steps}{time_left}")
        self._draw_curve()
        self._describe(frame)
        if self.state == "running":
            self._say(self._doing(frame))

    def _finished(self, job: Job[Any]) -> None:
        """The last word on a run."""
        with self._run.lock:
            if job is not self._run.job:
                return
            try:
                self._conclude(job)
            except Exception as error:  # nobody else would see it
                job.fail(error)
                self._give_up(Failure.of(error))

    def _conclude(self, job: Job[Any]) -> None:
        self._record.watch.hold()
        spent = spoken(self._record.watch.seconds, tenths=True)
        frame = job.frame
        if frame is not None:
            self._keep(frame)
            self._draw_curve()
            self._offer_to_look_back(frame)
            self._keep_in_output()
        if job.state == "done":
            self.progress = 1.0
            self._tell_progress(f"done in {spent}")
            self._ended(frame)
            self._say(self._noted(self._conclusion()))
        elif job.state == "stopped":
            self._tell_progress(f"{_where(job)} · stopped after {spent}")
            self._say(f"Stopped at {_where(job)}. The last picture is kept; Start begins again.")
        elif job.failure is not None:
            self._tell_progress(f"{_where(job)} · ended after {spent}")
            self._complain(job.failure)
        self.state = job.state

    def _give_up(self, failure: Failure) -> None:
        """Say that the run is over, where even that may reach no page: each part is tried, whatever the others did."""
        for part in (lambda: self._complain(failure), lambda: self.set_trait("state", "error"), self._show_state):
            with contextlib.suppress(Exception):
                part()

    def _keep_in_output(self) -> None:
        """Let a notebook that is saved now hold what is shown."""
        if not self._run.is_watched:
            self.shown_in.refresh()
        elif self._is_asked_for:
            self.shown_in.refresh_in_sight()
        else:
            self.shown_in.refresh_later()

    def _offer_to_look_back(self, frame: Any) -> None:
        words = [f"step {moment.step} of {self._record.steps}" for moment in self._record.snapshots]
        is_shown_already = bool(words) and self._record.snapshots[-1].step == frame.step
        self._scrubber.offer([*words[: -1 if is_shown_already else None], "the end"])

    def _look_back(self, index: int) -> None:
        """Show an earlier moment of the run that has ended, or its end."""
        with self._run.lock:
            moments = self._record.snapshots
            if self._last is None or self.state in BUSY:
                return
            if index >= len(moments) or moments[index].step == self._last.step:
                self._keep(self._last)
                return
            self.screen.show(self._paint_pixels(moments[index].pixels), 0)
            self._describe_moment(moments[index])

    def _keep(self, frame: Any) -> None:
        """Show a frame for good."""
        self.screen.show(self._paint(frame))
        self._last = frame
        self.result = self._result(frame)
        self._describe(frame)

    def _ended(self, frame: Any) -> None:
        """Hear that a run has come to its end with this frame."""

    # The controls.

    def _button(self, label: str, icon: str, action: Any, hint: str, style: str = "") -> widgets.Button:
        button = widgets.Button(
            description=label, icon=icon, tooltip=hint, button_style=style, layout=widgets.Layout(width="auto")
        )
        button.on_click(lambda _: self._guarded(action))
        return button

    def _guarded(self, action: Any, *arguments: Any) -> None:
        """Run what a control asks for; what goes wrong is said in the status line, never in a hidden console."""
        try:
            action(*arguments)
        except Exception as error:  # a callback's traceback would be seen by nobody
            self._complain(Failure.of(error))

    def _complain(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._say(markup.complaint(failure), is_error=True)

    def _pause_or_resume(self) -> None:
        if self.state == "paused":
            self.resume()
        else:
            self.pause()

    @traitlets.observe("state")
    def _state_changed(self, _change: object) -> None:
        self._show_state()

    def _show_state(self) -> None:
        busy = self.state in BUSY
        pause = self._buttons["pause"]
        pause.disabled = not busy
        pause.description = "Resume" if self.state == "paused" else "Pause"
        pause.icon = "play" if self.state == "paused" else "pause"
        self._show_stop(busy or self._is_busy_beside())
        for name in ("save", "gif"):
            self._buttons[name].disabled = busy or self._last is None or not self.may_save
        if self._code.layout.display != "none":
            self._write_code()

    def _show_stop(self, is_enabled: bool) -> None:
        """Enable or disable Stop; a browser takes the focus from a button that is disabled, so Start gets it first."""
        if not is_enabled and self._is_stop_pressed:
            self._is_stop_pressed = False
            self._buttons["start"].focus()
        self._buttons["stop"].disabled = not is_enabled

    def _say(self, text: str, is_error: bool = False) -> None:
        self.status = markup.one_line(text)
        self._line.value = markup.status(self.status, is_error)

    def _noted(self, text: str) -> str:
        """A line for the status, after what has to be said of the photograph."""
        return f"{self._note()} {text}".strip()

    def _tell_progress(self, text: str) -> None:
        self._progress_line.value = markup.progress(self.progress, text)

    def _draw_curve(self) -> None:
        self._graph.value = markup.curve(self._record.objective, self._record.steps, self._curve_name)

    def _rest(self) -> None:
        """Show the empty panel: what Start will do."""
        self._last = self.result = None
        self._record = Record()
        self.frames_shown, self.progress = 0, 0.0
        self.screen.explain(self._invitation())
        self._graph.value = ""
        self._scrubber.offer(())
        self._tell_progress("")
        self._say(self._noted(""))
        self._show_state()

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is None:  # closed already, or refused by its constructor
            return
        self._run.replace(None)
        if self.state in BUSY:
            self.state = "stopped"
        self._output.forget()
        self.screen.close()
        lifecycle.close_whole(self._graph)  # which not every panel shows
        lifecycle.close_all(self)
        super().close()


def _where(job: Job[Any]) -> str:
    return f"step {job.frame.step} of {job.frame.steps}" if job.frame is not None else "the beginning"
