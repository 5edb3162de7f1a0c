"""A gallery of pictures that maximize classes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as widgets
import traitlets

from cnnwidgets.errors import BadTarget
from cnnwidgets.frame import Frame
from cnnwidgets.model.network import as_network
from cnnwidgets.panels.base.binding import settings_of
from cnnwidgets.panels.galleries.controls import GalleryControls
from cnnwidgets.panels.galleries.tile_gallery import TileGallery
from cnnwidgets.visualize.classes import ClassesPlan, ClassesSettings
from cnnwidgets.visualize.presets import CLASS_RECIPES

LARGE = 160  # pixels of the enlarged picture: larger ones show several small subjects
MOST_CLASSES = 16


@settings_of(ClassesSettings)
class ClassGallery(TileGallery):
    """A live gallery: one tile for each class, the picture that maximizes it; click one to enlarge it.

    Args:
        net: a Network or a bare Keras model.
        classes: indices or names.
        size, steps, seed, recipe, output: as in `visualize_classes`.

    Attributes:
        classes, size, steps, seed, recipe, output: as given; set one to change it, a run under way begins again.
        unit: the chosen tile's class, or `None`; choosing one optimizes it at a larger size.

    Raises:
        BadTarget, BadModel: what `visualize_classes` would raise.

    Example:
        >>> ClassGallery(net, ["goldfish", "cheeseburger"])
    """

    size: int | tuple[int, int] | None
    steps: int
    seed: int
    recipe: str
    output: int | str | None
    classes: tuple[int, ...]

    _verb = "visualize_classes"
    _word = "Class"
    _watch_for = "Watch for the parts by which the network knows the class."
    _plan: ClassesPlan

    def __init__(
        self,
        net: Any,
        classes: Iterable[int | str],
        size: int | tuple[int, int] | None = None,
        steps: int = 64,
        seed: int = 0,
        recipe: str = "fourier",
        output: int | str | None = None,
    ) -> None:
        settings = ClassesSettings.given(locals())
        network = as_network(net)
        plan = settings.check(network)
        super().__init__(network, plan)
        names = network.class_names or ()
        self._add = widgets.Combobox(
            options=list(dict.fromkeys(names)), placeholder="add a class by name", ensure_option=False,
            description="Add a class", tooltip="A class by name or index",
        )  # fmt: skip
        self._add.add_class("cnnw-named")  # its name is for screen readers
        self._add.layout.width = "210px"
        self._remove = self._button("Remove", "times", self._remove_chosen, "Take the chosen class out of the gallery")
        self._add.observe(lambda change: self._guarded(self._add_class, change["new"]), "value")
        self.controls = GalleryControls(plan, tuple(CLASS_RECIPES), "Class", [self._add, self._remove], self._set)
        self._assemble()

    def _planned(self) -> ClassesPlan:
        return ClassesSettings.set_on(self).check(self.net)

    def _large(self, unit: int) -> tuple[str, Iterator[Frame]]:
        size = None if self.net.inputs[self._plan.canvas.which].is_fixed else LARGE
        settings = replace(ClassesSettings.set_on(self), classes=[unit], size=size)
        return self._label(unit), settings.check(self.net).frames()

    def _label(self, unit: int) -> str:
        return self.net.class_name(unit, self._plan.output)

    def _settings(self) -> tuple[str, dict[str, Any]]:
        verb, settings = super()._settings()
        if self.output is None:
            del settings["output"]
        return verb, settings

    def _name(self) -> str:
        return f"{self.net.name}-classes-{'-'.join(map(str, self._plan.units[:4]))}"

    def _aim(self) -> str:
        return "each optimized for the logit of its class"

    def _doing(self, frame: Any) -> str:
        return "Optimizing: each step makes the pictures more of their class, and less of its rivals."

    def _failures(self, count: int, of: int) -> str:
        return f"{count} of {of} {'is' if count == 1 else 'are'} predicted as another class."

    def _advice(self) -> str:
        return "The numbers are logits. Click a tile to optimize it at a larger size; add another class by name."

    def _add_class(self, name: str) -> None:
        if not name.strip():
            return
        wanted = int(name) if name.strip().isdigit() else name
        index = self.net.class_index(wanted, self._plan.output)
        if len(self.classes) >= MOST_CLASSES:
            raise BadTarget(f"At most {len(self.classes)} classes are shown together. Remove one first.")
        if index not in self.classes:
            self.classes = (*self.classes, index)
        self._add.value = ""

    def _remove_chosen(self) -> None:
        if self.unit is None:
            raise BadTarget("No class is chosen. Click its tile, or choose it in the menu, first.")
        left = tuple(c for c in self.classes if c != self.unit)
        if not left:
            raise BadTarget("This is the last class. Add another one before you remove it.")
        self.classes = left

    @traitlets.validate("unit")
    def _known_class(self, proposal: Any) -> int | None:
        unit = proposal["value"]
        return None if unit is None else self.net.class_index(unit, self._plan.output)
