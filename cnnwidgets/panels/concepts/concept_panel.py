"""The panel for concepts in the user's own pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures as pictures_
from cnnwidgets.errors import BadPicture, BadTarget, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.concept_search.found_concepts import Concepts, tiles_of
from cnnwidgets.explain.concepts import ConceptsSettings
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.recorded_targets import record
from cnnwidgets.explain.unit_attribution import default_layer
from cnnwidgets.model.arguments import is_whole
from cnnwidgets.model.layers import layers_with_units
from cnnwidgets.model.network import as_network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY, SIDE
from cnnwidgets.panels.base.binding import Setting, settings_of
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.base.photograph_panel import as_shown
from cnnwidgets.panels.concepts.concept_rows import ConceptRows
from cnnwidgets.panels.concepts.concept_rows_run import ConceptRowsFrame, ConceptsRequest, Drawn
from cnnwidgets.panels.concepts.controls import OFFERED, ConceptControls
from cnnwidgets.panels.controls.class_menu import ClassMenu
from cnnwidgets.panels.heatmaps.captions import all_classes, class_chosen
from cnnwidgets.pictures.reading.folders import digest_of, name_of
from cnnwidgets.quantities import plural

FILE = "concepts.json"


@settings_of(ConceptsSettings)
class ConceptPanel(Panel[ConceptRowsFrame]):
    """Concepts in your own pictures, as rows: patches, a picture along the direction, importance, and a map.

    Start searches; then each concept is visualized, step by step. A concept can be shown on the photograph, named, and
    merged into the one that is shown; concepts are saved to a file and loaded from it, with their names.

    Args:
        net: a Network or a bare Keras model.
        pictures: a folder, a list of what `load_picture` takes, or an array [N, H, W, C].
        layer: a path; the last layer with rows and columns before the class scores if not given.
        target: what the importance is for: a class index or name, or a function; each picture's top class if not given.
        count: how many concepts, 1 to 64, at most as many as pictures.
        importance: "gradient_x_activation" or "sobol".
        output: of a model with several, its index or name.
        call: which call of a shared layer.
        size: at which the network looks, as in `concepts`; the network's own if not given.
        crops: how many crops are used at most.
        patches: how many crops are kept for each concept.
        seed: of the search and of the pictures.

    Attributes:
        pictures, layer, ... seed: as given; set one to change it.
        concept: the index of the concept that is shown on the photograph.
        photograph: the index of the picture on which concepts are shown.
        result: the Concepts.

    Raises:
        BadTarget, BadModel, BadPicture: what `concepts` would raise before any computing.

    Example:
        >>> ConceptPanel(net, "photographs", target="tabby")
    """

    target: Any
    count: int
    importance: str
    output: int | str | None
    call: int
    size: Size | None
    crops: int
    patches: int
    seed: int
    _curve_name = None
    pictures = Setting()
    layer = Setting("")
    concept = Setting(0)
    photograph = Setting(0)

    def __init__(
        self,
        net: Any,
        pictures: object,
        layer: str | None = None,
        target: Any = None,
        count: int = 8,
        *,
        importance: str = "gradient_x_activation",
        output: int | str | None = None,
        call: int = 0,
        size: Size | None = None,
        crops: int = 1024,
        patches: int = 9,
        seed: int = 0,
    ) -> None:
        given = locals()
        network = as_network(net)
        path = default_layer(network, targets.named(network, target, output)) if layer is None else layer
        settings = ConceptsSettings.given({**given, "layer": network.layer(path).path})
        self._plan = settings.check(network, pictures)
        super().__init__(network)
        self._known: Concepts | None = None  # found, merged or loaded: not searched again
        self._drawn: Mapping[int, Drawn] = {}
        traits = {"pictures": pictures, **settings.recorded()}
        self._setting_names = [*traits, "concept", "photograph"]
        self._assign(**traits)
        self._hold_first()
        self.controls = ConceptControls(self._set, network, [info.path for info in layers_with_units(network)])
        self.controls.offer([name_of(one, at) for at, one in enumerate(self._plan.pictures[:OFFERED])])
        self.classes = ClassMenu(lambda index: self._set("target", index), "each picture's top class")
        self.rows = ConceptRows(
            lambda index: self._set("concept", index),
            lambda index: self._guarded(self.merge, self.concept, index),
            lambda index, text: self._guarded(self.name, index, text),
        )
        self._file = widgets.Text(FILE, description="File", layout=widgets.Layout(width="auto"))
        self._widen()
        self._assemble()

    def _body(self) -> Sequence[widgets.Widget]:
        self._caption, self._notes = markup.markup(""), markup.markup("")
        buttons = widgets.HBox([
            self._button("Save concepts", "download", self._save_file, "Save the concepts with their names"),
            self._button("Load", "upload", lambda: self.load(self._file.value), "Load concepts from this file"),
        ])  # fmt: skip
        heading, kept = (markup.markup(markup.title(text)) for text in ("Importance is for", "Keep them"))
        side = widgets.VBox([heading, self.classes, kept, self._file, buttons], layout=widgets.Layout(**SIDE))
        main = widgets.VBox([self.screen, self._caption], layout=widgets.Layout(flex="1 1 512px", max_width="660px"))
        main.add_class("cnnw-main-column")
        row = widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        return [self.controls, widgets.HBox([main, side], layout=row), self._notes, self.rows]

    # What runs.

    def start(self) -> None:
        """Search for concepts, then visualize each; names and merges of earlier ones are forgotten."""
        self._known, self._drawn = None, {}
        super().start()

    def _frames(self) -> Iterator[ConceptRowsFrame]:
        plan = None if self._known is not None else self._plan
        held = self._held
        request = ConceptsRequest(self.net, plan, self._known, self._drawn, held.given, held.photos[0], self.seed)
        return request.frames()

    def _result(self, frame: ConceptRowsFrame) -> Concepts | None:
        return frame.found

    def _phase(self, frame: ConceptRowsFrame) -> str:
        return frame.phase

    # What is shown.

    def _photo(self) -> np.ndarray:
        return as_shown(pictures_.displayable(self._held.photos[0]))

    def _paint(self, frame: ConceptRowsFrame) -> np.ndarray:
        photo = as_shown(pictures_.displayable(frame.photo))
        at = self.concept
        return pictures_.overlay(photo, frame.maps[at].map) if at < len(frame.maps) else photo

    def _picture(self, frame: ConceptRowsFrame) -> np.ndarray:
        if frame.found is None:
            return pictures_.displayable(frame.photo)
        return tiles_of(frame.found)

    def _offer_to_look_back(self, frame: Any) -> None:
        """There are no steps to look back at."""

    def _rest(self) -> None:
        super()._rest()
        self.rows.hide()
        self.screen.show(self._photo())
        self._describe(None)

    def _describe(self, frame: ConceptRowsFrame | None) -> None:
        found = None if frame is None else frame.found
        if frame is None or found is None:
            self._caption.value = markup.progress_text("The photograph on which the concepts will be shown")
            self._notes.value = ""
            return
        at = min(self.concept, len(found) - 1)
        note = frame.maps[at].note if at < len(frame.maps) else frame.why_no_maps
        self._caption.value = markup.progress_text(f"Where {found.title(at)} is{f'; {note}' if note else ''}")
        share = f"The concepts explain {found.explained:.0%} of how activations differ in pictures that were held back."
        self._notes.value = markup.notes([share, *filter(None, [found.note])])
        self.rows.show(frame, found, at)

    def _doing(self, frame: ConceptRowsFrame) -> str:
        if frame.found is None:
            return f"Searching: {frame.phase}."
        return "The concepts are there; a picture emerges along the direction of each."

    def _invitation(self) -> str:
        given = len(self._plan.pictures)
        return (
            f"Start cuts {given} {plural('picture', given)} into crops and searches {self.count} "
            f"{plural('concept', self.count)} in {self.layer}. Then look at the patches: what do they have in "
            "common? Name it."
        )

    def _conclusion(self) -> str:
        found = self._last.found
        if len(found) == 1:
            return f"1 concept in {found.path}. Name it."
        return (
            f"{len(found)} concepts in {found.path}, the most important first. Name them, or merge two that are alike."
        )

    def _conclude(self, job: Any) -> None:
        if job.frame is not None and job.frame.found is not None:
            self._known, self._drawn = job.frame.found, job.frame.drawn
        super()._conclude(job)

    # What is changed.

    def _check(self, name: str) -> None:
        if name == "photograph":
            self._held = HeldPicture(self.net, self._plan.pictures[self.photograph], self.size)
        elif name != "concept":
            self._plan = ConceptsSettings.set_on(self).check(self.net, self.pictures)
            if name == "pictures":
                self._assign(photograph=0)
                self._hold_first()
                self.controls.offer([name_of(one, at) for at, one in enumerate(self._plan.pictures[:OFFERED])])

    @traitlets.validate("layer")
    def _known_layer(self, proposal: Any) -> str:
        return self.net.layer(proposal["value"]).path

    @traitlets.validate("concept")
    def _known_concept(self, proposal: Any) -> int:
        most = self.count if self.result is None else len(self.result)
        return _index("concept", proposal["value"], most)

    @traitlets.validate("photograph")
    def _known_photograph(self, proposal: Any) -> int:
        return _index("photograph", proposal["value"], len(self._plan.pictures))

    def _hold_first(self) -> None:
        """Show concepts on the first picture that can be read."""
        for index in range(len(self._plan.pictures)):
            try:
                self._held = HeldPicture(self.net, self._plan.pictures[index], self.size)
            except BadPicture:
                if not self._plan.is_folder or index + 1 == len(self._plan.pictures):
                    raise
            else:
                self._assign(photograph=index)
                return

    def _apply(self, name: str) -> None:
        if name == "concept":
            self._repaint()
        elif name == "photograph" and (self.state in BUSY or self._known is not None):
            self._begin_again()
        elif name != "photograph" and (self.state in BUSY or self._last is not None):
            self._known, self._drawn = None, {}
            self._begin_again()
        else:
            self._run.drop()
            self.state = "idle"
            self._rest()

    def _repaint(self) -> None:
        with self._run.lock:
            if self._last is not None:
                self.screen.show(self._paint(self._last))
                self._describe(self._last)

    def _fill_controls(self) -> None:
        self.controls.show({**ConceptsSettings.set_on(self).recorded(), "photograph": self.photograph})
        chosen = class_chosen(self.net, self.target, self.output)
        self.classes.offer(all_classes(self.net, self.output), chosen)

    # Names, merging and files of concepts.

    def name(self, index: int, text: str) -> None:
        """Name a concept.

        Raises:
            BadTarget: before there are concepts, for one that does not exist, or what is not a short text.
        """
        found = self._concepts().named(index, text)
        self._replace(found, self._last.drawn, self._last.maps)

    def merge(self, first: int, second: int) -> None:
        """Merge two concepts into one, in the place of the first, and visualize it.

        Raises:
            BadTarget: before there are concepts, for one that does not exist, or the same one twice.
        """
        found = self._concepts().merged(first, second)
        kept = [index for index in range(len(found) + 1) if index != second]
        drawn = {at: self._last.drawn[old] for at, old in enumerate(kept) if old in self._last.drawn and old != first}
        self._known, self._drawn = found, drawn
        self._assign(concept=kept.index(first))
        self._begin_again()

    def load(self, path: str | PathLike[str]) -> None:
        """Show the concepts of a file instead; nothing in it is executed.

        Raises:
            BadPicture: for a file that is not one of concepts.
            BadModel: for concepts of another network.
        """
        found = Concepts.load(path, self.net)
        self._run.drop()
        self._known, self._drawn = found, {}
        self._assign(concept=0, layer=found.path, count=len(found))
        self._begin_again()
        self._show_settings()

    def save(self, path: str | PathLike[str]) -> Path:
        """Save the patches as PNG, with the recipe, or the concepts themselves as `.json`; nothing is half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        if Path(path).suffix.lower() == ".json":
            return self._concepts().save(path)
        return super().save(Path(path))

    def _save_file(self) -> None:
        if not self.may_save:
            raise BadTarget("Files are not saved from this page.")
        path = self._concepts().save(
            pictures_.free_path(Path.cwd(), Path(self._file.value).stem or "concepts", ".json")
        )
        self._file.value = path.name
        self._say(f"Saved as {path.name} in the notebook's folder.")

    def _concepts(self) -> Concepts:
        if self.state in BUSY or self._last is None or self._last.found is None:
            raise BadTarget("There are no finished concepts yet. Press Start, or call run(), first.")
        found: Concepts = self._last.found
        return found

    def _replace(self, found: Concepts, drawn: Mapping[int, Drawn], maps: Any) -> None:
        with self._run.lock:
            frame = self._last
            self._last = ConceptRowsFrame(
                frame.photo, frame.step, frame.steps, frame.phase, found, maps, frame.why_no_maps, drawn
            )
            self._known, self._drawn, self.result = found, drawn, found
            self._describe(self._last)

    # What is taken away.

    def _settings(self) -> tuple[str, dict[str, Any]]:
        asked = {**ConceptsSettings.set_on(self).recorded(), "target": record(self.target)}
        asked |= {"size": self.net.recorded_size(self.size), "picture": digest_of(self._plan.pictures)}
        found = self.result
        is_changed = found is not None and (len(found) != self.count or any(found.names))
        return "concepts", {**asked, "steered": True} if is_changed else asked

    def _name(self) -> str:
        return f"{self.net.name}-concepts-{self.layer}"


def _index(name: str, value: Any, count: int) -> int:
    if is_whole(value) and 0 <= value < count:
        return int(value)
    raise BadTarget(f"{name} must be an integer from 0 to {count - 1}, got {quoted(value)}.")
