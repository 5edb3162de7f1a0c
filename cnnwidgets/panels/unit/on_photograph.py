"""A unit on the photograph: its map, what its strongest position sees, the classes it changes, and its responses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.jobs import Job
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener
from cnnwidgets.panels.unit import captions
from cnnwidgets.panels.unit.atlas_unit import Histogram
from cnnwidgets.panels.unit.facts import Facts
from cnnwidgets.pictures.cells import with_box


class OnPhotograph:
    """Columns that show what is measured of a unit, part by part.

    Args:
        width: of a column, in CSS pixels.
        on_failure: called with what went wrong.

    Attributes:
        columns: for the page.
        run: what is measured now.
        facts: what is known so far; `None` before.
    """

    def __init__(self, width: int, on_failure: Callable[[Failure], object]) -> None:
        self._width, self._on_failure = width, on_failure
        self.run: CurrentRun[Facts] = CurrentRun()
        self.facts: Facts | None = None
        self._of_atlas: Histogram | None = None
        self.photograph, self.map = (Screen(width, lambda _number: None, empty=empty) for empty in ("", "No map."))
        self._seen, self._classes, self.histogram = (markup.markup("") for _ in range(3))
        place = [markup.markup(markup.title("On the photograph")), self.photograph, self._seen]
        one_map = [markup.markup(markup.title("Its map there")), self.map]
        self.columns = [widgets.VBox(parts) for parts in (place, one_map, [self._classes, self.histogram])]

    def begin(self, photograph: np.ndarray, frames: Iterator[Facts]) -> None:
        """Show the photograph, and what is measured on it as it comes."""
        self.facts = self._of_atlas = None
        self.photograph.show(photograph)
        self.map.explain("Preparing its map.")
        self._seen.value = self._classes.value = self.histogram.value = ""
        self.run.begin(frames, Listener(self._measured, self._has_measured))

    def take_histogram(self, histogram: Histogram | None) -> None:
        """Show the histogram of an atlas instead of what is measured; `None` shows that again."""
        self._of_atlas = histogram
        self._show_responses()

    def close(self) -> None:
        """Stop, and take the pictures off the page."""
        self.run.drop()
        self.photograph.close()
        self.map.close()

    def _measured(self, facts: Facts, _jpeg: bytes, number: int) -> None:
        self.run.acknowledge(number)
        before, self.facts = self.facts, facts
        if before is None or before.box != facts.box or before.plane is not facts.plane:
            self._show_place(facts)
        self._classes.value = captions.signed(
            facts.classes, "Classes it raises and lowers",
            "Logits with the unit minus those without it, on this photograph." if facts.classes
            else "Without it no class changes here, or the network has no classes.",
        )  # fmt: skip
        self._show_responses()

    def _has_measured(self, job: Job[Facts]) -> None:
        if job.failure is not None:
            self._on_failure(job.failure)

    def _show_place(self, facts: Facts) -> None:
        self.photograph.show(facts.photograph if facts.box is None else with_box(facts.photograph, facts.box))
        if facts.plane is None:
            self.map.explain("A layer without rows and columns has no map.")
        else:
            scale = max(1, self._width // max(facts.plane.shape))
            self.map.show(pictures.color_maps(np.kron(facts.plane, np.ones((scale, scale), np.uint8))))
        where = f" at row {facts.place[0]}, column {facts.place[1]}" if facts.plane is not None else ""
        self._seen.value = markup.progress_text(f"Highest response {facts.value:.3g}{where}.")

    def _show_responses(self) -> None:
        responses = None if self.facts is None else self.facts.responses
        if self._of_atlas is not None:
            self.histogram.value = captions.strongest_responses(*self._of_atlas)
        else:
            self.histogram.value = "" if responses is None else captions.histogram(responses)
