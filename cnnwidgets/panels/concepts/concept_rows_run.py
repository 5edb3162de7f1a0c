"""The run of a ConceptPanel: the search, the maps on one photograph, then a picture along each direction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from cnnwidgets.errors import BadTarget, CnnWidgetsError
from cnnwidgets.explain.concept_search.found_concepts import Concepts
from cnnwidgets.explain.concepts import ConceptsPlan
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.model.network import Network
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.presets import CLASS_RECIPES, named

SIZE, STEPS = 96, 32  # of a picture along a direction
AS_A_CLASS = named("fourier", CLASS_RECIPES)  # a concept is as large as a subject, not a texture


@dataclass(frozen=True, eq=False)
class Drawn:
    """The picture along a concept's direction."""

    pixels: np.ndarray | None
    note: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class ConceptRowsFrame:
    """What is known so far: a frame of a ConceptPanel.

    Attributes:
        photo: [H, W, C], 0..1, the photograph that the maps are of.
        step: 1, 2, ... `steps`.
        steps: how many there will be.
        phase: what is done.
        found: the concepts; `None` before they are found.
        maps: a Heatmap for each concept; none for a layer without rows and columns.
        why_no_maps: "" or the reason.
        drawn: the pictures so far, by the index of the concept.
    """

    photo: np.ndarray
    step: int
    steps: int
    phase: str
    found: Concepts | None = None
    maps: tuple[Heatmap, ...] = ()
    why_no_maps: str = ""
    drawn: Mapping[int, Drawn] = field(default_factory=dict)

    notes: tuple[str, ...] = ()
    is_step = False  # there is no curve

    @property
    def values(self) -> np.ndarray:
        """No objective that all concepts share."""
        return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False)
class ConceptsRequest:
    """What is asked.

    Attributes:
        net: the network.
        plan: of the search; `None` where the concepts are known.
        known: the concepts, where they are known already.
        drawn: the pictures that are there already.
        given: the photograph, as the verbs take it.
        photo: the same, [H, W, C], 0..1.
        seed: of the pictures.
    """

    net: Network
    plan: ConceptsPlan | None
    known: Concepts | None
    drawn: Mapping[int, Drawn]
    given: object
    photo: np.ndarray
    seed: int

    def frames(self) -> Iterator[ConceptRowsFrame]:
        """The unstarted run."""
        shown, found = ConceptRowsFrame(self.photo, 0, 1, "", self.known), self.known
        if self.plan is not None:
            to_draw = self.plan.settings.count * STEPS
            for frame in self.plan.frames():
                found = frame.found
                shown = ConceptRowsFrame(self.photo, frame.step, frame.steps + 1 + to_draw, frame.phase, found)
                yield shown
        assert found is not None
        missing = [index for index in range(len(found)) if index not in self.drawn]
        shown = replace(shown, step=shown.step + 1, steps=shown.step + 1 + len(missing) * STEPS, found=found)
        maps, why_none = _maps(found, self.given)
        shown = replace(shown, phase="maps", drawn=dict(self.drawn), maps=maps, why_no_maps=why_none)
        yield shown
        for index in missing:
            for later in self._drawn(shown, found, index):
                yield later
                shown = later

    def _drawn(self, shown: ConceptRowsFrame, found: Concepts, index: int) -> Iterator[ConceptRowsFrame]:
        """The frames while one concept is visualized."""
        size = None if self.net.inputs[self.net.picture_inputs[0]].is_fixed else SIZE
        before, drawn = shown.step, shown.drawn
        try:
            for frame in ascend(
                self.net,
                found.objective(index),
                size,
                STEPS,
                parametrization=AS_A_CLASS.parametrization,
                transforms=AS_A_CLASS.transforms,
                seed=self.seed,
            ):
                now = {**drawn, index: Drawn(frame.pictures[0])}
                yield replace(shown, step=before + frame.step, phase=f"drawing {found.title(index)}", drawn=now)
        except CnnWidgetsError as error:  # the other concepts are right all the same
            yield replace(shown, step=before + STEPS, drawn={**drawn, index: Drawn(None, str(error))})


def _maps(found: Concepts, picture: object) -> tuple[tuple[Heatmap, ...], str]:
    """The maps on a picture, or none and the reason."""
    try:
        return tuple(found.maps(picture)), ""
    except BadTarget as error:
        return (), str(error)
