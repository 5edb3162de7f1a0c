"""The panel on a model while it trains: units, feature maps, heatmap and curves, moved together by training time."""

from __future__ import annotations

import base64
import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import traitlets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, JobFailed, quoted
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.cell_output import Bundle, CellOutput
from cnnwidgets.panels.base.run_buttons import RunButtons
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.training import drawing
from cnnwidgets.panels.training.moments import Moments
from cnnwidgets.panels.training.training_run import TrainingRun
from cnnwidgets.paths import checked_path
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.training.recorder import TrainingRecorder
from cnnwidgets.training.snapshots import Snapshot

UNITS, SIDE = 420, 260  # CSS pixels of the units' pictures, and of what stands beside them
TEXT_INTERVAL = 0.5  # seconds between two updates of progress and curves
FRAME_INTERVAL = 0.1  # seconds between two live pictures, so that a page that is slow is not flooded
BUSY = ("running", "paused")
HELD = "This training runs in a cell, which keeps the kernel busy. Train with panel.fit(...) to pause it."


class TrainingPanel(widgets.VBox):
    """What a TrainingRecorder records, live while `fit` runs in this cell or another, and afterwards.

    Pictures of the units, feature maps and heatmap of the probe, and curves of loss and metrics stand beside each
    other; one slider, which is training time, moves them all.

    Args:
        recorder: a TrainingRecorder; one that was loaded from a file shows what it holds.

    Attributes:
        state: "idle" "running" "paused" "stopped" "done" or "error".
        progress: 0 to 1.
        status: one line of text.
        frames_shown: how many pictures of the units were written to the page, seen or not.
        result: the snapshots so far, the oldest first; `None` before the first.
        traceback: of the last error in a training that `fit` began.
        history: what Keras' `fit` returned last, as a dict.
        moment: the index, in `recorder.snapshots`, of the one that is shown; set it to go back.
        follow: whether the newest snapshot is shown as it comes.

    Raises:
        BadTarget: for anything but a TrainingRecorder.

    Example:
        >>> panel = TrainingPanel(TrainingRecorder(model, "conv1", picture="cat.jpg"))
        >>> panel.fit(x, y, epochs=5)  # the kernel stays free
    """

    state = traitlets.Enum(["idle", "running", "paused", "stopped", "done", "error"], "idle")
    progress = traitlets.Float(0.0, min=0.0, max=1.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result: Any = traitlets.Any(None, allow_none=True)
    moment = traitlets.Int(0)
    follow = traitlets.Bool(True)
    may_save = True

    def __init__(self, recorder: TrainingRecorder) -> None:
        if not isinstance(recorder, TrainingRecorder):
            raise BadTarget(f"recorder must be a cw.TrainingRecorder, got {quoted(recorder)}.")
        self.recorder = recorder
        self.traceback = ""
        self.history: dict[str, list[float]] = {}
        self._fit: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._run: TrainingRun | None = None
        self._shown: Snapshot | None = None
        self._lock = threading.RLock()
        self._updating = Updating()
        self._texted = self._painted = float("-inf")
        self._stop_asked = self._is_live = False  # live pictures are JPEG, others PNG
        actions = {"start": self.start, "pause": self._pause_or_resume, "stop": self._stop_soon}
        actions |= {"save": self._save_png, "gif": self._save_gif, "code": self._toggle_code}
        self._buttons = RunButtons({name: functools.partial(self._guarded, act) for name, act in actions.items()})
        self._make_parts()
        super().__init__(layout=widgets.Layout(width="100%", max_width="850px"))
        self.add_class("cnnw")
        self._output = CellOutput(self)
        self.children = self._assembled()
        self._unlisten = recorder.listen(self._heard)
        self._rest()
        lifecycle.replace_in_cell(self)

    def _make_parts(self) -> None:
        def unseen(_number: int) -> None:
            """Snapshots come far apart, so nothing waits for the page."""

        self.screen = Screen(UNITS, unseen)
        self.maps, self.heat = Screen(SIDE, unseen), Screen(SIDE, unseen)
        self._moments = Moments(lambda index: self._guarded(self._held_at, index))
        self._moments.follow.observe(lambda change: self._follow_pressed(change["new"]), "value")
        self._titles = {name: markup.markup("") for name in ("units", "maps", "heat")}
        self._heat_note = markup.markup("")
        self._curves = markup.markup("", width="100%")
        self._progress_line = markup.markup("", width="100%")
        self._line = markup.markup(markup.status(""), width="100%")
        self._code = markup.markup("", display="none", width="100%")

    def _assembled(self) -> list[widgets.Widget]:
        side = widgets.VBox(
            [self._titles["maps"], self.maps, self._titles["heat"], self.heat, self._heat_note],
            layout=widgets.Layout(flex="1 1 260px", min_width="0", max_width="300px"),
        )
        main = widgets.VBox([self._titles["units"], self.screen, self._curves], layout=widgets.Layout(max_width="100%"))
        stage = widgets.HBox(
            [main, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        )
        style = markup.markup(markup.STYLE, display="none")
        return [style, self._buttons, self._moments, stage, self._progress_line, self._line, self._code]

    # The run, from any thread of the user's.

    def fit(self, *arguments: Any, **keywords: Any) -> None:
        """Train on a separate thread, with what `model.fit` takes; returns at once, and the kernel stays free.

        Pause holds between two batches. Stop ends with the weights of the last batch. An error of the training is shown
        in `status`; `traceback` has it all. Afterwards, `history` has what `model.fit` returns. Without `verbose`
        nothing is printed.

        Raises:
            BadTarget: while a training runs, and where the recorder has no model to train.
            TypeError: for arguments that `model.fit` does not take.
        """
        if self.state in BUSY:
            raise BadTarget("A training is running. Stop it first, or wait for its end.")
        model = self.recorder.trained
        if model is None:
            raise BadTarget("These snapshots are from a file, so there is no model to train. Make a new recorder.")
        run = TrainingRun(model, arguments, keywords, self.recorder, self._changed)
        self._fit, self._run, self.traceback = (arguments, keywords), run, ""
        self._begin("Preparing: the first batch is compiled.")
        run.start()

    def start(self) -> None:
        """Train on with the arguments of the last `fit`, from the present weights.

        Raises:
            BadTarget: before the first `fit`.
        """
        if self._fit is None:
            raise BadTarget("There is nothing to start yet. Call panel.fit(x, y, epochs=5), as you call model.fit.")
        if self.state in BUSY:
            self.stop()
        arguments, keywords = self._fit
        self.fit(*arguments, **keywords)

    def run(self) -> Any:
        """Train as `start` does, wait for the end, and return the snapshots.

        Raises:
            JobFailed: when the training breaks.
            KeyboardInterrupt: when it is interrupted; the training is stopped first.
        """
        self.start()
        run = self._run
        assert run is not None
        try:
            run.wait()
        except BaseException:
            self.stop()
            raise
        if self.state == "error":
            raise JobFailed(self.status)
        return self.result

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end of a training that `fit` began, at most so many seconds."""
        if self._run is not None:
            self._run.wait(timeout)

    def pause(self) -> None:
        """Hold after the present batch; "paused" once no batch is running any more."""
        if self._run is not None and self._run.is_busy:
            self._run.pause()
        elif self.state in BUSY:
            raise BadTarget(HELD)

    def resume(self) -> None:
        """Go on after a pause, with the next batch."""
        if self._run is not None:
            self._run.resume()

    def stop(self, timeout: float = 30.0) -> None:
        """End after the present batch and keep its weights; harmless where nothing runs."""
        self._stop_soon()
        self.wait(timeout)

    def _stop_soon(self) -> None:
        """As `stop`, without waiting: a callback must not wait."""
        if self._run is not None and self._run.is_busy:
            self._run.stop()
        elif self.state in BUSY:
            self._stop_asked = True

    def _pause_or_resume(self) -> None:
        if self.state == "paused":
            self.resume()
        else:
            self.pause()

    # On the thread that trains.

    def _changed(self, run: TrainingRun) -> None:
        """Act on a new state of a training of the panel's own."""
        if run is not self._run:
            return
        with self._lock:
            if run.state == "paused":
                self._painted = float("-inf")
                self._offer()
                self._say(f"Paused {self._where()}. Resume goes on with the next batch; the weights hold still.")
            elif run.state == "running":
                self._say(self._doing())
            else:
                self.history = run.history
                self._conclude(run.state, run.failure, run.where)
            self.state = run.state

    def _heard(self, event: str) -> None:
        """Act on what the recorder tells; whatever goes wrong here must not reach the training."""
        try:
            with self._lock:
                self._act(event)
        except Exception as error:
            self._complain(Failure.of(error))

    def _act(self, event: str) -> None:
        is_own = self._run is not None and self._run.is_busy
        if event == "begin" and not is_own:
            self._stop_asked = False
            self._begin("Preparing: the first batch is compiled.")
            _after_this_cell(self._cell_ended)
        elif event == "snapshot":
            self._offer()
        elif event == "batch" and self._stop_asked and self.recorder.model is not None:
            self.recorder.model.stop_training = True
        elif event == "end" and not is_own:
            self._conclude("stopped" if self._stop_asked else "done")
            self.state = "stopped" if self._stop_asked else "done"
        if event in ("epoch", "snapshot") or time.monotonic() - self._texted >= TEXT_INTERVAL:
            self._tell()

    def _cell_ended(self) -> None:
        """A cell that trained has ended: where its `fit` did not, an error or an interrupt ended it."""
        with self._lock:
            if self.state in BUSY and not (self._run is not None and self._run.is_busy):
                self._conclude("stopped")
                self.state = "stopped"

    def _begin(self, text: str) -> None:
        self.progress, self._is_live = 0.0, True
        self._say(text)
        self.state = "running"

    def _tell(self) -> None:
        """Bring progress, curves and status up to date."""
        self._texted = time.monotonic()
        if self.state in BUSY:
            self.progress = self.recorder.progress
            self._progress_line.value = markup.progress(self.progress, self._where())
            if self.state == "running":
                self._say(self._doing())
        self._draw_curves()

    def _conclude(self, state: str, failure: Failure | None = None, where: str = "") -> None:
        """The last word on a training."""
        self._is_live = False
        if self._shown is not None:
            self._offer()
        self._draw_curves()
        if state == "done":
            self.progress = 1.0
        ends = {"done": "done", "stopped": "stopped", "error": "ended by an error"}
        self._progress_line.value = markup.progress(self.progress, f"{ends[state]} {self._where()}")
        if failure is not None:
            self._complain(failure, where)
        elif state == "stopped":
            self._say(f"Stopped {self._where()}. The model has the weights of its last batch.")
        else:
            self._say(self._noted("Trained. Move the slider back through the training, or play it as a film."))
        self._output.refresh_later()

    def _where(self) -> str:
        epoch, batch = self.recorder.moment
        return f"after {batch} batches, in epoch {epoch + 1}" if self._is_live else f"after {batch} batches"

    def _doing(self) -> str:
        every = self.recorder.settings.every
        when = "each epoch" if every == "epoch" else f"every {every} batches"
        return self._noted(f"Training. A snapshot is taken {when}, from the same noise, so only the weights differ.")

    def _noted(self, text: str) -> str:
        """A sentence after what went wrong with the snapshot that is shown, or with all of them."""
        note = self.recorder.problem or (self._shown.note if self._shown is not None else "")
        return f"{note.rstrip('.')}. {text}" if note else text

    # What is shown, from any thread.

    def _rest(self) -> None:
        """Show what there is: a finished training, or what will be seen."""
        units = len(self.recorder.units)
        self.screen.explain(
            f"Pictures of {units} units, before the first batch and as they change. Call panel.fit(x, y, epochs=5) "
            "as you call model.fit, or give the recorder to your own fit as a callback."
        )
        for screen, what in ((self.maps, "feature maps"), (self.heat, "heatmap")):
            screen.explain(f"With picture=, the {what} of a photograph.")
        for name, text in (("units", "What the units look for"), ("maps", "Feature maps"), ("heat", "Heatmap")):
            self._titles[name].value = markup.title(text)
        self._say("Ready: nothing is recorded yet.")
        self._offer()
        if self._shown is not None:
            self._say(self._noted("Move the slider through the training, or play it as a film."))
            self._draw_curves()
        self._show_state()

    def _offer(self) -> None:
        """Offer the moments that there are, and show the newest one where it is followed."""
        snapshots = self.recorder.snapshots
        self.result = snapshots or None
        if not snapshots:
            return
        if self.follow or self._shown is None:
            index = len(snapshots) - 1
        else:  # the one that is held may have been dropped: then the next one that is left
            shown = self._shown.batch
            index = next((i for i, one in enumerate(snapshots) if one.batch >= shown), len(snapshots) - 1)
        self._go(index, snapshots)

    def _go(self, index: int, snapshots: list[Snapshot]) -> None:
        words = [_moment_text(one) for one in snapshots]
        with self._updating:
            self._moments.offer(words, index)
            self.moment = index
        self._show(snapshots[index])

    def _show(self, snapshot: Snapshot) -> None:
        now = time.monotonic()
        if self._is_live and self.follow and now - self._painted < FRAME_INTERVAL:
            return
        self._painted, self._shown = now, snapshot
        number = self.frames_shown + 1 if self._is_live else None
        if len(snapshot.pictures):
            self.screen.show(drawing.unit_tiles(snapshot), number)
            self.screen.over.value = self._captions(snapshot)
            self.frames_shown += 1
        else:
            self.screen.explain(snapshot.note or "No picture of this moment.")
        for screen, picture in (
            (self.maps, drawing.unit_maps(snapshot)),
            (self.heat, drawing.heat_over_probe(snapshot)),
        ):
            if picture is not None:
                screen.show(picture, number)
        self._titles["units"].value = markup.title(f"What units of {snapshot.layer} look for")
        self._heat_note.value = markup.progress_text("; ".join(filter(None, (one.note for one in snapshot.heat))))
        self._show_state()

    def _captions(self, snapshot: Snapshot) -> str:
        across = drawing.columns(snapshot)
        rows = -(-len(snapshot.units) // across)
        captions = [
            (str(unit), f"{value:.2g}", note.partition(":")[0])
            for unit, value, note in zip(snapshot.units, snapshot.values, snapshot.notes, strict=True)
        ]
        return markup.tiles(across, rows, drawing.BAND / (1 + drawing.BAND), captions, None)

    def _draw_curves(self) -> None:
        curves = self.recorder.curves
        at = None if self._shown is None or self.follow else float(self._shown.batch)
        end = max([point.batch for point in (*curves.batches, *curves.epochs)], default=0)
        charts = []
        for name in [name for name in curves.names() if not name.startswith("val_")][:4]:
            lines = [
                (one, [(float(p.batch), p.logs[one]) for p in points if one in p.logs])
                for one, points in ((name, curves.batches or curves.epochs), (f"val_{name}", curves.epochs))
            ]
            charts.append(markup.chart(lines, at, end))
        self._curves.value = "".join(charts)

    def _say(self, text: str, is_error: bool = False) -> None:
        self.status = markup.one_line(text)
        self._line.value = markup.status(self.status, is_error)

    def _complain(self, failure: Failure, where: str = "") -> None:
        self.traceback = failure.traceback
        said = markup.complaint(failure)
        if where:
            hint = "The details are in panel.traceback."
            said = f"{failure.kind}: {failure.line[:120].rstrip('.')}, in {where[:100]}. {hint}"
        self._say(said, is_error=True)

    @traitlets.observe("state")
    def _state_changed(self, _change: object) -> None:
        self._show_state()

    def _show_state(self) -> None:
        busy = self.state in BUSY
        is_own = self._run is not None and self._run.is_busy
        can_save = self._shown is not None and len(self._shown.pictures) > 0 and self.may_save
        self._buttons.show(busy and is_own, self.state == "paused", busy, can_save)
        self._buttons["start"].disabled = busy or self._fit is None

    # Choosing a moment, on the notebook's thread.

    @traitlets.validate("moment")
    def _known_moment(self, proposal: Any) -> int:
        count, index = len(self.recorder.snapshots), int(proposal["value"])
        if not -count <= index < max(count, 1):
            raise BadTarget(f"moment must be the index of a snapshot, from 0 to {count - 1}, got {index}.")
        return index % count if count else 0

    @traitlets.observe("moment")
    def _moment_set(self, change: dict[str, Any]) -> None:
        if not self._updating:
            self._held_at(change["new"])

    def _held_at(self, index: int) -> None:
        """Hold a moment: the newest is no longer followed."""
        snapshots = self.recorder.snapshots
        with self._lock:
            self.follow = False
            self._go(min(index, len(snapshots) - 1), snapshots)
            self._draw_curves()

    def _follow_pressed(self, follow: bool) -> None:
        if not self._updating:
            self.follow = follow

    @traitlets.observe("follow")
    def _follow_changed(self, _change: object) -> None:
        with self._lock, self._updating:
            self._moments.follow.value = self.follow
        if self.follow:
            with self._lock:
                self._painted = float("-inf")
                self._offer()
                self._draw_curves()

    def _guarded(self, action: Callable[..., object], *arguments: Any) -> None:
        """Run what a control asks for; an error is shown in the status line, not in a hidden console."""
        try:
            action(*arguments)
        except Exception as error:  # nobody would see a callback's traceback
            self._complain(Failure.of(error))

    # Files and code.

    def snippet(self) -> str:
        """The Python that records such a training without a widget."""
        return snippets.write_training(self.recorder.settings_now, self.recorder.picture is not None)

    def save(self, path: str | Path) -> Path:
        """Save the units' pictures of the moment that is shown as PNG, or those of all moments as GIF.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        target, shown = checked_path("path", path), self._shown
        if target.suffix.lower() not in (".png", ".gif"):
            raise BadTarget(f"path must end in .png or .gif, got {quoted(target.name)}.")
        if shown is None or not len(shown.pictures):
            raise BadTarget("There is no picture to save yet. Train first: panel.fit(x, y, epochs=5).")
        if target.suffix.lower() == ".gif":
            return self.recorder.to_gif(target)
        made = {"verb": "TrainingRecorder", "settings": self.recorder.settings_now, "versions": installed_versions()}
        when = {"epoch": shown.epoch, "batch": shown.batch, "layer": shown.layer, "units": list(shown.units)}
        return pictures.write_file(target, pictures.to_png(shown.mosaic(), {**made, **when}))

    def _save_png(self) -> None:
        self._save_here(".png")

    def _save_gif(self) -> None:
        self._save_here(".gif")

    def _save_here(self, suffix: str) -> None:
        if not self.may_save:
            raise BadTarget("Files are not saved from this page. Right-click the picture to save it.")
        path = self.save(pictures.free_path(Path.cwd(), f"training-{self.recorder.layer}", suffix))
        self._say(f"Saved as {path.name} in the notebook's folder.")

    def _toggle_code(self) -> None:
        hidden = self._code.layout.display == "none"
        if hidden:
            hint = markup.status("Click the code to select it, then copy it.")
            self._code.value = hint + markup.code(self.snippet())
        self._code.layout.display = "" if hidden else "none"

    # The widget itself.

    def __repr__(self) -> str:
        return f"TrainingPanel({self.recorder!r}, {self.state})"

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        """The widget, and the pictures that are shown, for where no kernel is."""
        bundle: Bundle = super()._repr_mimebundle_(**options)
        if self._shown is not None and len(self._shown.pictures):
            bundle["image/png"] = base64.b64encode(pictures.to_still(drawing.unit_tiles(self._shown, 0.0))).decode()
        return bundle

    def _ipython_display_(self) -> None:
        self._output.display()

    def close(self) -> None:
        """Stop a training of the panel's own, and free every widget."""
        if self.comm is None:  # closed already, or refused by its constructor
            return
        self._unlisten()
        run, self._run = self._run, None
        if run is not None:
            run.stop()
        if self.state in BUSY:
            self.state = "stopped"
        self._output.forget()
        for screen in (self.screen, self.maps, self.heat):
            screen.close()
        self._moments.unlink()
        lifecycle.close_all(self)
        super().close()


def _moment_text(snapshot: Snapshot) -> str:
    logs = "".join(f" · {name} {value:.3g}" for name, value in list(snapshot.logs.items())[:2])
    start = "before the first batch" if not snapshot.batch else f"epoch {snapshot.epoch} · batch {snapshot.batch}"
    return start + logs


def _after_this_cell(call: Callable[[], object]) -> None:
    """Call a function once, when the cell that runs in this thread has ended; nothing outside a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is None or threading.current_thread() is not threading.main_thread():
        return

    def ended(_result: object = None) -> None:
        with contextlib.suppress(ValueError):
            shell.events.unregister("post_run_cell", ended)
        call()

    shell.events.register("post_run_cell", ended)
