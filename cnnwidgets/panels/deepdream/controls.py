"""The controls of a DeepDreamPanel: what matters in one row, the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.visualize.photographs.deepdream import DreamSettings
from cnnwidgets.visualize.photographs.dream_layers import DEPTHS

OWN = "own layers"
STEP = 0.001  # of the slider, in units of 0..1
LARGEST_STEP = 0.1  # of the slider, unless a step size is larger


class DreamControls(Controls):
    """Preset, step size and octave in a row; the rest under More.

    Args:
        on_set: called with (name, value) when a control has changed; "octave" and "before" choose what is
            shown, the other names are the verb's.
    """

    def __init__(self, on_set: Callable[[str, Any], object]) -> None:
        self._step_size = 0.0  # as it was shown last
        inputs = {
            "layers": widgets.Dropdown(
                options=[*DEPTHS, OWN], description="Preset", tooltip="Layers with good pictures: from edges to fur",
                layout=wide("160px"), style=named("44px"),
            ),
            "step_size": widgets.FloatSlider(
                min=STEP, max=LARGEST_STEP, step=STEP, description="Step size", readout_format=".3f",
                tooltip="Change per step; takes effect at the next step", layout=wide("250px"), style=named("60px"),
            ),
            "octave": widgets.IntSlider(
                min=1, max=4, description="Octave", tooltip="Go back to the picture at the end of an earlier octave",
                layout=wide("190px"), style=named("48px"),
            ),
            "before": widgets.ToggleButton(
                description="Before", icon="eye", tooltip="Show the photograph, to compare", layout=wide("auto")
            ),
            "octaves": _whole("octaves", "How many sizes the dream goes through, the smallest first"),
            "octave_scale": widgets.BoundedFloatText(
                min=1.01, max=DreamSettings.allowed("octave_scale").most, step=0.1, description="Scale",
                layout=wide("134px"), style=named("56px"),
                tooltip="How many times larger each octave is than the one before",
            ),
            "steps": _whole("steps", "For each octave"),
            "jitter": _whole("jitter", "Pixels by which the picture is shifted before each step"),
            "seed": widgets.IntText(
                description="Seed", tooltip="The same seed gives the same shifts", layout=wide("134px"),
                style=named("56px"),
            ),
        }  # fmt: skip
        super().__init__(on_set, inputs, [4], "Octaves, scale, steps, jitter and seed")

    @property
    def is_before(self) -> bool:
        """Whether the photograph is to be shown."""
        return bool(self._inputs["before"].value)

    def show(self, values: Mapping[str, Any], octave: int, octaves: int) -> None:
        """Show these settings.

        Args:
            values: by name; "layers" is a preset's name, or `OWN`.
            octave: the one that is shown, 1 to `octaves`.
            octaves: how many can be shown.
        """
        slider, step_size = self._inputs["octave"], self._inputs["step_size"]
        slider.max = octaves
        step_size.max = max(step_size.max, values["step_size"])
        slider.disabled = octaves < 2
        self._step_size = values["step_size"]
        self._fill({**values, "octave": octave})

    def _moved(self, name: str, value: Any) -> None:
        if name != "step_size" or abs(value - self._step_size) >= STEP / 2:
            super()._moved(name, value)  # else the page has rounded what it was shown, and sends that back


def _whole(name: str, hint: str) -> widgets.BoundedIntText:
    allowed = DreamSettings.allowed(name)
    return widgets.BoundedIntText(
        allowed.least, min=allowed.least, max=allowed.most, description=name.capitalize(), tooltip=hint,
        layout=wide("134px"), style=named("56px"),
    )  # fmt: skip
