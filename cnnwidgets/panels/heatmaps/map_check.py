"""Whether a heatmap can be trusted: pixels vanish in its order, and all methods are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets.errors import BadTarget, JobFailed
from cnnwidgets.explain.faithfulness import Curve, CurvesFrame, FaithfulnessSettings
from cnnwidgets.explain.overlays.comparison import ComparisonFrame
from cnnwidgets.explain.overlays.method_comparison import BAND, COLUMNS, MethodResult, MethodsFrame, compare_methods
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.recorded_targets import record
from cnnwidgets.jobs import worker
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.base import charts, markup
from cnnwidgets.panels.base.run_buttons import button
from cnnwidgets.panels.controls.controls import named, row
from cnnwidgets.panels.heatmaps import captions, check_captions
from cnnwidgets.panels.heatmaps.check_runs import MethodsRun, RemovalRun
from cnnwidgets.panels.runs.side_run import SideRun

METRICS = [("deletion", "deletion"), ("insertion", "insertion"), ("ROAD", "road")]
FILLS = [("blur", "blur"), ("gray", "gray")]


class MapCheck(widgets.VBox):
    """Controls, the picture whose pixels vanish with its curve, and the grid of methods.

    Attributes:
        curve: of the map that was checked, `None` before.
        results: of the methods that were compared, the best first.
        settings: those of the check that is shown.

    Args:
        on_check: called when the button to check the map is pressed.
        on_compare: called when the button to compare methods is pressed.
        on_change: called when something begins or ends to compute, on any thread.
    """

    def __init__(
        self, on_check: Callable[[], object], on_compare: Callable[[], object], on_change: Callable[[], object]
    ) -> None:
        self.curve: Curve | None = None
        self.results: tuple[MethodResult, ...] = ()
        self.settings: FaithfulnessSettings | None = None
        self._name, self._index = "", 0
        self._comparison: ComparisonFrame | None = None  # whose map was checked
        self._share, self._are_shares = 0.0, True
        self._part: np.ndarray | None = None  # the picture without the part of the sentence
        self.metric = widgets.Dropdown(
            options=METRICS, description="Metric", style=named("48px"), layout=widgets.Layout(width="170px"),
            tooltip="Pixels removed, or inserted, or removed and filled from their neighbors (ROAD)",
        )  # fmt: skip
        self.which = widgets.Dropdown(
            options=[("map 1", 0)], description="Map", style=named("32px"),
            layout=widgets.Layout(width="200px", display="none"), tooltip="Which of the maps is checked",
        )  # fmt: skip
        self.fill = widgets.Dropdown(
            options=FILLS, description="Fill", style=named("30px"), layout=widgets.Layout(width="120px"),
            tooltip="What replaces removed pixels",
        )  # fmt: skip
        check = button("Check this map", "line-chart", "Remove pixels in the order of the map, and predict", on_check)
        compare = button("Compare methods", "th", "All methods for this picture and class, the best first", on_compare)
        self.removal = RemovalRun(on_change, self._checked)
        self.methods = MethodsRun(on_change, self._compared)
        for part in (self.removal, self.methods):
            part.layout.display = "none"
        title = markup.markup(markup.title("Can this map be trusted?"))
        super().__init__([title, row(self.which, self.metric, self.fill, check, compare), self.removal, self.methods])

    def __repr__(self) -> str:
        return f"MapCheck({self.curve!r}, {len(self.results)} methods)"

    @property
    def is_busy(self) -> bool:
        """Whether anything computes."""
        return self.removal.current.is_busy or self.methods.current.is_busy

    @property
    def traceback(self) -> str:
        """Of the last error."""
        return self.removal.traceback or self.methods.traceback

    def offer(self, names: list[str]) -> None:
        """Let one of these maps be chosen."""
        options = [(name, index) for index, name in enumerate(names)]
        if list(self.which.options) != options:
            self.which.options = options
        self.which.layout.display = "" if len(names) > 1 else "none"

    def recorded(self) -> dict[str, Any]:
        """The settings of the check that is shown, for a recipe."""
        assert self.settings is not None
        checked = self.settings
        return {
            **checked.recorded(),
            "target": record(checked.target),
            "size": None if self._comparison is None else self._comparison.requests[0].net.recorded_size(checked.size),
            "index": self._index,
        }

    def begin(
        self, comparison: ComparisonFrame, settings: FaithfulnessSettings | None = None, index: int | None = None
    ) -> None:
        """Remove pixels in the order of one of the maps of a comparison, and do not wait.

        Args:
            comparison: what the panel shows.
            settings: how; what the menus show if not given.
            index: which of the maps; the one that is chosen if not given.

        Raises:
            BadTarget: for settings that are not possible.
        """
        index, settings = self._index_in(comparison, index), self._settings_for(comparison, settings)
        request, heat = comparison.requests[0], comparison.columns[0][index]
        self.curve, self.settings, self._name = None, settings, captions.target_name(request, comparison)
        self._comparison, self._index, self._part = comparison, index, None
        info = request.net.outputs[find_output(request.output, request.net.outputs)]
        self._are_shares = info.is_class_scores and not callable(request.target)
        self.removal.layout.display = self.removal.said.value = ""

        def frames() -> Iterator[CurvesFrame]:
            probe = Probe(request.net, comparison.picture.given, settings.size)
            for frame in settings.check(probe, {"": heat}).frames():
                self._keep_part(frame)
                yield frame

        self.removal.begin("The pixels that the map calls most important are removed", frames())

    def compare(
        self, comparison: ComparisonFrame, settings: FaithfulnessSettings | None = None, index: int | None = None
    ) -> None:
        """Compute the maps of all methods and their curves, and do not wait; with the arguments of `begin`."""
        index, settings = self._index_in(comparison, index), self._settings_for(comparison, settings)
        self.results = ()
        self.methods.layout.display = self.methods.said.value = ""
        request = replace(comparison.requests[0], target=settings.target)
        self.methods.begin("All methods", compare_methods(request, comparison.picture, settings, index))

    def wait(self, run: SideRun) -> None:
        """Wait until a run has ended."""
        job = run.current.job
        if job is not None:
            worker().run(job)
            run.current.wait()
            if job.failure is not None:
                raise JobFailed(markup.complaint(job.failure))

    def stop(self) -> None:
        """End what computes after the current step, and keep what it shows."""
        for run in (self.removal, self.methods):
            run.current.stop()

    def forget(self) -> None:
        """Show nothing: there is another map."""
        self.curve, self.settings, self.results = None, None, ()
        for run in (self.removal, self.methods):
            if run.layout.display != "none":
                run.forget()
                run.layout.display = "none"

    def close(self) -> None:
        for run in (self.removal, self.methods):
            run.close()
        super().close()

    def _settings_for(self, comparison: ComparisonFrame, settings: FaithfulnessSettings | None) -> FaithfulnessSettings:
        """The settings for what a comparison explains: a class that is the top one stays it without some pixels."""
        settings = settings or FaithfulnessSettings(metric=self.metric.value, fill=self.fill.value)
        first = comparison.requests[0]
        target = comparison.predictions[0].index if first.target is None and comparison.predictions else first.target
        return replace(settings, target=target, output=first.output, size=first.size, seed=first.seed).checked()

    def _index_in(self, comparison: ComparisonFrame, index: int | None) -> int:
        index, count = self.which.value if index is None else index, len(comparison.columns[0])
        if not 0 <= index < count:
            raise BadTarget(f"There is no map {index}. Give 0 to {count - 1}.")
        return index

    def _keep_part(self, frame: CurvesFrame) -> None:
        """Keep the picture of the sentence, or that of the step after it: on the worker's thread, which sees each."""
        (curve,) = frame.curves.values()
        share = float(curve.fractions[int(np.isfinite(curve.values).sum()) - 1])
        if self._part is None and share >= check_captions.PART:
            self._part, self._share = frame.pictures[0], share

    def _checked(self, frame: CurvesFrame, is_done: bool) -> None:
        (curve,) = frame.curves.values()
        if is_done:
            self.curve = curve
            self.removal.rest(self._part, check_captions.part(curve, self._share))
            self.removal.said.value = markup.status(
                f"{check_captions.sentence(curve, self._name, self._are_shares)} "
                f"{check_captions.areas(curve, self._are_shares)}"
            )
        words = f"{curve.metric} for {self._name}"
        self.removal.curve.value = charts.removal_curve(
            curve.fractions.tolist(), curve.values.tolist(), curve.random_values.tolist(), words, self._are_shares
        )

    def _compared(self, frame: MethodsFrame, is_done: bool) -> None:
        self.results = frame.results
        rows = -(-max(1, len(frame.results)) // COLUMNS)
        height = frame.pictures.shape[1] / rows
        columns = min(COLUMNS, max(1, len(frame.results)))
        self.methods.screen.over.value = markup.tiles(
            COLUMNS if rows > 1 else columns, rows, BAND / height, check_captions.tiles(frame.results), None
        )
        self.methods.table.value = check_captions.table(frame.results)
        if is_done:
            self.methods.said.value = markup.status(check_captions.best(frame.results))
