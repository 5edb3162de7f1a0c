"""The controls of an AdversarialPanel: the budget, the method, what is shown; the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.arguments import MOST_STEPS
from cnnwidgets.model.network import Network
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import SizeMenu

LARGEST_BUDGET = 16  # gray levels of 255, unless a budget is larger
BEFORE, AFTER, DIFFERENCE = VIEWS = ("Before", "After", "Difference × 20")
METHODS = {"momentum_sign": "along the gradient", "random_search": "random search"}


class AdversarialControls(Controls):
    """Budget, method and view in a row; the rest under More.

    Args:
        on_set: called with (name, value) when a control has changed; "view" chooses what is shown, the other
            names are the verb's.
        net: the network.
    """

    def __init__(self, on_set: Callable[[str, Any], object], net: Network) -> None:
        inputs = {
            "epsilon": widgets.IntSlider(
                min=1, max=LARGEST_BUDGET, description="Budget", continuous_update=False, layout=wide("250px"),
                style=named("52px"), tooltip="Gray levels of 255 by which any pixel may change: epsilon",
            ),
            "method": widgets.Dropdown(
                options=[(words, name) for name, words in METHODS.items()], description="Method", layout=wide("215px"),
                style=named("52px"), tooltip="Along the gradient (momentum sign), or the baseline",
            ),
            "view": widgets.ToggleButtons(
                options=VIEWS, value=AFTER, tooltips=[
                    "The photograph", "The perturbed photograph", "The change, 20 times stronger; gray: no change"
                ], style={"button_width": "auto"},
            ),
            "steps": widgets.BoundedIntText(
                min=1, max=MOST_STEPS, description="Steps", tooltip="More steps help when the budget is small",
                layout=wide("130px"), style=named("52px"),
            ),
            "seed": widgets.IntText(
                description="Seed", tooltip="Seed of the random search", layout=wide("130px"), style=named("52px")
            ),
            "size": SizeMenu(net),
        }  # fmt: skip
        super().__init__(on_set, inputs, [3], "Steps, seed and size")

    @property
    def view(self) -> str:
        return str(self._inputs["view"].value)

    def show(self, values: Mapping[str, Any]) -> None:
        levels = max(1, round(255 * values["epsilon"]))
        self._inputs["epsilon"].max = max(self._inputs["epsilon"].max, levels)
        self._fill({**values, "epsilon": levels})

    def _moved(self, name: str, value: Any) -> None:
        super()._moved(name, value / 255 if name == "epsilon" else value)
