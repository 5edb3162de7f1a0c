"""Concepts: directions among a layer's channels that recur in crops of the user's own pictures (CRAFT)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from cnnwidgets.errors import BadPicture, BadTarget, quoted
from cnnwidgets.explain import reachability, targets
from cnnwidgets.explain.concept_search import crops as crops_
from cnnwidgets.explain.concept_search.crops import Crop, Reader
from cnnwidgets.explain.concept_search.factorization import (
    check_installed,
    check_nonzero,
    coefficients,
    explained,
    factorized,
)
from cnnwidgets.explain.concept_search.found_concepts import PATCH, Concepts, notes_on
from cnnwidgets.explain.concept_search.importance import METHODS
from cnnwidgets.explain.passes import Probe
from cnnwidgets.explain.targets import Target
from cnnwidgets.explain.unit_attribution import default_layer
from cnnwidgets.frame import Array, last_of
from cnnwidgets.model.arguments import check_call, choice
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.unlocked_property import unlocked_property
from cnnwidgets.pictures.reading.folders import many_pictures

HELD = 0.2  # of the pictures: they take no part in the factorization, and show what it explains
DECISIONS = 32  # pictures for which the importance is computed, at most
NEGATIVE = 1e-6  # of the largest activation: smaller negative ones are rounding
FROM_ONE = 3  # patches of a concept from one picture, where there are enough pictures
SHOWN = 3  # files that are skipped, in the note


def concepts(
    net: Network | Any,
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
) -> Concepts:
    """Find concepts that a layer uses in pictures, by factorizing its activations (CRAFT, arXiv:2211.10154).

    Each picture is cut into overlapping square crops of a half and a third of its shorter side. The layer's activation
    for each, averaged over positions, is factorized into nonnegative coefficients and directions by scikit-learn's NMF
    (`pip install "cnnwidgets[concepts]"`).

    Args:
        net: a Network or a bare Keras model; it is not cut.
        pictures: the path of a folder (with its subfolders), a list of what `load_picture` takes, or an array
            [N, H, W, C]; at least as many as concepts. Files of a folder that are not pictures are skipped, and the
            note lists them.
        layer: a path, nested ones too; the last layer before the class scores that has rows and columns, if not given.
        target: what the importance is for, as in `class_activation_map`: a class index or name, or a function; each
            picture's own top class if not given.
        count: how many concepts, from 1 to 64.
        importance: "gradient_x_activation": what each concept adds to the target, in its units and with its sign, on
            average over at most 32 pictures; or "sobol": the total Sobol index of switching concepts off, 0 or more,
            which also sees what concepts do together.
        output: of a model with several, its index or name.
        call: which call of a shared layer.
        size: at which the network looks, if not its own: pixels of the longer side, (height, width) into which a crop
            fits, or "picture" for the picture's own, up to 1,024 px.
        crops: how many crops are used at most, 16 to 65536; of more a random part of each picture's.
        patches: how many crops are shown for each concept, 1 to 64.
        seed: the same seed, machine, versions and settings give the same bytes.

    Raises:
        BadPicture: for a folder without pictures, fewer pictures than concepts, or one that cannot be read.
        BadTarget: for a layer, class, call or number that does not exist; for a layer that is zero everywhere, or does
            not lead to the target.
        BadModel: for a network whose numbers are not finite.
        ImportError: without scikit-learn, with the command that installs it.

    Example:
        >>> found = concepts(net, "photographs", target="tabby", count=8)
        >>> found.importance[0], found.patches[0].shape
    """
    return last_of(ConceptsSettings.given(locals()).check(net, pictures).frames()).concepts


def _checked_method(name: str, method: object) -> str:
    return choice(name, method, METHODS)


@dataclass(frozen=True, eq=False)
class ConceptsSettings(Settings):
    """The settings of `concepts`."""

    layer: str | None = None
    target: Any = None
    count: int = setting(8, Whole(1, 64))
    importance: str = setting("gradient_x_activation", _checked_method)
    output: int | str | None = None
    call: int = 0
    size: Size | None = None
    crops: int = setting(1024, Whole(16, 65536))
    patches: int = setting(9, Whole(1, 64))
    seed: int = setting(0, SEED)

    def check(self, net: Network | Any, pictures: object) -> ConceptsPlan:
        """Check a search for concepts; no picture is read.

        Raises:
            BadTarget, BadPicture: what `concepts` raises before any computing.
        """
        net, found = as_network(net), self.checked()
        wanted = targets.named(net, self.target, self.output)
        path = default_layer(net, wanted) if self.layer is None else net.layer(self.layer).path
        info = net.layer(path)
        call = check_call(info, self.call)
        if found.count > info.units:
            raise BadTarget(
                f"count must be at most {info.units}, the number of channels of {quoted(path)}, got {found.count}."
            )
        seen = net.sees(path, call) or net.picture_inputs
        given = many_pictures(pictures)
        check_enough(len(given), found.count)
        check_installed()
        net.checked_size(self.size)
        is_folder = isinstance(pictures, (str, PathLike))
        return ConceptsPlan(found, Reader(net, path, call, seen[0], self.size), wanted, given, is_folder)


def check_enough(pictures: int, count: int, skipped: int = 0) -> None:
    """Refuse fewer pictures than concepts.

    Raises:
        BadPicture: with both numbers.
    """
    if pictures < count:
        skip = f" ({skipped} could not be read)" if skipped else ""
        raise BadPicture(
            f"{count} concepts need at least {count} pictures, got {pictures}{skip}. Give more pictures, or "
            f"count={max(pictures, 1)}."
        )


@dataclass(frozen=True, eq=False, repr=False)
class ConceptsFrame:
    """A step of a search.

    Attributes:
        step: 1, 2, ... `steps`.
        steps: their total number.
        phase: what was done in it.
        found: the concepts, in the last step.
    """

    step: int
    steps: int
    phase: str
    found: Concepts | None = None

    @property
    def concepts(self) -> Concepts:
        """The concepts, which the last frame holds."""
        assert self.found is not None
        return self.found


@dataclass(frozen=True, eq=False)
class ConceptsPlan:
    """A checked search for concepts.

    Attributes:
        settings: as given, each in its range.
        reader: reads the layer.
        target: what the importance is for.
        pictures: not yet read.
        is_folder: whether they are the files of a folder, so that those that are not pictures are skipped.
    """

    settings: ConceptsSettings
    reader: Reader
    target: Target
    pictures: Sequence[Any]
    is_folder: bool

    @unlocked_property
    def used(self) -> list[int]:
        """The indices of the pictures that are read: all, or as many as crops are wanted."""
        total, most = len(self.pictures), self.settings.crops
        if total <= most:
            return list(range(total))
        return sorted(
            np.random.default_rng(self.settings.seed & 0x7FFFFFFF).choice(total, most, replace=False).tolist()
        )

    def frames(self) -> Iterator[ConceptsFrame]:
        """Search: a frame for each picture, one for the factorization, and one for each decision that is explained."""
        decisions = min(DECISIONS, len(self.used))
        steps = len(self.used) + 1 + decisions
        search = Search(self)
        for step, index in enumerate(self.used, 1):
            search.read(index)
            yield ConceptsFrame(step, steps, f"picture {step} of {len(self.used)}")
        search.factorize()
        yield ConceptsFrame(len(self.used) + 1, steps, "factorization")
        for step, index in enumerate(search.decisions(decisions), len(self.used) + 2):
            search.weigh(index)
            if step < steps:
                yield ConceptsFrame(step, steps, "importance")
        yield ConceptsFrame(steps, steps, "done", search.concepts())


class Search:
    """A running search: crops and activations so far, then directions and their importance."""

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
            shown = "; ".join(self._skipped[:SHOWN])
            more = "" if len(self._skipped) <= SHOWN else f"; and {len(self._skipped) - SHOWN} more"
            yield f"skipped: {len(self._skipped)} files are not pictures ({shown}{more})"
        random = self._reader.net.random_note(self._reader.path)
        yield from filter(None, [random])
