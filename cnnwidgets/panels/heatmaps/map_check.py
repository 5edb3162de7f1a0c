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
from cnnwidgets.jobs import Job, worker
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.side_run import SideRun
from cnnwidgets.panels.controls.controls import named, row
from cnnwidgets.panels.heatmaps import captions, check_captions

METRICS = [("deletion", "deletion"), ("insertion", "insertion"), ("ROAD", "road")]
FILLS = [("blur", "blur"), ("gray", "gray")]
EMPTY = "Check this map removes the pixels that the map calls most important, and records the prediction."
EMPTY_GRID = "Compare methods maps this class with every method, and sorts them by what the prediction does."


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
        check = _button("Check this map", "line-chart", "Remove pixels in the order of the map, and predict", on_check)
        compare = _button("Compare methods", "th", "All methods for this picture and class, the best first", on_compare)
        self.removal = _RemovalRun(on_change, self._checked)
        self.methods = _MethodsRun(on_change, self._compared)
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

    @property
    def chosen(self) -> FaithfulnessSettings:
        """The settings that the menus show."""
        return FaithfulnessSettings(metric=self.metric.value, fill=self.fill.value)

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

    def begin(self, comparison: ComparisonFrame, index: int, settings: FaithfulnessSettings) -> None:
        """Remove pixels in the order of one of the maps of a comparison, and do not wait.

        Raises:
            BadTarget: for settings that are not possible.
        """
        request, heat = comparison.requests[0], comparison.columns[0][index]
        settings = _for(comparison, settings)
        settings.checked()
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

    def compare(self, comparison: ComparisonFrame, index: int, settings: FaithfulnessSettings) -> None:
        """Compute the maps of all methods and their curves, and do not wait."""
        settings = _for(comparison, settings)
        settings.checked()
        self.results = ()
        self.methods.layout.display = self.methods.said.value = ""
        request = replace(comparison.requests[0], target=settings.target)
        self.methods.begin("All methods", compare_methods(request, comparison.picture, settings, index))

    def wait(self, run: SideRun) -> None:
        """Wait until a run has ended.

        Raises:
            JobFailed: when it breaks.
        """
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
        """Stop, and take everything off the page."""
        for run in (self.removal, self.methods):
            run.close()
        super().close()

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
        self.removal.curve.value = markup.removal_curve(
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


class _RemovalRun(SideRun):
    """The picture whose pixels vanish, and the curve next to it."""

    def __init__(self, on_change: Callable[[], object], on_frame: Callable[[Any, bool], object]) -> None:
        super().__init__(on_change, "Pixels removed", EMPTY, check_captions.progress, width=300)
        self._on_frame = on_frame
        self.curve = markup.markup("")
        self.said = markup.markup("")
        stage = widgets.HBox(layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 16px"))
        beside = widgets.VBox([self.curve, self.said], layout=widgets.Layout(flex="1 1 280px", min_width="0"))
        stage.children = [self.screen, beside]
        self.children = [self._title, stage, self._line]

    def _show(self, frame: Any, jpeg: bytes, number: int) -> None:
        super()._show(frame, jpeg, number)
        self._on_frame(frame, False)

    def _finished(self, job: Job[Any]) -> None:
        super()._finished(job)
        if job.frame is not None:
            self._on_frame(job.frame, job.state == "done")

    def rest(self, picture: np.ndarray | None, words: str) -> None:
        """Show a picture of the run that has ended."""
        if picture is not None:
            self.screen.show(picture)
            self._line.value = markup.progress_text(words)

    def forget(self) -> None:
        """Show nothing."""
        self.curve.value = self.said.value = ""
        super().forget()


class _MethodsRun(SideRun):
    """The grid of methods, and the table under it."""

    def __init__(self, on_change: Callable[[], object], on_frame: Callable[[Any, bool], object]) -> None:
        super().__init__(on_change, "All methods", EMPTY_GRID, _method_step, width=816)
        self._on_frame = on_frame
        self.table, self.said = markup.markup("", width="100%"), markup.markup("")
        self.children = [self._title, self.screen, self._line, self.said, self.table]

    def _show(self, frame: Any, jpeg: bytes, number: int) -> None:
        super()._show(frame, jpeg, number)
        self._on_frame(frame, False)

    def _finished(self, job: Job[Any]) -> None:
        super()._finished(job)
        if job.frame is not None:
            self._on_frame(job.frame, job.state == "done")

    def forget(self) -> None:
        """Show nothing."""
        self.table.value = self.said.value = ""
        super().forget()


def _method_step(frame: MethodsFrame) -> str:
    is_mapping = 2 * frame.step < frame.steps
    what = f"{len(frame.results)} maps" if is_mapping else "removing pixels in the order of each map"
    return f"step {frame.step} of {frame.steps} · {what}"


def _for(comparison: ComparisonFrame, settings: FaithfulnessSettings) -> FaithfulnessSettings:
    """The settings for what a comparison explains: the class that is the top one stays the same without some pixels."""
    first = comparison.requests[0]
    target = comparison.predictions[0].index if first.target is None and comparison.predictions else first.target
    return replace(settings, target=target, output=first.output, size=first.size, seed=first.seed)


def _button(label: str, icon: str, hint: str, on_press: Callable[[], object]) -> widgets.Button:
    made = widgets.Button(description=label, icon=icon, tooltip=hint, layout=widgets.Layout(width="auto"))
    made.on_click(lambda _: on_press())
    return made


def checked_index(comparison: ComparisonFrame, index: int) -> int:
    """The index of one of the maps of a comparison.

    Raises:
        BadTarget: for one that does not exist.
    """
    count = len(comparison.columns[0])
    if not 0 <= index < count:
        raise BadTarget(f"There is no map {index}. Give 0 to {count - 1}.")
    return index
