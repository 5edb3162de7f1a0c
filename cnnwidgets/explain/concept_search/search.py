"""A running search for concepts: crops and activations so far, then directions and their importance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cnnwidgets.errors import BadPicture, BadTarget
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.concept_search import crops as crops_
from cnnwidgets.explain.concept_search.crops import Crop
from cnnwidgets.explain.concept_search.factorization import check_nonzero, coefficients, explained, factorized
from cnnwidgets.explain.concept_search.found_concepts import PATCH, Concepts, notes_on
from cnnwidgets.explain.concept_search.importance import METHODS
from cnnwidgets.explain.passes import Probe
from cnnwidgets.frame import Array
from cnnwidgets.quantities import plural

if TYPE_CHECKING:
    from cnnwidgets.explain.concepts import ConceptsPlan

HELD = 0.2  # of the pictures: they take no part in the factorization, and show what it explains
NEGATIVE = 1e-6  # of the largest activation: smaller negative ones are rounding
FROM_ONE = 3  # patches of a concept from one picture, where there are enough pictures
SHOWN = 3  # files that are skipped, in the note


def check_enough(pictures: int, count: int, skipped: int = 0) -> None:
    """Refuse fewer pictures than concepts."""
    if pictures < count:
        skip = f" ({skipped} could not be read)" if skipped else ""
        raise BadPicture(
            f"{count} {plural('concept', count)} {'needs' if count == 1 else 'need'} at least {count} "
            f"{plural('picture', count)}, got {pictures}{skip}. Give more pictures, or "
            f"count={max(pictures, 1)}."
        )


class Search:
    """Reads pictures one by one, finds directions, weighs them one decision at a time, and returns the concepts."""

    def __init__(self, plan: ConceptsPlan) -> None:
        self._plan, self._settings, self._reader = plan, plan.settings, plan.reader
        self._crops: list[Crop] = []
        self._parts: list[Array] = []
        self._skipped: list[str] = []
        self._weights: list[Array] = []

    def read(self, index: int) -> None:
        """Cut a picture into crops, and read the layer for each; a file that is not a picture is noted."""
        given = self._plan.pictures[index]
        try:
            opened = self._reader.net.opened(given)
        except BadPicture as error:
            if not self._plan.is_folder:
                raise
            self._skipped.append(f"{Path(given).name}: {error}")
            return
        height, width = opened[self._reader.which].shape[:2]
        most = max(1, self._settings.crops // len(self._plan.used))
        own = list(crops_.chosen_of(crops_.crops_of(index, height, width), most, self._settings.seed))
        self._parts.append(self._reader.activations(opened, own))
        self._crops += own

    def factorize(self) -> None:
        """Find the directions in the crops of most pictures, and measure on the others what they explain."""
        read = self._pictures
        check_enough(len(read), self._settings.count, len(self._skipped))
        every = np.concatenate(self._parts).astype(np.float64)  # [n, 2 k]
        units = every.shape[1] // 2
        largest = np.abs(every).max()
        self._is_split = bool(every[:, units:].max() > NEGATIVE * largest)
        activations = every if self._is_split else every[:, :units]
        check_nonzero(activations, self._reader.path)
        is_held = self._held(read)
        directions, self._has_settled = factorized(activations[~is_held], self._settings.count, self._settings.seed)
        self._held_activations, self._mean = activations[is_held], activations[~is_held].mean(0)
        self._directions, self._coefficients = directions, coefficients(activations, directions)

    @property
    def _pictures(self) -> list[int]:
        """The indices of the pictures that were read."""
        return sorted({crop.picture for crop in self._crops})

    def _held(self, read: Sequence[int]) -> Array:
        """[n] bool: the crops of a fifth of the pictures; of one picture a fifth of its crops."""
        numbers = np.random.default_rng(self._settings.seed & 0x7FFFFFFF)
        of_crops = np.array([crop.picture for crop in self._crops])
        if len(read) > 1:
            return np.isin(of_crops, numbers.choice(read, max(1, round(HELD * len(read))), replace=False))
        held = np.zeros(len(of_crops), bool)
        held[numbers.choice(len(held), max(1, round(HELD * len(held))), replace=False)] = True
        return held

    def decisions(self, count: int) -> list[int]:
        """So many of the pictures that were read, evenly spread."""
        read = self._pictures
        return [read[int(at)] for at in np.linspace(0, len(read) - 1, min(count, len(read)))]

    def weigh(self, index: int) -> None:
        """The importance of each direction for the decision on one picture.

        Raises:
            BadTarget: where no gradient of the target reaches the layer.
        """
        reader, target = self._reader, self._plan.target
        probe = Probe(reader.net, self._plan.pictures[index], self._settings.size)
        method = METHODS[self._settings.importance]
        found = method(probe, target, reader.path, reader.call, self._directions)
        if found is None:
            raise BadTarget(reachability.why_no_gradient(reader.net, target, reader.path, reader.call))
        self._weights.append(found)

    def concepts(self) -> Concepts:
        """What was found, the most important first."""
        weights = np.mean(self._weights, 0)
        order = np.argsort(-weights, kind="stable")
        directions = self._directions[order].astype(np.float32)
        strengths = self._coefficients.mean(0)[order].astype(np.float32)
        return Concepts(
            path=self._reader.path,
            call=self._reader.call,
            directions=directions,
            importance=weights[order].astype(np.float32),
            patches=self._patches(order),
            explained=explained(self._held_activations, self._directions, self._mean),
            strengths=strengths,
            names=("",) * len(order),
            notes=notes_on(directions, strengths),
            note="; ".join(self._notes()),
            about=self._about(),
            method=self._settings.importance,
            _net=self._reader.net,
            _size=self._settings.size,
            _held=self._held_activations.astype(np.float32),
            _mean=self._mean.astype(np.float32),
        )

    def _patches(self, order: Array) -> list[Array]:
        """The crops with most of each concept; their pictures are read once more, one at a time."""
        best = {int(concept): self._strongest(int(concept)) for concept in order}
        made: dict[int, Array] = {}
        wanted = {index for chosen in best.values() for index in chosen}
        for picture in sorted({self._crops[index].picture for index in wanted}):
            opened = self._reader.net.opened(self._plan.pictures[picture])[self._reader.which]
            for index in wanted:
                if self._crops[index].picture == picture:
                    made[index] = crops_.tile(self._crops[index], opened, PATCH)
        none = np.zeros((0, PATCH, PATCH, 3), np.float32)
        return [np.stack([made[i] for i in best[int(c)]]) if best[int(c)] else none for c in order]

    def _strongest(self, concept: int) -> list[int]:
        """The crops with most of a concept, few of them from one picture."""
        there, count = self._coefficients[:, concept], self._settings.patches
        most = max(FROM_ONE, -(-count // len(self._pictures)))
        chosen: list[int] = []
        taken: Counter[int] = Counter()
        for index in np.argsort(-there, kind="stable"):
            picture = self._crops[index].picture
            if len(chosen) == count or not there[index] > 0:
                break
            if taken[picture] < most:
                taken[picture] += 1
                chosen.append(int(index))
        return chosen

    def _about(self) -> str:
        target = self._plan.target
        if target.function is None and target.unit == targets.TOP:
            return "each picture's top class"
        return targets.describe(self._reader.net, target, target.unit)

    def _notes(self) -> Iterator[str]:
        if self._is_split:
            yield (
                "split by sign: the layer has negative activations, so positive and negative parts of each channel "
                "count as two"
            )
        if not self._has_settled:
            yield "not settled: the factorization stopped at its last round; ask for fewer concepts"
        if self._skipped:
            shown, count = "; ".join(self._skipped[:SHOWN]), len(self._skipped)
            files = "1 file is not a picture" if count == 1 else f"{count} files are not pictures"
            more = "" if len(self._skipped) <= SHOWN else f"; and {len(self._skipped) - SHOWN} more"
            yield f"skipped: {files} ({shown}{more})"
        random = self._reader.net.random_note(self._reader.path)
        yield from filter(None, [random])
