"""The panel on a model while it trains: units, feature maps, heatmap and curves, moved together by training time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets.errors import BadTarget, JobFailed, quoted
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.arguments import flag, is_whole, whole_number
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.base.base_panel import BUSY, BasePanel
from cnnwidgets.panels.base.binding import Setting
from cnnwidgets.panels.training import drawing
from cnnwidgets.panels.training.snapshot_view import Moments, SnapshotView
from cnnwidgets.panels.training.training_run import CellTraining, TrainingRun
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.recipe import installed_versions
from cnnwidgets.training.recorder import TrainingRecorder
from cnnwidgets.training.snapshots import Snapshot

TEXT_INTERVAL = 0.5  # seconds between two updates of progress and curves
FRAME_INTERVAL = 0.1  # seconds between two live pictures, so that a page that is slow is not flooded


class TrainingPanel(BasePanel):
    """What a TrainingRecorder records, live while `fit` runs in this cell or another, and afterwards.

    Pictures of the units, feature maps and heatmap of the probe, and curves of loss and metrics are shown next to each
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

    moment = Setting(0)
    follow = Setting(True)

    _gif_fps = 4
    _how_to_begin = "Train first: panel.fit(x, y, epochs=5)."

    def __init__(self, recorder: TrainingRecorder) -> None:
        if not isinstance(recorder, TrainingRecorder):
            raise BadTarget(f"recorder must be a cw.TrainingRecorder, got {quoted(recorder)}.")
        self.recorder = recorder
        self.history: dict[str, list[float]] = {}
        self._fit: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._run: TrainingRun | CellTraining | None = None
        self._shown: Snapshot | None = None
        self._lock = threading.RLock()
        self._texted = self._painted = float("-inf")
        self._is_live = False  # live pictures are JPEG, others PNG
        self.view = SnapshotView()
        self.screen, self.maps, self.heat = self.view.screen, self.view.maps, self.view.heat
        super().__init__()
        self._moments = Moments(lambda index: self._guarded(self._held_at, index))
        self._moments.follow.observe(lambda change: self._follow_pressed(change["new"]), "value")
        self._unlisten = recorder.listen(self._on_event)
        self._assemble()

    def _parts(self) -> Sequence[widgets.Widget]:
        return [self._moments, self.view, self._report.progress_line]

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
        self._begin()
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
        """Hold after the present batch; "paused" once no batch is running any more.

        Raises:
            BadTarget: for a training in a cell, which keeps the kernel busy.
        """
        if self._run is not None and self._run.is_busy:
            self._run.pause()

    def resume(self) -> None:
        """Go on after a pause, with the next batch."""
        if self._run is not None:
            self._run.resume()

    def stop(self, timeout: float = 30.0) -> None:
        """End after the present batch and keep its weights; harmless where nothing runs."""
        self._stop_soon()
        self.wait(timeout)

    def _stop_soon(self) -> None:
        if self._run is not None and self._run.is_busy:
            self._run.stop()

    # On the thread that trains.

    def _changed(self, run: TrainingRun | CellTraining) -> None:
        """Act on a new state of a training."""
        if run is not self._run:
            return
        with self._lock:
            if run.state == "paused":
                self._painted = float("-inf")
                self._offer()
                self._say(f"Paused {self._where()}. Resume continues with the next batch; the weights do not change.")
            elif run.state == "running":
                self._say(self._doing())
            else:
                if isinstance(run, TrainingRun):
                    self.history = run.history
                self._conclude(run.state, run.failure, run.where)
            self.state = run.state

    def _on_event(self, event: str) -> None:
        """Act on an event of the recorder; an error in here must not reach the training."""
        try:
            with self._lock:
                self._act(event)
        except Exception as error:
            self._complain(Failure.of(error))

    def _act(self, event: str) -> None:
        run = self._run
        if event == "begin" and not (run is not None and run.is_own and run.is_busy):
            self._run = run = CellTraining(self.recorder, self._changed)
            self._begin()
            run.start()
        elif event == "snapshot":
            self._offer()
        elif event == "batch" and isinstance(run, CellTraining):
            run.batch_ended()
        elif event == "end" and isinstance(run, CellTraining):
            run.ended()
        if event in ("epoch", "snapshot") or time.monotonic() - self._texted >= TEXT_INTERVAL:
            self._update_texts()

    def _begin(self) -> None:
        self.progress, self._is_live = 0.0, True
        self._say("Preparing: the first batch is compiled.")
        self.state = "running"

    def _update_texts(self) -> None:
        """Bring progress, curves and status up to date."""
        self._texted = time.monotonic()
        if self.state in BUSY:
            self.progress = self.recorder.progress
            self._report.progress_line.value = markup.progress(self.progress, self._where())
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
        self._report.progress_line.value = markup.progress(self.progress, f"{ends[state]} {self._where()}")
        if failure is not None:
            self._complain(failure, where)
        elif state == "stopped":
            self._say(f"Stopped {self._where()}. The model has the weights of its last batch.")
        else:
            self._say(self._noted("Trained. Move the slider back through the training, or play it as a film."))
        self.shown_in.refresh_later()

    def _where(self) -> str:
        epoch, batch = self.recorder.moment
        after = f"after {batch} {'batch' if batch == 1 else 'batches'}"
        return f"{after}, in epoch {epoch + 1}" if self._is_live else after

    def _doing(self) -> str:
        every = self.recorder.settings.every
        when = "each epoch" if every == "epoch" else "every batch" if every == 1 else f"every {every} batches"
        return self._noted(f"Training. A snapshot is taken {when}, from the same noise, so only the weights differ.")

    def _noted(self, text: str) -> str:
        """A sentence after what went wrong with the snapshot that is shown, or with all of them."""
        note = self.recorder.problem or (self._shown.note if self._shown is not None else "")
        return f"{note.rstrip('.')}. {text}" if note else text

    # What is shown, from any thread.

    def _rest(self) -> None:
        """Show what there is: a finished training, or what will be seen."""
        self.view.explain(len(self.recorder.units))
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
        self.view.show(snapshot, number)
        self.frames_shown += len(snapshot.pictures) > 0
        self._show_state()

    def _draw_curves(self) -> None:
        batch = None if self._shown is None or self.follow else self._shown.batch
        self.view.draw(self.recorder.curves, batch)

    def _complain(self, failure: Failure, where: str = "") -> None:
        self.traceback = failure.traceback
        said = markup.complaint(failure)
        if where:
            hint = "The details are in panel.traceback."
            said = f"{failure.kind}: {failure.line[:120].rstrip('.')}, in {where[:100]}. {hint}"
        self._say(said, is_error=True)

    def _show_state(self) -> None:
        busy = self.state in BUSY
        is_own = self._run is not None and self._run.is_own
        can_save = self._shown is not None and len(self._shown.pictures) > 0 and self.may_save
        start = self._buttons["start"]
        if not busy:  # first, since it gets the focus from those that are disabled
            start.disabled = self._fit is None
        self._buttons.show(busy and is_own, self.state == "paused", busy, can_save)
        focus.set_disabled(start, busy or self._fit is None, self._buttons["pause"], self._buttons["stop"])

    # Choosing a moment, on the notebook's thread.

    @traitlets.validate("moment")
    def _known_moment(self, proposal: Any) -> int:
        index, count = proposal["value"], len(self.recorder.snapshots)
        if is_whole(index) and -count <= index < 0:  # counted from the newest
            index += count
        return whole_number("moment", index, 0, max(0, count - 1))

    @traitlets.validate("follow")
    def _known_flag(self, proposal: Any) -> bool:
        return flag("follow", proposal["value"])

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

    # Files and code.

    def snippet(self) -> str:
        """The Python that records such a training without a widget."""
        return snippets.write_training(self.recorder.settings_now, self.recorder.picture is not None)

    def _shown_picture(self) -> np.ndarray | None:
        shown = self._shown
        return shown.mosaic() if shown is not None and len(shown.pictures) else None

    def _still(self) -> np.ndarray | None:
        shown = self._shown
        return drawing.unit_tiles(shown, 0.0) if shown is not None and len(shown.pictures) else None

    def _film(self) -> Sequence[np.ndarray]:
        return [snapshot.mosaic() for snapshot in self.recorder.snapshots if len(snapshot.pictures)]

    def _recorded(self) -> dict[str, Any]:
        shown, settings = self._shown, self.recorder.settings_now
        assert shown is not None  # or there is no picture to save
        when = {"epoch": shown.epoch, "batch": shown.batch, "layer": shown.layer, "units": list(shown.units)}
        return {"verb": "TrainingRecorder", "settings": settings, "versions": installed_versions(), **when}

    def _name(self) -> str:
        return f"training-{self.recorder.layer}"

    # The widget itself.

    def __repr__(self) -> str:
        return f"TrainingPanel({self.recorder!r}, {self.state})"

    def _end(self) -> None:
        """Stop a training of the panel's own, and hear nothing more of others."""
        self._unlisten()
        run, self._run = self._run, None
        if run is not None and run.is_own:
            run.stop()
        self.view.close()
        self._moments.unlink()


def _moment_text(snapshot: Snapshot) -> str:
    logs = "".join(f" · {name} {value:.3g}" for name, value in list(snapshot.logs.items())[:2])
    start = "before the first batch" if not snapshot.batch else f"epoch {snapshot.epoch} · batch {snapshot.batch}"
    return start + logs
