"""A search for the top patches of a unit in named photographs, as frames with a mosaic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.activations.patches import Patch, PatchesSettings
from cnnwidgets.errors import BadTarget
from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import cells

PATCHES, COLUMNS, TILE = 9, 3, 96  # of the mosaic of patches; pixels
LONGEST = 384  # pixels of a photograph that is searched: the patches are shown small, and time and memory are saved
PER_PICTURE = 2  # patches: so that one photograph does not fill the mosaic


@dataclass(frozen=True, repr=False)
class PatchesFrame(Frame):
    """The best patches so far as one picture [1, H, W, 3].

    Attributes:
        best: the name of the photograph that the first one comes from.
    """

    best: str = ""

    @property
    def progress(self) -> str:
        """How far the search has come, for a caption."""
        return f"{self.step} of {self.steps} photographs searched · best {self.values[0]:.3g}, from {self.best}"


def search_photographs(
    net: Network, layer: str, unit: int, call: int, names: Sequence[str], photographs: Iterable[Array]
) -> Iterator[PatchesFrame]:
    """The best patches so far, after each photograph.

    Raises:
        BadTarget: for a layer, unit or call that does not exist, at once; later where no photograph activates the unit.
    """
    settings = PatchesSettings(layer, unit, PATCHES, PER_PICTURE, call)
    search = settings.check(net).search(map(smaller, photographs))
    return _frames(search, names)


def _frames(search: Iterator[list[Patch]], names: Sequence[str]) -> Iterator[PatchesFrame]:
    patches: list[Patch] = []
    for step, patches in enumerate(search, 1):
        if patches:
            best, values = names[patches[0].picture], np.array([patches[0].value])
            yield PatchesFrame(_mosaic(patches)[None], step, len(names), values, best=best)
    if not patches:
        raise BadTarget(f"None of the {len(names)} photographs activates this unit. Choose another one.")


def smaller(photograph: Array) -> Array:
    """The photograph, at most as large as it is searched."""
    return cells.fit(photograph, LONGEST) if max(photograph.shape[:2]) > LONGEST else photograph


def _mosaic(patches: list[Patch]) -> Array:
    tiles = [cells.centered(cells.fit(patch.pixels, TILE), (TILE, TILE)) for patch in patches]
    return pictures.mosaic(np.stack(tiles), COLUMNS)
