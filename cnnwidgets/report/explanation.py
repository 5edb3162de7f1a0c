"""An explanation of one prediction: the result of `explain`, which can be saved as a folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from cnnwidgets.explain.faithfulness import Curve
from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.frame import Array
from cnnwidgets.model.outputs.predictions import Prediction
from cnnwidgets.provenance.recipe import Recipe


@dataclass(frozen=True, eq=False, repr=False)
class Drawing:
    """A picture as it is saved.

    Attributes:
        pixels: [H, W, C] uint8.
        recipe: how it is made: `cw.rerun` makes the same file from it; `None` for a photograph.
    """

    pixels: Array
    recipe: Recipe | None = None

    def __repr__(self) -> str:
        made = "" if self.recipe is None else f", by {self.recipe.verb}"
        return f"Drawing({self.pixels.shape[0]} x {self.pixels.shape[1]}{made})"


@dataclass(frozen=True, eq=False, repr=False)
class MethodMaps:
    """The heatmaps of one method, and how far they can be trusted.

    Attributes:
        method: its name, such as "grad_cam".
        maps: one for each call of the layer, or each picture input; none where the method has none for this network.
        curves: for each map its curves by metric, "deletion" and "insertion".
        drawing: the maps over the photographs, side by side; `None` where there are none.
        note: why there are none; else "".
    """

    method: str
    maps: tuple[Heatmap, ...]
    curves: tuple[Mapping[str, Curve], ...]
    drawing: Drawing | None
    note: str = ""

    @property
    def label(self) -> str:
        """The method's usual name, such as "Grad-CAM"."""
        return method_guide.label(self.method)

    def __repr__(self) -> str:
        return f"MethodMaps({self.method!r}, {len(self.maps)} maps{', ' + self.note if self.note else ''})"


@dataclass(frozen=True, eq=False, repr=False)
class StrongUnit:
    """A unit that carried much of the decision.

    Attributes:
        path: of its layer.
        call: which call of the layer.
        input: the picture input that this call sees; `None` where it sees several.
        unit: its index.
        share: its signed part in the target: the sum over positions of activation * gradient.
        portrait: what the unit responds to, made from noise; `None` where that failed.
        evidence: where it is evidence for the target (red) or against it (blue), on the photograph; `None` for a layer
            without rows and columns.
        note: "" or a remark, such as "never fires: ...".
    """

    path: str
    call: int
    input: str | None
    unit: int
    share: float
    portrait: Drawing | None
    evidence: Array | None
    note: str = ""

    def __repr__(self) -> str:
        return f"StrongUnit({self.path!r}, call {self.call}, unit {self.unit}, share {self.share:+.3g})"


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Why a network predicts what it does for one picture.

    Attributes:
        network: its name.
        target: the class index that is explained; the function where the target is one.
        about: the target in words.
        output: the name of the output that it belongs to.
        value: the number that is explained, such as the class's logit.
        probability: of the target, 0..1; NaN where it has none.
        predictions: of that output, the best first.
        outputs: the predictions of every output by its name.
        photographs: as the network was given them, by the name of their input.
        heatmaps: for each method its maps.
        units: the units with the largest shares, the largest first, of each call of the layer.
        evidence: the evidence of these units on the photographs, one picture for each call.
        recipe: network, fingerprint, settings, versions and device, and the code of this call.
        notes: remarks about the network, the picture and what could not be explained.
        class_outputs: the names of the outputs whose predictions are probabilities of classes; others are numbers.
    """

    network: str
    target: int | Callable[[Any], Any]
    about: str
    output: str
    value: float
    probability: float
    predictions: tuple[Prediction, ...]
    outputs: Mapping[str, tuple[Prediction, ...]]
    photographs: Mapping[str, Drawing]
    heatmaps: tuple[MethodMaps, ...]
    units: tuple[StrongUnit, ...]
    evidence: tuple[Drawing, ...]
    recipe: Mapping[str, Any]
    notes: tuple[str, ...]
    class_outputs: frozenset[str]

    def save(self, folder: str | PathLike[str]) -> Path:
        """Save as a folder: PNGs, a `report.html` that needs nothing else, and `manifest.json`, which is written last.

        Each PNG of a method or unit has its recipe inside, for `cw.rerun`. A folder without `manifest.json` was not
        finished. An earlier explanation in the folder is replaced.

        Args:
            folder: a new or an empty one, or one with an earlier explanation.

        Returns:
            The path of `report.html`.

        Raises:
            BadTarget: for a folder with other contents, which are not changed, or one that cannot be written to.
        """
        from cnnwidgets.report.folder import write  # it reads this module

        return write(self, folder)

    def __repr__(self) -> str:
        """One line."""
        maps = sum(len(one.maps) for one in self.heatmaps)
        return f"Explanation({self.network!r}, {self.about}, {maps} heatmaps, {len(self.units)} units)"
