"""A unit in detail: its optimized picture, and the top patches of real photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures, samples
from cnnwidgets.activations.patches import Patch, PatchesSettings
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.frame import Frame
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.side_run import SIZE, STEPS, SideRun
from cnnwidgets.pictures import cells
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import ascend

PATCHES, COLUMNS, TILE = 9, 3, 96  # of the mosaic of patches; pixels
LONGEST = 384  # pixels of a photograph that is searched: the patches are shown small, and time and memory are saved
PER_PICTURE = 2  # patches: so that one photograph does not fill the mosaic


class UnitView(widgets.HBox):
    """Two screens side by side: the optimized picture, and patches of photographs.

    Args:
        on_change: called when either begins or ends to compute, on whatever thread.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        self.optimized = SideRun(
            on_change, "What it responds to", "Visualize this unit shows what the chosen unit responds to.", width=300
        )
        self.patches = SideRun(
            on_change, "Top patches", "The parts of photographs that activate it most.", _progress, width=300
        )
        super().__init__(
            [self.optimized, self.patches], layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 16px")
        )

    def __repr__(self) -> str:
        return f"UnitView({self.optimized!r}, {self.patches!r})"

    @property
    def is_busy(self) -> bool:
        """Whether either of them computes."""
        return any(part.current.is_busy for part in (self.optimized, self.patches))

    @property
    def traceback(self) -> str:
        """Of what went wrong last, in either."""
        return self.optimized.traceback or self.patches.traceback

    def begin(self, net: Network, layer: str, unit: int, call: int, picture: HeldPicture) -> None:
        """Optimize a picture for a unit, and search this picture and the samples for its top patches."""
        which = (net.sees(layer, call) or net.picture_inputs)[0]
        size = None if net.inputs[which].is_fixed else SIZE
        frames = ascend(net, objectives.unit(layer, unit, call=call), size, STEPS)
        photographs = [("your picture", picture.photos[net.picture_inputs.index(which)])]
        photographs += [(name, samples.sample(name)) for name in samples.sample_names()]
        settings = PatchesSettings(layer, unit, PATCHES, PER_PICTURE, call)
        search = settings.check(net).search([_smaller(photo) for _, photo in photographs])
        self.optimized.begin(f"What {layer} · {unit} responds to", frames)
        self.patches.begin("Top patches", _frames(search, [name for name, _ in photographs]))

    def stop(self) -> None:
        """End both after the step under way, and keep what they show."""
        for part in (self.optimized, self.patches):
            part.current.stop()

    def forget(self) -> None:
        """Show nothing."""
        for part in (self.optimized, self.patches):
            part.forget()

    def close(self) -> None:
        """Stop, and take everything off the page."""
        for part in (self.optimized, self.patches):
            part.close()
        super().close()


@dataclass(frozen=True, repr=False)
class PatchesFrame(Frame):
    """The best patches so far as one picture [1, H, W, 3].

    Attributes:
        best: the name of the photograph that the first one comes from.
    """

    best: str = ""


def _frames(search: Iterator[list[Patch]], names: list[str]) -> Iterator[PatchesFrame]:
    patches: list[Patch] = []
    for step, patches in enumerate(search, 1):
        if patches:
            best, values = names[patches[0].picture], np.array([patches[0].value])
            yield PatchesFrame(_mosaic(patches)[None], step, len(names), values, best=best)
    if not patches:
        raise BadTarget(f"None of the {len(names)} photographs activates this unit. Choose another one.")


def _smaller(photograph: np.ndarray) -> np.ndarray:
    return cells.fit(photograph, LONGEST) if max(photograph.shape[:2]) > LONGEST else photograph


def _mosaic(patches: list[Patch]) -> np.ndarray:
    tiles = [cells.centered(cells.fit(patch.pixels, TILE), (TILE, TILE)) for patch in patches]
    return pictures.mosaic(np.stack(tiles), COLUMNS)


def _progress(frame: PatchesFrame) -> str:
    return f"{frame.step} of {frame.steps} photographs searched · best {frame.values[0]:.3g}, from {frame.best}"
