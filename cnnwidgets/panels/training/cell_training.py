"""A `fit` that runs in a cell, not in the panel, as the recorder among its callbacks reports it."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable

from cnnwidgets.errors import BadTarget
from cnnwidgets.training.recorder import TrainingRecorder

HELD = "This training runs in a cell, which keeps the kernel busy. Train with panel.fit(...) to pause it."


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
        """Whether it trains."""
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
