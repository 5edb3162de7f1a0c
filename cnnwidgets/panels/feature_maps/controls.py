"""The controls of a FeatureMapPanel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import SizeMenu
from cnnwidgets.panels.feature_maps.settings import CONTRASTS


class FeatureMapControls(Controls):
    """Layer, order and contrast in a row; the size under More."""

    def __init__(self, net: Network, layers: Sequence[str], on_set: Callable[[str, Any], object]) -> None:
        look = {"style": named("60px")}
        inputs = {
            "layer": widgets.Dropdown(
                options=layers, description="Layer", tooltip="The layer whose feature maps are shown",
                layout=wide("210px"), **look,
            ),
            "order": widgets.Dropdown(
                options=[("activation", "answer"), ("index", "index")], description="Order", layout=wide("210px"),
                tooltip="By the strongest activation, or by index", **look,
            ),
            "how": widgets.Dropdown(
                options=CONTRASTS, description="Contrast", layout=wide("210px"), **look,
                tooltip="Each map by its lowest and highest value, or by mean and deviation (textbook)",
            ),
            "size": SizeMenu(net),
        }  # fmt: skip
        super().__init__(on_set, inputs, [3], "Size")
        self._more.layout.display = inputs["size"].layout.display

    def show(self, settings: Mapping[str, Any]) -> None:
        self._fill(settings)
