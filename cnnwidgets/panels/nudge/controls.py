"""The controls of an AdversarialPanel: the budget, the method, what is shown; the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.compute.ascent import MOST_STEPS

LARGEST_BUDGET = 16  # grey levels of 255, unless a budget is larger
BEFORE, AFTER, DIFFERENCE = VIEWS = ("Before", "After", "Difference × 20")
METHODS = {"momentum_sign": "along the gradient", "random_search": "random search"}


class NudgeControls(widgets.VBox):
    """Sliders and menus that say what they want by name, and show what they are told.

    Args:
        on_set: called with (name, value) when the reader has moved a control; "view" chooses what is shown, the other
            names are the verb's.
    """

    def __init__(self, on_set: Callable[[str, Any], object]) -> None:
        self._on_set = on_set
        self._filling = False
        self._inputs: dict[str, Any] = {
            "epsilon": widgets.IntSlider(
                min=1, max=LARGEST_BUDGET, description="Budget", continuous_update=False, layout=_wide("250px"),
                style=_named("52px"), tooltip="Grey levels of 255 by which any pixel may change: epsilon",
            ),
            "method": widgets.Dropdown(
                options=[(words, name) for name, words in METHODS.items()], description="Method", layout=_wide("215px"),
                style=_named("52px"), tooltip="Along the gradient (momentum sign), or the baseline",
            ),
            "view": widgets.ToggleButtons(
                options=VIEWS, value=AFTER, tooltips=[
                    "The photograph", "The nudged photograph", "What was added, 20 times stronger; grey is none"
                ], style={"button_width": "auto"},
            ),
            "steps": widgets.BoundedIntText(
                min=1, max=MOST_STEPS, description="Steps", tooltip="More help where the budget is small",
                layout=_wide("130px"), style=_named("52px"),
            ),
            "seed": widgets.IntText(
                description="Seed", tooltip="Of the random search", layout=_wide("130px"), style=_named("52px")
            ),
        }  # fmt: skip
        self._more = widgets.ToggleButton(
            description="More", icon="sliders", tooltip="Steps and seed", layout=_wide("auto")
        )
        first = [self._inputs[name] for name in ("epsilon", "method", "view")]
        self._rest = widgets.HBox(
            [self._inputs["steps"], self._inputs["seed"]], layout=widgets.Layout(flex_flow="row wrap", display="none")
        )
        row = widgets.HBox([*first, self._more], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._rest], layout=_wide("100%"))
        for name, widget in self._inputs.items():
            widget.observe(lambda change, name=name: self._moved(name, change["new"]), "value")
        self._more.observe(self._more_pressed, "value")

    def __repr__(self) -> str:
        return f"NudgeControls({self._inputs['epsilon'].value} of 255, {self.view!r})"

    @property
    def view(self) -> str:
        """One of `VIEWS`."""
        return str(self._inputs["view"].value)

    def show(self, values: Mapping[str, Any]) -> None:
        """Let the controls say this."""
        levels = max(1, round(255 * values["epsilon"]))
        self._filling = True
        try:
            self._inputs["epsilon"].max = max(self._inputs["epsilon"].max, levels)
            for name, value in {**values, "epsilon": levels}.items():
                if self._inputs[name].value != value:
                    self._inputs[name].value = value
        finally:
            self._filling = False

    def _moved(self, name: str, value: Any) -> None:
        if not self._filling:
            self._on_set(name, value / 255 if name == "epsilon" else value)

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._rest.layout.display = "" if change["new"] else "none"


def _wide(width: str) -> widgets.Layout:
    return widgets.Layout(width=width, max_width="100%")


def _named(width: str) -> dict[str, str]:
    return {"description_width": width}
