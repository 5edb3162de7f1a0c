"""`fit` on a separate thread, which pauses and stops between two batches, or in a cell, which can only stop."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import linecache
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cnnwidgets.errors import BadTarget
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.backend import keras
from cnnwidgets.training.recorder import TrainingRecorder

THREAD = "cnnwidgets-training"
_NOT_THE_USERS = (sysconfig.get_paths()["purelib"], sysconfig.get_paths()["stdlib"], str(Path(__file__).parents[2]))
HELD = "This training runs in a cell, which keeps the kernel busy. Train with panel.fit(...) to pause it."


class TrainingRun:
    """One call of `fit`.

    Args:
        model: the compiled model.
        arguments: what `fit` is given in order.
        keywords: what it is given by name; without `verbose` it prints nothing, since no cell runs.
        recorder: the callback that records it; added where it is not among the callbacks.
        on_change: called after each change of `state`, by the thread that changed it.

    Attributes:
        state: "running" "paused" "stopped" "done" or "error".
        failure: of a training that broke, as text.
        where: the line of the user's own code that broke, as text.
        history: of loss and metrics, what `fit` returns.
        is_own: whether the panel began it.

    Raises:
        TypeError: for arguments that `fit` does not take.
    """

    is_own = True

    def __init__(
        self,
        model: Any,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any],
        recorder: Any,
        on_change: Callable[[TrainingRun], object],
    ) -> None:
        self.state = "running"
        self.failure: Failure | None = None
        self.where = ""
        self.history: dict[str, list[float]] = {}
        self._on_change = on_change
        self._may_go = threading.Event()
        self._may_go.set()
        self._is_stopped = False
        self._call = self._bound(model, arguments, keywords, recorder)
        context = contextvars.copy_context()  # ipykernel sends nothing from a thread without its cell
        self._thread = threading.Thread(target=context.run, args=(self._train,), name=THREAD, daemon=True)

    def _bound(
        self, model: Any, arguments: Sequence[Any], keywords: Mapping[str, Any], recorder: Any
    ) -> Callable[[], Any]:
        """The call of `fit`, with our callbacks behind the user's."""
        signature = inspect.signature(model.fit)
        bound = signature.bind(*arguments, **keywords)
        by_name = bound.arguments if "callbacks" in signature.parameters else bound.arguments.setdefault("kwargs", {})
        by_name["callbacks"] = _with(by_name.get("callbacks"), [recorder, _Between(self)], model)
        by_name.setdefault("verbose", 0)
        return lambda: model.fit(*bound.args, **bound.kwargs)

    def start(self) -> None:
        self._thread.start()

    def pause(self) -> None:
        """Hold after the present batch."""
        self._may_go.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._may_go.set()

    def stop(self) -> None:
        """End after the present batch."""
        self._is_stopped = True
        self._may_go.set()

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end; returns at once on the training's own thread."""
        if threading.current_thread() is not self._thread and self._thread.ident is not None:
            self._thread.join(timeout)

    @property
    def is_busy(self) -> bool:
        return self.state in ("running", "paused")

    def _train(self) -> None:
        try:
            done = self._call()
            self.history = dict(getattr(done, "history", None) or {})
            self._become("stopped" if self._is_stopped else "done")
        except BaseException as error:  # of the user's own code, which nobody else would see
            self.failure, self.where = Failure.of(error), _line_of(error)
            self._become("error")

    def between_batches(self, model: Any) -> None:
        """Hold here while paused; tell Keras to end where it is stopped."""
        if not self._may_go.is_set() and not self._is_stopped:
            self._become("paused")
            self._may_go.wait()
            if not self._is_stopped:
                self._become("running")
        if self._is_stopped:
            model.stop_training = model.stop_evaluating = True

    def _become(self, state: str) -> None:
        self.state = state
        self._on_change(self)


class _Between(keras.callbacks.Callback):  # type: ignore[misc]
    """Calls the run between two batches, of training and of validation."""

    def __init__(self, run: TrainingRun) -> None:
        super().__init__()
        self._run = run

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._run.between_batches(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After the validation, and the snapshot."""
        self._run.between_batches(self.model)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """After a batch of the validation."""
        self._run.between_batches(self.model)


def _with(callbacks: Any, ours: Sequence[Any], model: Any) -> Any:
    """The user's callbacks and ours, in whichever form `fit` was given them."""
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for one in ours:
            if one not in callbacks.callbacks:
                callbacks.append(one)
                one.set_model(model)
                one.set_params(callbacks.params)
        return callbacks
    given = keras.tree.flatten(callbacks) if callbacks else []
    return [*given, *(one for one in ours if one not in given)]


def _line_of(error: BaseException) -> str:
    """The last line of the user's own that the error passed through: "line 3: x = 1 / 0"; "" where there is none."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*_NOT_THE_USERS, "<")):
            source = (frame.line or linecache.getline(frame.filename, frame.lineno or 0)).strip()
            return f"line {frame.lineno}: {source}"
    return ""


class CellTraining:
    """One call of `fit` in a cell, with the methods of a TrainingRun: it can be stopped but not paused.

    Args:
        recorder: the callback that records it.
        on_change: called after each change of `state`, by the thread that trains.

    Attributes:
        state: "running" "stopped" or "done".
        failure, where: none, since the cell shows its own error.
        is_own: whether the panel began it.
    """

    failure, where, is_own = None, "", False

    def __init__(self, recorder: TrainingRecorder, on_change: Callable[[CellTraining], object]) -> None:
        self.state = "running"
        self._recorder, self._on_change = recorder, on_change
        self._is_stopped = False

    def start(self) -> None:
        """Watch its cell: if that ends first, an error or an interrupt has ended the training."""
        _after_this_cell(self._cell_ended)

    def pause(self) -> None:
        """Refuse.

        Raises:
            BadTarget: always.
        """
        raise BadTarget(HELD)

    def resume(self) -> None:
        """It is never paused."""

    def stop(self) -> None:
        """End after the present batch."""
        self._is_stopped = True

    def wait(self, timeout: float | None = None) -> None:
        """Its cell waits for it."""

    @property
    def is_busy(self) -> bool:
        return self.state == "running"

    def batch_ended(self) -> None:
        """Let Keras end where it is stopped."""
        if self._is_stopped and self._recorder.model is not None:
            self._recorder.model.stop_training = True

    def ended(self) -> None:
        """It is over."""
        self._become("stopped" if self._is_stopped else "done")

    def _cell_ended(self) -> None:
        if self.is_busy:
            self._become("stopped")

    def _become(self, state: str) -> None:
        self.state = state
        self._on_change(self)


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
