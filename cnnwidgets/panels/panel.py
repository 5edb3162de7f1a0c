"""What all panels share: one row of controls, a screen, progress, a status line, and one run at a time.

The journey of a click: `start` hands an unstarted iterator DOWN to the worker; the worker keeps its newest frame; the
publisher hands that UP to `_show`, which paints it on the screen. Nothing else crosses between the threads.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.compute.network import as_network
from cnnwidgets.errors import BadTarget, CnnWidgetsError, JobFailed, quoted
from cnnwidgets.jobs import Job, Publisher, worker
from cnnwidgets.panels import disposal, markup
from cnnwidgets.panels.screen import Screen
from cnnwidgets.recipe import Recipe, installed_versions

KEPT_FRAMES = 32  # of a run, for its GIF
TEXT_INTERVAL = 0.2  # seconds between two updates of progress, curve and captions
LONGEST_STATUS = 300


class Panel(widgets.VBox):
    """Controls and pictures of one verb. A subclass says what runs, what is painted and what it means.

    Attributes:
        state: "idle" "running" "paused" "stopped" "done" or "error".
        progress: 0 to 1.
        status: one line of text.
        frames_shown: how many frames were written to the picture, seen or not.
        result: what the verb returns, as far as it has come; `None` before the first frame.
    """

    state = traitlets.Enum(["idle", "running", "paused", "stopped", "done", "error"], "idle")
    progress = traitlets.Float(0.0, min=0.0, max=1.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result = traitlets.Any(None, allow_none=True)

    def __init__(self, net: Any, width: int = 512) -> None:
        self.net = as_network(net)
        self.traceback = ""
        self._lock = threading.RLock()
        self._job: Job[Any] | None = None
        self._publisher: Publisher[Any] | None = None
        self._last: Any = None  # the newest frame
        self._kept: list[Any] = []  # frames of the run, evenly spaced
        self._curve: list[float] = []
        self._began = self._texted = 0.0
        self._buttons = {
            "start": self._button("Start", "play", self.start, "Begin, or begin again", "primary"),
            "pause": self._button("Pause", "pause", self._pause_or_resume, "Hold the run; press again to go on"),
            "stop": self._button("Stop", "stop", self._ask_to_stop, "End the run and keep the last picture"),
            "save": self._button("Save", "download", self._save_png, "Save the picture as PNG, its recipe inside"),
            "gif": self._button("Save GIF", "film", self._save_gif, "Save the run as an animation"),
            "code": self._button("Copy code", "code", self._toggle_code, "Show the Python that makes the same picture"),
        }
        self.screen = Screen(width, self._acknowledge, self._clicked)
        self._bar = widgets.FloatProgress(
            0.0, min=0.0, max=1.0, layout=widgets.Layout(width="100%", height="6px", margin="2px 0")
        )
        self._time = markup.markup(markup.status(""))
        self._line = markup.markup(markup.status(""), width="100%")
        self._graph = markup.markup("")
        self._code = markup.markup("", display="none", width="100%")
        self._controls = widgets.HBox(list(self._buttons.values()), layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__(layout=widgets.Layout(width="100%", max_width="1100px"))
        self.add_class("cnnw")
        self._style = markup.markup(markup.STYLE, display="none")
        self.children = [self._style, self._controls, *self._body(), self._bar, self._time, self._line, self._code]
        self._show_state()
        self._rest()
        disposal.replace_in_cell(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.net.name!r}, {self.state})"

    # What a subclass says.

    def _body(self) -> Sequence[widgets.Widget]:
        """The widgets between the row of controls and the progress line."""
        return [self.screen]

    def _frames(self) -> Iterator[Any]:
        """The unstarted run; raises what its verb would raise."""
        raise NotImplementedError

    def _paint(self, frame: Any) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is shown."""
        raise NotImplementedError

    def _picture(self, frame: Any) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is saved."""
        return self._paint(frame)

    def _result(self, frame: Any) -> Any:
        """What the verb returns."""
        return frame

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """The verb and its settings, for the recipe."""
        raise NotImplementedError

    def _invitation(self) -> str:
        """What Start will do, for the empty panel."""
        return "Press Start."

    def _conclusion(self) -> str:
        """What a finished panel shows, and what to try next."""
        return "Done."

    def _describe(self, frame: Any) -> None:
        """Update captions beside the picture."""

    def _name(self) -> str:
        """What a saved file is called."""
        return type(self).__name__

    def _clicked(self, x: float, y: float) -> None:
        """Hear a click on the picture, each 0..1."""

    # The run.

    def start(self) -> None:
        """Begin a run; one that is under way is stopped first. Returns at once with `state == "running"`.

        Raises:
            BadTarget: for settings that cannot be.
        """
        frames = self._frames()
        with self._lock:
            self._drop_run()
            self._kept, self._curve, self._last = [], [], None
            self.frames_shown, self.traceback = 0, ""
            self._began, self._texted = time.monotonic(), 0.0
            job: Job[Any] = Job(self._keeping(frames), on_change=self._job_changed)
            self._job = job
            self._publisher = Publisher(job, self._show, finished=self._finished)
            self.progress = 0.0
            self._say("Preparing: the first step of a new layer is traced.")
            self.state = "running"
            self._publisher.start()
            worker().submit(job)

    def run(self) -> Any:
        """Run to the end in this thread, with or without a browser, and return the result.

        Raises:
            JobFailed: when the run breaks; what it made is kept in `result`.
            KeyboardInterrupt: when it is interrupted; the run is stopped first.
        """
        self.start()
        job, publisher = self._job, self._publisher
        assert job is not None and publisher is not None
        try:
            worker().run(job)
        finally:
            publisher.join()
        if self.state == "error":
            raise JobFailed(self.status)
        return self.result

    def pause(self) -> None:
        """Hold the run after the step under way; "paused" once nothing is computed any more."""
        if self._job is not None and self.state == "running":
            self._job.pause()

    def resume(self) -> None:
        """Go on after a pause, with the very next step."""
        if self._job is not None and self.state in ("running", "paused"):
            self._job.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the run after the step under way and keep its last picture; harmless where nothing runs."""
        job, publisher = self._job, self._publisher
        if job is None or publisher is None:
            return
        job.stop()
        if not threading.current_thread().name.startswith("cnnwidgets-"):  # those two cannot wait for themselves
            publisher.join(timeout)

    def _ask_to_stop(self) -> None:
        """The Stop button: it only says so, since a callback must not wait."""
        if self._job is not None:
            self._job.stop()

    def _drop_run(self) -> None:
        """Stop a run that another replaces, and show nothing more of it."""
        if self._publisher is not None:
            self._publisher.mute()
        if self._job is not None:
            self._job.release()
        self._job = self._publisher = None

    def _keeping(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Pass frames on, and keep some, evenly spaced, for the GIF."""
        for frame in frames:
            stride = max(1, frame.steps // KEPT_FRAMES)
            if frame.step % stride == 0 and frame.step < frame.steps:
                self._kept.append(pictures.to_uint8(self._picture(frame)))
            self._curve.append(float(np.nanmean(frame.values)))
            yield frame

    def _job_changed(self, job: Job[Any]) -> None:
        """Hear the job: runs on the worker's thread, or on the one that paused."""
        if job is self._job and job.state in ("running", "paused") and self.state in ("running", "paused"):
            self.state = job.state
            if job.state == "paused":
                self._say(f"Paused at {self._where()}. Resume goes on with the very next step.")

    def _show(self, frame: Any, number: int) -> None:
        """Put a frame on the page: runs on the publisher's thread."""
        self.screen.show(pictures.displayable(self._paint(frame)), number)
        self._last = frame
        with self.hold_trait_notifications():
            self.frames_shown += 1
            self.progress = frame.step / frame.steps
            self.result = self._result(frame)
        now = time.monotonic()
        if now - self._texted >= TEXT_INTERVAL or frame.step == frame.steps:
            self._texted = now
            self._tell_progress(frame)
            self._describe(frame)

    def _tell_progress(self, frame: Any) -> None:
        self._bar.value = frame.step / frame.steps
        spent = self._spent()
        left = spent / frame.step * (frame.steps - frame.step)
        self._time.value = markup.status(f"step {frame.step} of {frame.steps} · {_seconds(left)} left")
        self._graph.value = markup.curve(self._curve, frame.steps, "objective")
        if self.state == "running":
            self._say("Climbing: each step changes the pictures so that their units answer more.")

    def _finished(self, job: Job[Any]) -> None:
        """The last word on a run: runs on the publisher's thread."""
        if job is not self._job:
            return
        frame, self._last = job.frame or self._last, job.frame or self._last
        if frame is not None:
            self.screen.show(pictures.displayable(self._picture_on_page(frame)))
            self.result = self._result(frame)
            self._describe(frame)
            self._graph.value = markup.curve(self._curve, frame.steps, "objective")
        spent = _seconds(self._spent())
        if job.state == "done":
            self.progress = self._bar.value = 1.0
            self._time.value = markup.status(f"{frame.steps if frame else 0} steps in {spent}")
            self._say(self._conclusion())
            self._ended(frame)
        elif job.state == "stopped":
            self._time.value = markup.status(f"{self._where()} in {spent}")
            self._say(f"Stopped at {self._where()}. The last picture is kept; Start begins again.")
        else:
            self.traceback = job.traceback
            self._say(_advice(job), is_error=True)
        self.state = job.state

    def _ended(self, frame: Any) -> None:
        """A run has come to its end with this frame."""

    def _picture_on_page(self, frame: Any) -> np.ndarray:
        return self._paint(frame)

    def _spent(self) -> float:
        """Seconds since Start."""
        return time.monotonic() - self._began

    def _where(self) -> str:
        return f"step {self._last.step} of {self._last.steps}" if self._last is not None else "the beginning"

    def _acknowledge(self, number: int) -> None:
        publisher = self._publisher
        if publisher is not None:
            publisher.acknowledge(number)

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
        except CnnWidgetsError as error:
            self._say(str(error), is_error=True)
        except Exception as error:  # a callback's traceback would be seen by nobody
            self.traceback = traceback.format_exc()
            self._say(f"{type(error).__name__}: {error}. The details are in panel.traceback.", is_error=True)

    def _pause_or_resume(self) -> None:
        if self.state == "paused":
            self.resume()
        else:
            self.pause()

    @traitlets.observe("state")
    def _state_changed(self, _change: object) -> None:
        self._show_state()

    def _show_state(self) -> None:
        busy = self.state in ("running", "paused")
        pause = self._buttons["pause"]
        pause.disabled = not busy
        pause.description = "Resume" if self.state == "paused" else "Pause"
        pause.icon = "play" if self.state == "paused" else "pause"
        self._buttons["stop"].disabled = not busy
        for name in ("save", "gif"):
            self._buttons[name].disabled = busy or self._last is None

    def _say(self, text: str, is_error: bool = False) -> None:
        line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:LONGEST_STATUS]
        self.status = line
        self._line.value = markup.status(line, is_error)

    def _rest(self) -> None:
        """Show the empty panel: what Start will do."""
        self._last = None
        self.screen.explain(self._invitation())
        self._graph.value = ""
        self._time.value = markup.status("")
        self._bar.value = self.progress = 0.0
        self._say("")

    # What is taken away.

    def recipe_of(self) -> Recipe:
        """The recipe of what is shown: everything that changes a pixel."""
        verb, settings = self._settings()
        return Recipe(verb, self.net.name, self.net.fingerprint(), settings, installed_versions(), "cpu")

    def snippet(self) -> str:
        """The Python that makes the same picture without a widget."""
        return self.recipe_of().snippet()

    def save(self, path: str | Path) -> Path:
        """Save the picture as PNG, its recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        target = Path(path)
        kind = target.suffix.lower()
        if kind not in (".png", ".gif"):
            raise BadTarget(f"A panel cannot be saved as {quoted(target.name)}. Give a name that ends in .png or .gif.")
        frame = self._last
        if frame is None:
            raise BadTarget("There is no picture to save yet. Press Start, or call run(), first.")
        picture = pictures.displayable(self._picture(frame))
        if kind == ".png":
            data = pictures.to_png(picture, self.recipe_of().to_dict())
        else:
            data = pictures.to_gif([*map(pictures.displayable, self._kept), pictures.to_uint8(picture)])
        return pictures.write_file(target, data)

    def _save_png(self) -> None:
        self._save_here(".png")

    def _save_gif(self) -> None:
        self._save_here(".gif")

    def _save_here(self, suffix: str) -> None:
        path = self.save(pictures.free_path(Path.cwd(), self._name(), suffix))
        self._say(f"Saved as {path.name} beside the notebook.")

    def _toggle_code(self) -> None:
        hidden = self._code.layout.display == "none"
        if hidden:
            hint = markup.status("Click the code to select it, then copy it.")
            self._code.value = hint + markup.code(self.snippet())
        self._code.layout.display = "" if hidden else "none"

    def close(self) -> None:
        """Stop, and free every widget of the panel."""
        with self._lock:
            self._drop_run()
        self.screen.close()
        disposal.close_all(self)
        super().close()


def _seconds(seconds: float) -> str:
    """A duration as a person says it."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _advice(job: Job[Any]) -> str:
    """The one line of an error: the package's own errors speak for themselves."""
    if "CnnWidgetsError" in job.error_types:
        return job.error
    return f"{job.error_kind}: {job.error} The details are in panel.traceback."
