"""One unit climbed large, beside the gallery that it was chosen from."""

from __future__ import annotations

import threading
from typing import Any

import ipywidgets as widgets

from cnnwidgets import pictures
from cnnwidgets.compute import objectives
from cnnwidgets.compute.ascent import ascend
from cnnwidgets.compute.network import Network
from cnnwidgets.jobs import Job, Publisher, worker
from cnnwidgets.panels import markup
from cnnwidgets.panels.screen import Screen

SIZE, STEPS = 192, 64


class Enlarged(widgets.VBox):
    """A screen with a run of its own: `climb` replaces whatever it showed.

    Args:
        net: the network.
        width: of the picture, in CSS pixels.
    """

    def __init__(self, net: Network, width: int = 300) -> None:
        self._net = net
        self._lock = threading.RLock()
        self._job: Job[Any] | None = None
        self._publisher: Publisher[Any] | None = None
        self._title = markup.markup(markup.title("Enlarged"))
        self.screen = Screen(width, self._acknowledge, empty="Click a tile, or choose a unit, to climb it large.")
        self._line = markup.markup(markup.status(""))
        super().__init__([self._title, self.screen, self._line], layout=widgets.Layout(width="auto", max_width="100%"))

    def __repr__(self) -> str:
        return f"Enlarged({self._net.name!r})"

    def climb(self, layer: str, unit: int, call: int, seed: int) -> None:
        """Begin to climb one unit; an earlier one is dropped."""
        size = SIZE if not self._net.inputs[self._net.picture_inputs[0]].is_fixed else None
        objective = objectives.unit(layer, unit, call=call)
        frames = ascend(self._net, objective, size, STEPS, seed=seed)
        self._title.value = markup.title(f"{layer} · {unit}")
        self._line.value = markup.status("Preparing")
        with self._lock:
            self._drop()
            self._job = Job(frames)
            self._publisher = Publisher(self._job, self._show, finished=self._finished)
            self._publisher.start()
            worker().submit(self._job)

    def stop(self) -> None:
        """End the run and keep its picture."""
        if self._job is not None:
            self._job.stop()

    def forget(self) -> None:
        """Show nothing."""
        self._drop()
        self._title.value, self._line.value = markup.title("Enlarged"), markup.status("")
        self.screen.explain("Click a tile, or choose a unit, to climb it large.")

    def _drop(self) -> None:
        if self._publisher is not None:
            self._publisher.mute()
        if self._job is not None:
            self._job.release()
        self._job = self._publisher = None

    def _show(self, frame: Any, number: int) -> None:
        self.screen.show(pictures.displayable(frame.pictures[0]), number)
        self._line.value = markup.status(f"step {frame.step} of {frame.steps} · value {frame.values[0]:.3g}")

    def _finished(self, job: Job[Any]) -> None:
        if job is not self._job:
            return
        if job.frame is not None:
            self.screen.show(pictures.displayable(job.frame.pictures[0]))
        if job.state == "error":
            self._line.value = markup.status(job.error, is_error=True)

    def _acknowledge(self, number: int) -> None:
        if self._publisher is not None:
            self._publisher.acknowledge(number)

    def close(self) -> None:
        """Stop, and take everything off the page."""
        self._drop()
        self.screen.close()
        super().close()
