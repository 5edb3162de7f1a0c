"""What all panels share: a row of buttons, a screen, progress, a status line, and one run at a time.

The way of a click to a picture: `start` hands an unstarted iterator DOWN to the worker; the worker keeps its newest
frame; the publisher hands that UP to `_show`, which puts it on the screen. Nothing else crosses between the threads,
and each part of the class below names the thread on which it runs.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Generic

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, JobFailed
from cnnwidgets.jobs import Job, worker
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.device import device_kind
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base import lifecycle, markup, run_buttons
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.cell_output import Bundle, CellOutput
from cnnwidgets.panels.base.current_run import CurrentRun, Listener
from cnnwidgets.panels.base.export import CodeBox, Export
from cnnwidgets.panels.base.history import Record, Snapshot
from cnnwidgets.panels.base.report import Report
from cnnwidgets.panels.base.run_buttons import RunButtons
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.base.scrubber import Scrubber
from cnnwidgets.panels.protocols import F
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.positions import with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions

SIDE = {"flex": "1 1 280px", "min_width": "0", "max_width": "320px"}  # of a column next to the picture
BUSY = ("running", "paused")
MOVING = "The weights are moving: the network is being trained."


class Panel(widgets.VBox, Generic[F]):
    """Buttons and pictures of one verb. The constructor only stores: a leaf class ends its own with `_assemble()`.

    Attributes:
        state: "idle" "running" "paused" "stopped" "done" or "error".
        progress: 0 to 1.
        status: one line of text.
        frames_shown: how many frames were written to the picture, seen or not.
        result: what the verb returns, as far as it has come; `None` before the first frame.
        traceback: of the last error.
        may_save: whether the buttons may write files where Python runs.
        shown_in: the cell output that keeps its last picture; that of an Explorer, where it is a part of one.
    """

    state = traitlets.Enum(["idle", "running", "paused", "stopped", "done", "error"], "idle")
    progress = traitlets.Float(0.0, min=0.0, max=1.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result: Any = traitlets.Any(None, allow_none=True)
    may_save = True

    _curve_name: str | None = "objective"  # None where nothing is optimized

    def __init__(self, net: Network | Any, width: int = 512) -> None:
        self.net = as_network(net)
        self.traceback = ""
        self._updating = Updating()  # while the panel itself sets traits and controls
        self._run: CurrentRun[F] = CurrentRun()
        self._record = Record()
        self._last: Any = None  # the frame that is shown: an F, or None
        self._setting_names: Sequence[str] = ()  # traits that change the plan of a run
        self._is_requested = True  # whether the user started this very run, rather than a setting
        actions = {"start": self.start, "pause": self._pause_or_resume, "stop": self._stop_soon}
        actions |= {"save": self._save_png, "gif": self._save_gif, "code": self._toggle_code}
        self._buttons = RunButtons({name: functools.partial(self._guarded, act) for name, act in actions.items()})
        self.screen = Screen(width, self._run.acknowledge, self._clicked)
        self._scrubber = Scrubber(lambda index: self._guarded(self._look_back, index))
        self._report = Report(self._curve_name)
        self._graph = self._report.curve
        self._export = Export(self._shown_picture, self._earlier_pictures, self.recipe_of)
        self._code = CodeBox(self.snippet)
        super().__init__(layout=widgets.Layout(width="100%", max_width="850px"))
        self.add_class("cnnw")
        self._output = self.shown_in = CellOutput(self)

    def _assemble(self) -> None:
        """Put the parts together, empty, once the leaf class has set its own."""
        style = markup.markup(markup.STYLE, display="none")
        lines = [self._report.progress_line, self._scrubber, self._report.status_line, self._code]
        self.children = [style, self._buttons, *self._body(), *lines]
        self.observe(self._setting_changed, self._setting_names)
        self._show_settings()
        self._rest()
        lifecycle.replace_in_cell(self)

    # What a subclass provides: its run,

    def _frames(self) -> Iterator[F]:
        """The unstarted run; raises what its verb would raise."""
        raise NotImplementedError

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """The verb and its settings, for the recipe."""
        raise NotImplementedError

    def _result(self, frame: F) -> Any:
        """What the verb returns."""
        return frame

    def _phase(self, frame: F) -> str | None:
        """The name of a phase whose steps are not those of the curve, if a frame belongs to one."""
        return None

    def _ended(self, frame: F) -> None:
        """Act on the last frame of a run that is done."""

    def _is_busy_beside(self) -> bool:
        """Whether something else is computed that Stop ends too."""
        return False

    # its pictures,

    def _paint(self, frame: F) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is shown."""
        raise NotImplementedError

    def _picture(self, frame: F) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is saved."""
        return self._paint(frame)

    def _pixels(self, frame: F) -> np.ndarray:
        """What is kept of a frame to look back at, uint8."""
        return pictures.to_uint8(self._picture(frame))

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of kept pixels, as it is shown."""
        return pixels

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of kept pixels, as it is saved."""
        return pixels

    # its widgets and settings,

    def _body(self) -> Sequence[widgets.Widget]:
        """The widgets between the buttons and the progress line."""
        return [self.screen]

    def _fill_controls(self) -> None:
        """Let the controls show what is set; what they report meanwhile is ignored."""

    def _check(self, name: str) -> None:
        """Plan a run with a setting that has changed; raises what the verb would raise."""

    def _apply(self, name: str) -> None:
        """Act on a setting that has changed: begin again, or show it."""

    def _clicked(self, x: float, y: float) -> None:
        """Act on a click on the picture, each 0..1."""

    # and its texts.

    def _describe(self, frame: F) -> None:
        """Update captions next to the picture."""

    def _describe_moment(self, moment: Snapshot) -> None:
        """Update captions next to the picture of an earlier step."""

    def _invitation(self) -> str:
        """What Start will do, for the empty panel."""
        return "Press Start."

    def _doing(self, frame: F) -> str:
        """What one sees while it runs."""
        return "Optimizing: each step changes the picture so that the network responds more."

    def _conclusion(self) -> str:
        """What a finished panel shows, and what to try next."""
        return "Done."

    def _note(self) -> str:
        """A remark about the photograph, before every other sentence."""
        return ""

    def _name(self) -> str:
        """The name of a saved file, without suffix."""
        return type(self).__name__

    # The run, from any thread of the user's.

    def start(self) -> None:
        """Begin a run; one that is under way is stopped first. Returns at once with `state == "running"`.

        Raises:
            BadTarget: for settings that are not possible.
        """
        self._is_requested = True
        self._begin()

    def _begin_again(self) -> None:
        """Begin a run because a setting has changed, which may happen often."""
        self._is_requested = False
        self._begin()

    def _begin(self) -> None:
        self._buttons.forget_focus()
        record = Record()
        begun = functools.partial(self._begun, record)
        listener = Listener(self._show, self._finished, self._paint, begun, self._running, self._paused)
        self._run.begin(record.watched(self._frames(), self._pixels), listener)

    def _begun(self, record: Record) -> None:
        self._record = record
        self.frames_shown, self.progress, self.traceback = 0, 0.0, ""
        self._scrubber.offer(())
        self._report.begin()
        self._say("Preparing: compiling the first step for this layer.")
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
        """As `stop`, without waiting: a callback must not wait."""
        self._run.stop()

    def _pause_or_resume(self) -> None:
        if self.state == "paused":
            self.resume()
        else:
            self.pause()

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
            moving, doing = self.net.weights_are_moving, self._doing(frame)
            self._report.step(frame, self._record, self.progress, self._phase(frame))
            if self.state == "running":
                self.status = self._report.say(f"{MOVING} {doing}" if moving else doing)

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
        if not self._run.is_watched:
            self.shown_in.refresh()
        elif self._is_requested:
            self.shown_in.refresh_in_sight()
        else:
            self.shown_in.refresh_later()

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

    @traitlets.observe("state")
    def _state_changed(self, _change: object) -> None:
        self._show_state()

    def _show_state(self) -> None:
        busy = self.state in BUSY
        can_save = not busy and self._last is not None and self.may_save
        self._buttons.show(busy, self.state == "paused", busy or self._is_busy_beside(), can_save)
        self._code.refresh()

    def _say(self, text: str, is_error: bool = False) -> None:
        self.status = self._report.say(text, is_error)

    def _complain(self, failure: Failure) -> None:
        self.traceback = failure.traceback
        self._say(markup.complaint(failure), is_error=True)

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

    # Settings and controls, on the notebook's thread.

    def _guarded(self, action: Callable[..., object], *arguments: Any) -> None:
        """Run a control's action; an error is shown in the status line, not in a hidden console."""
        try:
            action(*arguments)
        except Exception as error:  # nobody would see a callback's traceback
            self._complain(Failure.of(error))

    def show_refusal(self, error: Exception) -> None:
        """Show in the status line why a setting was refused."""
        self._complain(Failure.of(error))

    def _button(self, label: str, icon: str, action: Callable[[], object], hint: str) -> widgets.Button:
        return run_buttons.button(label, icon, hint, lambda: self._guarded(action))

    def _set(self, name: str, value: Any) -> None:
        """Take a control's value as a setting."""
        if self._updating:
            return
        try:
            self._guarded(setattr, self, name, value)
        finally:
            self._show_settings()  # the old value again, where the new one is refused

    def _assign(self, **values: Any) -> None:
        """Set traits together, and do not act on them."""
        with self._updating:
            for name, value in values.items():
                setattr(self, name, value)

    def _setting_changed(self, change: dict[str, Any]) -> None:
        """Bring plan, run and controls in line with a trait; one that is refused gets its old value back."""
        if self._updating:
            return
        name = change["name"]
        try:
            self._check(name)
        except Exception:
            self._assign(**{name: change["old"]})
            raise
        self._apply(name)
        self._show_settings()

    def _show_settings(self) -> None:
        with self._updating:
            self._fill_controls()

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

    def save(self, path: str | Path) -> Path:
        """Save the picture as PNG, its recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        return self._export.save(path)

    def _shown_picture(self) -> np.ndarray | None:
        return None if self._last is None else self._picture(self._last)

    def _earlier_pictures(self) -> list[np.ndarray]:
        return [self._picture_of_pixels(moment.pixels) for moment in self._record.snapshots]

    def _save_png(self) -> None:
        self._save_here(".png")

    def _save_gif(self) -> None:
        self._save_here(".gif")

    def _save_here(self, suffix: str) -> None:
        if not self.may_save:
            raise BadTarget("Files are not saved from this page. Right-click the picture to save it.")
        path = self.save(pictures.free_path(Path.cwd(), self._name(), suffix))
        self._say(f"Saved as {path.name} in the notebook's folder.")

    def _toggle_code(self) -> None:
        self._code.toggle()

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

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        """The widget, and the picture that is shown, for where no kernel is."""
        bundle: Bundle = super()._repr_mimebundle_(**options)
        still = self._export.still()
        return bundle if still is None else {**bundle, "image/png": still}

    def _ipython_display_(self) -> None:
        self._output.display()

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        if self.comm is None:  # closed already, or refused by its constructor
            return
        self._run.drop()
        if self.state in BUSY:
            self.state = "stopped"
        self._output.forget()
        self.screen.close()
        lifecycle.close_whole(self._graph)  # which not every panel shows
        lifecycle.close_all(self)
        super().close()


def _where(job: Job[Any]) -> str:
    return f"step {job.frame.step} of {job.frame.steps}" if job.frame is not None else "the beginning"
