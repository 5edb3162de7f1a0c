"""A unit in detail: its optimized picture, and the top patches of real photographs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from operator import attrgetter

import ipywidgets as widgets

from cnnwidgets import samples
from cnnwidgets.activations.patches_run import search_photographs
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.panels.runs.side_run import SIZE, STEPS, SideRun
from cnnwidgets.panels.unit.atlas_unit import AtlasUnit
from cnnwidgets.visualize import objectives
from cnnwidgets.visualize.ascent import ascend
from cnnwidgets.visualize.photographs.caricature import caricature

NOTHING = AtlasUnit()


class UnitView(widgets.HBox):
    """Two screens side by side: the optimized picture, and patches of photographs.

    Args:
        on_change: called when either begins or ends to compute, on any thread.
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        self.optimized = SideRun(
            on_change, "What it responds to", "Visualize this unit shows what the chosen unit responds to.", width=300
        )
        self.patches = SideRun(
            on_change,
            "Top patches",
            "The parts of photographs that activate it most.",
            attrgetter("progress"),
            width=300,
        )
        super().__init__(
            [self.optimized, self.patches],
            layout=widgets.Layout(flex="1 1 300px", max_width="616px", flex_flow="row wrap", grid_gap="8px 16px"),
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

    def present(self, layer: str, unit: int, found: AtlasUnit) -> None:
        """Show what an atlas has of a unit."""
        if found.picture is not None:
            self.optimized.present(f"What {layer} · {unit} responds to", found.picture, found.words)
        if found.patches is not None:
            self.patches.present("Top patches", found.patches, found.patch_words)

    def begin(
        self, net: Network, layer: str, unit: int, call: int, picture: HeldPicture, found: AtlasUnit = NOTHING
    ) -> None:
        """Optimize a picture for a unit, and search this picture and the samples for its top patches.

        Args:
            net: the network.
            layer: a path.
            unit: its index.
            call: which call of the layer.
            picture: searched first.
            found: what an atlas has of the unit; its patches are not searched again.
        """
        which = (net.sees(layer, call) or net.picture_inputs)[0]
        size = None if net.inputs[which].is_fixed else SIZE
        frames = ascend(net, objectives.unit(layer, unit, call=call), size, STEPS)
        own = picture.photos[net.picture_inputs.index(which)]
        names = ["your picture", *samples.sample_names()]
        photographs = itertools.chain([own], map(samples.sample, samples.sample_names()))
        search = search_photographs(net, layer, unit, call, names, photographs)
        self.optimized.begin(f"What {layer} · {unit} responds to", frames)
        if found.patches is None:
            self.patches.begin("Top patches", search)

    def draw_layer(self, net: Network, layer: str, call: int, picture: HeldPicture, size: Size | None) -> None:
        """Optimize a picture for what the whole layer keeps of the photograph: its caricature."""
        self.optimized.begin(f"What {layer} keeps", caricature(net, picture.given, layer, call=call, size=size))

    def stop(self) -> None:
        """End both after the step under way, and keep what they show."""
        for part in (self.optimized, self.patches):
            part.current.stop()

    def forget(self) -> None:
        for part in (self.optimized, self.patches):
            part.forget()

    def close(self) -> None:
        for part in (self.optimized, self.patches):
            part.close()
        super().close()
