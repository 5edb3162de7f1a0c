"""The verbs that a recipe can name, and their settings, which are read from the fields of each verb's own dataclass."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from string import Formatter


@dataclass(frozen=True)
class Verb:
    """How a verb is written.

    Args:
        first: the source of what it is given first; `{name}` stands for a setting.
        dataclass: its settings, by module and name: imported when they are needed, since TensorFlow comes with them.
        leaves: the name for what it returns; "frame" for what a verb that yields yielded last.
    """

    first: str
    dataclass: str
    leaves: str

    @property
    def required(self) -> tuple[str, ...]:
        """The settings without which it cannot be written."""
        return tuple(name for _, name, _, _ in Formatter().parse(self.first) if name)

    @cached_property
    def keywords(self) -> tuple[str, ...]:
        """Its other settings, in the order they are written."""
        module, name = self.dataclass.rsplit(".", 1)
        names: tuple[str, ...] = getattr(importlib.import_module(f"cnnwidgets.{module}"), name).names()
        return tuple(name for name in names if name not in self.required)

    @property
    def settings(self) -> tuple[str, ...]:
        """All its settings."""
        return self.required + self.keywords


VERBS: Mapping[str, Verb] = {
    "visualize_units": Verb("net, {layer}", "visualize.units.UnitsSettings", "pics"),
    "visualize_classes": Verb("net, {classes}", "visualize.classes.ClassesSettings", "pics"),
    "ascend": Verb("net, cw.objectives.channel({layer}, {unit})", "visualize.ascent.AscendSettings", "frame"),
    "feature_maps": Verb("net, picture", "activations.feature_maps.MapsSettings", "pics"),
    "class_activation_map": Verb("net, picture", "explain.class_activation_map.MapSettings", "heat"),
    "attribution": Verb("net, picture", "explain.attribution.AttributionSettings", "heat"),
    "unit_attribution": Verb("net, picture", "explain.unit_attribution.UnitAttributionSettings", "found"),
    "faithfulness": Verb("net, picture, {heat}", "explain.faithfulness.FaithfulnessSettings", "curve"),
    "deepdream": Verb("net, picture", "visualize.photographs.deepdream.DreamSettings", "frame"),
    "adversarial": Verb("net, picture", "visualize.adversarial.AdversarialSettings", "frame"),
    "accentuate": Verb(
        "net, picture, cw.objectives.unit({layer}, {unit})",
        "visualize.photographs.accentuation.AccentuationSettings",
        "frame",
    ),
    "concepts": Verb("net, pictures", "explain.concepts.ConceptsSettings", "found"),
    "caricature": Verb("net, picture, {layer}", "visualize.photographs.caricature.CaricatureSettings", "frame"),
}
