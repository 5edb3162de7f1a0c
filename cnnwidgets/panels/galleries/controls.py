"""The controls of a gallery, and its menu of photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets import samples
from cnnwidgets.model.arguments import MOST_STEPS
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import Menu
from cnnwidgets.visualize.batches import Tiles

SIZES = (48, 64, 96, 128, 160)
NOTHING = ("choose", None)  # the line of the menu for no tile
NOISE, OWN = "from noise", "in your photograph"


class GalleryControls(Controls):
    """The menu of tiles in a row; size, steps, recipe and seed under More."""

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


class PhotographMenu(widgets.Dropdown):
    """From noise, in the photograph that was given, or in a sample.

    Args:
        net: the network; samples are only for those that take one picture.
        on_choose: called with a picture, or `None` for noise.

    Attributes:
        offered: the photograph that may be chosen as one's own, where another panel has offered one.
    """

    offered: Any = None
    options: Any
    value: Any

    def __init__(self, net: Network, on_choose: Callable[[Any], object]) -> None:
        names = samples.sample_names() if len(net.picture_inputs) == 1 else ()
        self._on_choose, self._own, self._updating = on_choose, None, Updating()
        self._samples = {f"in the sample {name}": name for name in names}
        super().__init__(
            options=[NOISE, *self._samples],
            description="Enlarge",
            tooltip="Optimize the chosen unit from noise, or bring it out in a photograph",
            layout=widgets.Layout(width="auto", max_width="320px"),
            style={"description_width": "52px"},
        )
        self.observe(self._picked, "value")

    def __repr__(self) -> str:
        return f"PhotographMenu({self.value!r})"

    def offer(self, photograph: Any) -> None:
        """Let a photograph be chosen, in place of one that was offered before; it is not chosen yet."""
        if self._own is self.offered:
            self._own = photograph
        self.offered = photograph
        if OWN not in self.options:
            with self._updating:
                chosen = self.value
                self.options = [NOISE, OWN, *self._samples]
                self.value = chosen

    def show(self, photograph: Any) -> None:
        """Show what is set; a photograph that is not one of the samples stays in the menu."""
        with self._updating:
            if photograph is None:
                self.value = NOISE
            elif not (self.value in self._samples and self._shown is photograph):
                self._own = photograph
                self.options = [NOISE, OWN, *self._samples]
                self.value = OWN

    _shown: Any = None  # the sample that was chosen

    def _picked(self, change: dict[str, Any]) -> None:
        if self._updating or change["new"] is None:
            return
        name = change["new"]
        self._shown = samples.sample(self._samples[name]) if name in self._samples else None
        self._on_choose(self._shown if name in self._samples else self._own if name == OWN else None)
