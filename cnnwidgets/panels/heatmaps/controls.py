"""The controls of a HeatmapPanel, and its sidebar: predictions, class search, the hidden and the explained region."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets import pictures
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.explain.overlays.overlay_tiles import HeatTiles
from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.controls.class_menu import ClassField, ClassMenu
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import Menu, SizeMenu
from cnnwidgets.panels.heatmaps import captions as captions_
from cnnwidgets.panels.heatmaps.hidden_region import HiddenRegion
from cnnwidgets.panels.heatmaps.region_choice import RegionChoice

METHODS = [(method_guide.label(method), method) for method in method_guide.WORDS]
SLIM, BROAD = named("70px"), named("120px")
ROOM = 19  # letters of a layer's name beside the slider
WIDTH = "264px"
EMPTY = "Start shows the predictions."


class HeatmapControls(Controls):
    """What is mapped in one row, how it is painted in the next, the rest under More."""

    def __init__(self, net: Network, layers: list[str], on_set: Callable[[str, Any], object]) -> None:
        self._net = net
        self.classes = ClassMenu(lambda index: on_set("target", index))
        mapped, painted = _mapped(layers), _painted()
        inputs = {**mapped, **painted, **_compared(net), **_more(net)}
        more = "Compare, rather than, log-odds, sanity check, seed, size"
        super().__init__(on_set, inputs, [len(mapped), len(painted)], more)
        self._about = markup.markup(width="100%")
        self.children = [self._rows[0], self._about, self._rows[1], self._hidden_row]

    def show(self, settings: Mapping[str, Any]) -> None:
        layer, output = settings["layer"], settings["output"]
        name = None if output is None else self._net.outputs[find_output(output, self._net.outputs)].name
        self._fill({key: value for key, value in {**settings, "output": name}.items() if key != "layer" or layer})
        methods = settings["method"], settings["second_method"]
        self._inputs["channels"].layout.display = "" if "score_cam" in methods else "none"
        self._inputs["layer"].disabled = layer is None or not method_guide.is_map(settings["method"])
        self._about.value = markup.progress_text(method_guide.sentence(settings["method"]))


def _mapped(layers: list[str]) -> dict[str, widgets.Widget]:
    return {
        "layer": widgets.SelectionSlider(
            options=[(markup.tail(layer, ROOM), layer) for layer in layers or ["none"]], description="Layer",
            continuous_update=False, style=SLIM, tooltip="From the picture to the class scores", layout=wide("440px"),
        ),
        "method": widgets.Dropdown(
            options=METHODS, description="Method", tooltip="How the evidence is computed", layout=wide("250px"),
            style=SLIM,
        ),
    }  # fmt: skip


def _painted() -> dict[str, widgets.Widget]:
    return {
        "opacity": _share("Opacity", "How much the heat covers the picture"),
        "threshold": _share("Threshold", "Heat below this share of the largest is not shown"),
        "colormap": widgets.Dropdown(
            options=list(pictures.COLORMAPS), description="Colors", layout=wide("190px"), style=SLIM,
            tooltip="Color maps that color-blind eyes can read; RdBu_r shows evidence against the class too",
        ),
    }  # fmt: skip


def _share(name: str, hint: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        min=0.0, max=1.0, step=0.05, description=name, tooltip=hint, readout_format=".0%", layout=wide("250px"),
        style=SLIM,
    )  # fmt: skip


def _compared(net: Network) -> dict[str, widgets.Widget]:
    return {
        "second_method": Menu(
            [("none", None), *METHODS], description="Compare method", layout=wide("295px"), style=BROAD,
            tooltip="Another method, side by side",
        ),
        "second_target": ClassField(net, "Compare class", "Another class, side by side on the same color scale"),
        "against": ClassField(
            net, "Rather than", "Explain the class rather than this one: the difference of their logits"
        ),
        "of": widgets.Dropdown(
            options=[("logit", "logit"), ("log-odds", "log_odds")], description="Explain", style=SLIM,
            layout=wide("190px"),
            tooltip="The class's logit, or its log-odds: the logit compared with all other classes",
        ),
    }  # fmt: skip


def _more(net: Network) -> dict[str, widgets.Widget]:
    output = Menu(
        [("the first", None), *((info.name, info.name) for info in net.outputs)], description="Output",
        layout=wide("220px"), style=SLIM,
    )  # fmt: skip
    output.layout.display = "" if len(net.outputs) > 1 else "none"
    return {
        "channels": widgets.BoundedIntText(
            min=1, max=10**6, description="Channels", layout=wide("170px"), style=SLIM,
            tooltip="How many of the layer's channels Score-CAM tries, those that vary most first",
        ),
        "output": output,
        "seed": widgets.IntText(description="Seed", layout=wide("150px"), style=SLIM),
        "size": SizeMenu(net),
        "sanity_check": widgets.Checkbox(
            description="Sanity check: shuffled weights", indent=False,
            layout=widgets.Layout(width="auto", margin="2px 12px"),
            tooltip="The same map of a copy with shuffled weights: one that looks the same shows nothing learned",
        ),
    }  # fmt: skip


class HeatmapSidebar(widgets.HBox):
    """Groups with a title each: a column next to one picture, a row under a wide one."""

    def __init__(self, classes: ClassMenu, region: HiddenRegion, explained: RegionChoice) -> None:
        self._region, self._explained = region, explained
        self.bars = markup.markup(markup.progress_text(EMPTY))
        groups = [_group("Predictions", self.bars, classes), _group("Hide a region", region)]
        self._explaining = _group("Explain a region", explained)
        groups.append(self._explaining)
        super().__init__(groups, layout=widgets.Layout(flex="1 1 280px", flex_flow="row wrap", grid_gap="12px 16px"))
        self.layout.align_content = "flex-start"

    def __repr__(self) -> str:
        return "HeatmapSidebar()"

    def offer_region(self, is_dense: bool, target: object, size: tuple[int, int]) -> None:
        """Show the region that is explained on a picture of (height, width), for an output that has positions."""
        self._explaining.layout.display = "" if is_dense else "none"
        self._explained.show(target, size)

    def show(self, tiles: HeatTiles, captions: list[tuple[str, str, str]]) -> None:
        """Show the predictions, and offer regions of these tiles, which have these captions."""
        self.bars.value = captions_.bars(tiles.comparison)
        names = [" ".join(captions[tile.cell][:2]) for tile in tiles.tiles]
        height_and_width = [(tile.photo.shape[0], tile.photo.shape[1]) for tile in tiles.tiles]
        self._region.offer(names, height_and_width)


def _group(title: str, *parts: widgets.Widget) -> widgets.VBox:
    heading = markup.markup(markup.title(title))
    heading.layout.margin = "0 0 4px"
    return widgets.VBox([heading, *parts], layout=widgets.Layout(width=WIDTH, max_width="100%"))
