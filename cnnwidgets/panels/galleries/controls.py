"""The controls of a gallery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.arguments import MOST_STEPS
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import Menu
from cnnwidgets.visualize.batches import Tiles

SIZES = (48, 64, 96, 128, 160)
NOTHING = ("choose", None)  # the line of the menu for no tile


class GalleryControls(Controls):
    """The menu of tiles in a row; size, steps, recipe and seed under More.

    Args:
        plan: the checked request for the tiles.
        recipes: the names of the presets.
        word: what a tile stands for.
        others: widgets to the left of the menu.
        on_set: called with (name, value) when a control has changed.
    """

    def __init__(
        self,
        plan: Tiles,
        recipes: Sequence[str],
        word: str,
        others: Sequence[widgets.Widget],
        on_set: Callable[[str, Any], object],
    ) -> None:
        look: dict[str, Any] = {"style": named("48px")}
        inputs = {
            "unit": Menu([NOTHING], description=word, tooltip="The one optimized at a larger size",
                         layout=wide("132px" if word == "Unit" else "220px"), **look),
            "size": widgets.Dropdown(
                options=SIZES, value=64, description="Size", tooltip="Size of a tile in pixels", layout=wide("132px"),
                disabled=plan.net.inputs[plan.canvas.which].is_fixed, **look,
            ),
            "steps": widgets.BoundedIntText(
                plan.settings.steps, min=1, max=MOST_STEPS, description="Steps", layout=wide("132px"),
                tooltip="Gradient steps for each picture; more make it clearer", **look,
            ),
            "recipe": widgets.Dropdown(
                options=list(recipes), value=plan.settings.recipe, description="Recipe", layout=wide("132px"),
                tooltip="How a picture is made: its parametrization, transforms and optimizer", **look,
            ),
            "seed": widgets.IntText(
                plan.settings.seed, description="Seed", layout=wide("132px"),
                tooltip="Seed of the starting noise; the same seed gives the same pictures", **look,
            ),
        }  # fmt: skip
        super().__init__(on_set, inputs, [1], "Size, steps, recipe and seed")
        self._rows[0].children = (*others, *self._rows[0].children)

    def __repr__(self) -> str:
        return f"GalleryControls({self._inputs['unit'].choice!r})"

    def show(self, plan: Tiles, unit: int | None, label: Callable[[int], str]) -> None:
        """Show the settings of a plan, and the chosen tile."""
        self._inputs["unit"].offer(
            [NOTHING, *((label(one), one) for one in plan.units)], unit if unit in plan.units else None
        )
        size, menu = plan.canvas.shape[0], self._inputs["size"]
        options = tuple(sorted({*SIZES, size}))
        if menu.options != options:  # else the user may have it open
            menu.options = options
        settings = plan.settings
        self._fill({"steps": settings.steps, "seed": settings.seed, "recipe": settings.recipe, "size": size})
