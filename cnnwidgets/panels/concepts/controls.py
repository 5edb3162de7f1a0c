"""The controls of a ConceptPanel: layer, number of concepts, photograph; the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import SizeMenu

METHODS = [("gradient times activation", "gradient_x_activation"), ("Sobol indices", "sobol")]
OFFERED = 500  # photographs in the menu


class ConceptControls(Controls):
    """Menus of where concepts are searched and on which photograph they are shown."""

    def __init__(self, on_set: Callable[[str, Any], object], net: Network, layers: list[str]) -> None:
        inputs = {
            "layer": widgets.Dropdown(
                options=layers, description="Layer", layout=wide("330px"), style=named("44px"),
                tooltip="The layer whose activations are factorized",
            ),
            "count": widgets.BoundedIntText(
                min=1, max=64, description="Concepts", layout=wide("140px"), style=named("64px"),
                tooltip="How many concepts are searched; at most as many as pictures",
            ),
            "photograph": widgets.Dropdown(
                options=[], description="Photograph", layout=wide("260px"), style=named("76px"),
                tooltip="The picture on which the concepts are shown",
            ),
            "importance": widgets.Dropdown(
                options=METHODS, description="Importance", layout=wide("290px"), style=named("76px"),
                tooltip="What each concept adds to the class, or how much switching it off changes it",
            ),
            "crops": widgets.BoundedIntText(
                min=16, max=65536, description="Crops", layout=wide("150px"), style=named("44px"),
                tooltip="How many crops are used at most",
            ),
            "seed": widgets.IntText(
                description="Seed", layout=wide("130px"), style=named("44px"),
                tooltip="The same seed gives the same concepts",
            ),
            "size": SizeMenu(net),
        }  # fmt: skip
        super().__init__(on_set, inputs, [3], "Importance, crops, seed and size")

    def offer(self, photographs: Sequence[str]) -> None:
        """Offer these photographs, by number."""
        self._inputs["photograph"].options = [(name, at) for at, name in enumerate(photographs[:OFFERED])]

    def show(self, settings: Mapping[str, Any]) -> None:
        self._fill(settings)
