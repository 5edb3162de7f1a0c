"""Concepts: directions among a layer's channels that recur in crops of the user's own pictures (CRAFT)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain import targets
from cnnwidgets.explain.concept_search.crops import Reader
from cnnwidgets.explain.concept_search.factorization import (
    check_installed,
)
from cnnwidgets.explain.concept_search.found_concepts import Concepts
from cnnwidgets.explain.concept_search.importance import METHODS
from cnnwidgets.explain.concept_search.search import Search, check_enough
from cnnwidgets.explain.targets import Target
from cnnwidgets.explain.unit_attribution import default_layer
from cnnwidgets.frame import last_of
from cnnwidgets.model.arguments import check_call
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.model.settings import SEED, OneOf, Settings, Whole, setting
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.model.unlocked_property import unlocked_property
from cnnwidgets.pictures.reading.folders import many_pictures

DECISIONS = 32  # pictures for which the importance is computed, at most


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


@dataclass(frozen=True, eq=False)
class ConceptsSettings(Settings):
    """The settings of `concepts`."""

    layer: str | None = None
    target: Any = None
    count: int = setting(8, Whole(1, 64))
    importance: str = setting("gradient_x_activation", OneOf(tuple(METHODS)))
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


@dataclass(frozen=True, eq=False, repr=False)
class ConceptsFrame:
    """A step of a search."""

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
