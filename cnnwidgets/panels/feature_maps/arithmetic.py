"""The arithmetic of the value under the pointer on a feature map."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ipywidgets as widgets

from cnnwidgets.activations.convolution import Convolution, LayerValues, Pooling, explainable, layer_values
from cnnwidgets.activations.maps_run import MapsFrame, MapsRun
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.jobs import Job
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.feature_maps.arithmetic_table import table
from cnnwidgets.panels.protocols import PlainFrame
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener

HOW = "Point at the map, click a position, or change row and column with the arrow keys."


@dataclass(frozen=True, eq=False)
class ValuesFrame(PlainFrame):
    """The one frame of a run: input and output of a layer."""

    layer_values: LayerValues


class Arithmetic(widgets.VBox):
    """How the value at one position of a feature map was computed.

    Args:
        on_ready: called when the numbers of a layer have arrived.
        on_place: called with another (row, column) that the user gave.

    Attributes:
        found: what is shown, a Convolution or Pooling; `None` where nothing is.
    """

    def __init__(self, on_ready: Callable[[], object], on_place: Callable[[tuple[int, int]], object]) -> None:
        self.found: Convolution | Pooling | None = None
        self._on_ready, self._on_place = on_ready, on_place
        self._run: CurrentRun[ValuesFrame] = CurrentRun()
        self._of: MapsRun | None = None  # the run whose layer the numbers are of
        self._values: LayerValues | None = None
        self._is_filling = False
        self._fields = [
            widgets.BoundedIntText(0, min=0, max=0, description=name, tooltip=f"{name} of the map")
            for name in ("Row", "Column")
        ]
        for one in self._fields:
            one.layout.width, one.style.description_width = "140px", "52px"
            one.observe(self._place_given, "value")
        self._table = markup.markup("")
        self._line = markup.markup(markup.status(HOW))
        fields = widgets.HBox(self._fields, layout=widgets.Layout(flex_flow="row wrap"))
        heading = markup.markup(markup.title("Arithmetic"))
        super().__init__([heading, fields, self._table, self._line], layout=widgets.Layout(max_width="100%"))

    def __repr__(self) -> str:
        return f"Arithmetic({self.found!r})"

    def prepare(self, frame: MapsFrame) -> None:
        """Get the numbers of the layer of a frame, on the worker."""
        if self._of is frame.run:
            return
        self.forget()
        self._of = frame.run
        try:
            explainable(frame.run.net, frame.run.layer)
        except CnnWidgetsError as error:
            self._line.value = markup.status(str(error))
            return
        self._line.value = markup.status("Preparing: reading what this layer takes in.")
        self._run.begin(_values(frame.run), Listener(self._arrived, self._finished))

    def _arrived(self, frame: ValuesFrame, _jpeg: bytes, number: int) -> None:
        self._run.acknowledge(number)
        if self._values is not frame.layer_values:
            self._values = frame.layer_values
            self._on_ready()

    def _finished(self, job: Job[ValuesFrame]) -> None:
        if job.failure is not None:
            self._line.value = markup.status(markup.complaint(job.failure), is_error=True)

    def show(self, unit: int, place: tuple[int, int]) -> None:
        """Show the arithmetic of one value; a place outside the map stands for the nearest inside."""
        if self._values is None:
            return
        rows, columns = self._values.after.shape[:2]
        row, column = min(place[0], rows - 1), min(place[1], columns - 1)
        self._fill((row, column), (rows, columns))
        try:
            found = self._values.at(unit, row, column)
        except CnnWidgetsError as error:
            self.found, self._table.value = None, ""
            self._line.value = markup.status(str(error), is_error=True)
            return
        self._table.value, self._line.value = table(found), markup.status(HOW)
        self.found = found

    def _fill(self, place: tuple[int, int], size: tuple[int, int]) -> None:
        self._is_filling = True
        try:
            for one, value, count in zip(self._fields, place, size, strict=True):
                one.max = max(one.max, count - 1)
                one.value, one.max = value, count - 1
        finally:
            self._is_filling = False

    def _place_given(self, _change: dict[str, Any]) -> None:
        if not self._is_filling:
            self._on_place((self._fields[0].value, self._fields[1].value))

    def forget(self) -> None:
        self._run.drop()
        self._of = self._values = self.found = None
        self._table.value, self._line.value = "", markup.status(HOW)

    def close(self) -> None:
        self._run.drop()
        super().close()


def _values(run: MapsRun) -> Iterator[ValuesFrame]:
    yield ValuesFrame(layer_values(run.net, run.layer, run.call, run.net.arrays(run.picture.given, run.size)))
