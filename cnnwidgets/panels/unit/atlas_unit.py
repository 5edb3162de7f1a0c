"""What an atlas has of one unit: its picture, and examples in the pictures with which the atlas was rendered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnnwidgets import pictures
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget
from cnnwidgets.model.network import Network
from cnnwidgets.panels.galleries.ready_tiles import path_in, why_of_another
from cnnwidgets.pictures import cells

Histogram = tuple[np.ndarray, np.ndarray]  # counts [n], edges [n + 1]
PATCH, COLUMNS = 96, 3  # of the mosaic of patches; pixels


@dataclass(frozen=True, eq=False)
class AtlasUnit:
    """What an atlas has of a unit.

    Attributes:
        picture: [H, W, C] uint8, what maximizes it; `None` where it is not rendered.
        words: how that picture was made.
        patches: uint8, the strongest patches as one mosaic; `None` where the atlas has no pictures of the user's.
        histogram: of its strongest response in each picture.
        why_none: why the atlas is not used, in a sentence.
    """

    picture: np.ndarray | None = None
    words: str = ""
    patches: np.ndarray | None = None
    histogram: Histogram | None = None
    why_none: str = ""

    @property
    def patch_words(self) -> str:
        """Where the patches come from."""
        return "" if self.histogram is None else f"the strongest of the {self.histogram[0].sum()} pictures of the atlas"


def unit_in(atlas: Atlas | None, net: Network, layer: str, unit: int, call: int = 0) -> AtlasUnit:
    """What an atlas has of a unit; nothing where there is no atlas, or it is of another network.

    Args:
        atlas: as opened.
        net: the network; its weights are read.
        layer: a path.
        unit: its index.
        call: which call of the layer.
    """
    if atlas is None:
        return AtlasUnit()
    try:
        if why := why_of_another(atlas, net, layer, call):
            return AtlasUnit(why_none=f"The atlas is not used: {why}.")
        path = path_in(atlas, net, layer)
        assert path is not None  # or there is a reason
        return _read(atlas, path, unit)
    except BadTarget as error:  # it is damaged, or its disk is gone
        return AtlasUnit(why_none=str(error))


def _read(atlas: Atlas, path: str, unit: int) -> AtlasUnit:
    pixels = atlas[path][unit] if unit in atlas.units(path) else None
    # A batch whose file is lost reads as black, which no rendered picture is.
    picture = pixels if pixels is not None and pixels.any() else None
    side, note = "{} x {} px".format(*atlas[path].shape[1:3]), atlas.notes(path)[unit]
    words = f"from the atlas: {side}, {atlas.settings.steps} steps{f'; {note}' if note else ''}"
    if path not in atlas.examples:
        return AtlasUnit(picture, words)
    return AtlasUnit(picture, words, _mosaic(atlas.patches(path, unit)), atlas.histogram(path, unit))


def _mosaic(patches: np.ndarray) -> np.ndarray | None:
    if not len(patches):
        return None
    return pictures.mosaic(np.stack([cells.fit(patch / np.float32(255), PATCH) for patch in patches]), COLUMNS)
