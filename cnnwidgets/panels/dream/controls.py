"""The controls of a DeepDreamPanel: what matters in one row, the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.compute.ascent import MOST_STEPS
from cnnwidgets.compute.deepdream import LARGEST_JITTER, LARGEST_SCALE, MOST_OCTAVES
from cnnwidgets.compute.dream_layers import DEPTHS

OWN = "own layers"
STEP = 0.001  # of the slider, in units of 0..1
LARGEST_STEP = 0.1  # of the slider, unless a step size is larger


class DreamControls(widgets.VBox):
    """Menus and sliders that say what they want by name, and show what they are told.

    Args:
        on_set: called with (name, value) when the reader has moved a control; "octave" and "before" choose what is
            shown, the other names are the verb's.
    """

    def __init__(self, on_set: Callable[[str, Any], object]) -> None:
        self._on_set = on_set
        self._filling = False
        self._step_size = 0.0  # as it was shown last
        self._inputs: dict[str, Any] = {
            "layers": widgets.Dropdown(
                options=[*DEPTHS, OWN], description="Preset", tooltip="Layers that paint well: from edges to fur",
                layout=_wide("160px"), style=_named("44px"),
            ),
            "step_size": widgets.FloatSlider(
                min=STEP, max=LARGEST_STEP, step=STEP, description="Step size", readout_format=".3f",
                tooltip="How far each step goes; heard at the next step", layout=_wide("250px"), style=_named("60px"),
            ),
            "octave": widgets.IntSlider(
                min=1, max=4, description="Octave", tooltip="Go back to the picture at the end of an earlier octave",
                layout=_wide("190px"), style=_named("48px"),
            ),
            "before": widgets.ToggleButton(
                description="Before", icon="eye", tooltip="Show the photograph, to compare", layout=_wide("auto")
            ),
            "octaves": _whole("Octaves", 1, MOST_OCTAVES, "How many sizes are dreamed, the smallest first"),
            "octave_scale": widgets.BoundedFloatText(
                min=1.01, max=LARGEST_SCALE, step=0.1, description="Scale", layout=_wide("134px"), style=_named("56px"),
                tooltip="How many times larger each octave is than the one before",
            ),
            "steps": _whole("Steps", 1, MOST_STEPS, "For each octave"),
            "jitter": _whole("Jitter", 0, LARGEST_JITTER, "Pixels by which the picture is rolled before each step"),
            "seed": widgets.IntText(
                description="Seed", tooltip="The same seed gives the same rolls", layout=_wide("134px"),
                style=_named("56px"),
            ),
        }  # fmt: skip
        self._more = widgets.ToggleButton(
            description="More", icon="sliders", tooltip="Octaves, scale, steps, jitter and seed", layout=_wide("auto")
        )
        first = [self._inputs[name] for name in ("layers", "step_size", "octave", "before")]
        rest = [self._inputs[name] for name in ("octaves", "octave_scale", "steps", "jitter", "seed")]
        self._rest = widgets.HBox(rest, layout=widgets.Layout(flex_flow="row wrap", display="none"))
        row = widgets.HBox([*first, self._more], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self._rest], layout=_wide("100%"))
        for name, widget in self._inputs.items():
            widget.observe(lambda change, name=name: self._moved(name, change["new"]), "value")
        self._more.observe(self._more_pressed, "value")

    def __repr__(self) -> str:
        return f"DreamControls({self._inputs['layers'].value!r})"

    @property
    def is_before(self) -> bool:
        """Whether the photograph is to be shown."""
        return bool(self._inputs["before"].value)

    def show(self, values: Mapping[str, Any], octave: int, octaves: int) -> None:
        """Let the controls say this.

        Args:
            values: by name; "layers" is a preset's name, or `OWN`.
            octave: the one that is shown, 1 to `octaves`.
            octaves: how many can be shown.
        """
        self._filling = True
        try:
            slider = self._inputs["octave"]
            slider.max = octaves
            slider.disabled = octaves < 2
            step_size = self._inputs["step_size"]
            step_size.max = max(step_size.max, values["step_size"])
            self._step_size = values["step_size"]
            for name, value in {**values, "octave": octave}.items():
                if self._inputs[name].value != value:
                    self._inputs[name].value = value
        finally:
            self._filling = False

    def _moved(self, name: str, value: Any) -> None:
        if self._filling or (name == "step_size" and abs(value - self._step_size) < STEP / 2):
            return  # the page rounds what it is shown, and sends that back
        self._on_set(name, value)

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._rest.layout.display = "" if change["new"] else "none"


def _whole(name: str, least: int, most: int, hint: str) -> widgets.BoundedIntText:
    return widgets.BoundedIntText(
        least, min=least, max=most, description=name, tooltip=hint, layout=_wide("134px"), style=_named("56px")
    )


def _wide(width: str) -> widgets.Layout:
    return widgets.Layout(width=width, max_width="100%")


def _named(width: str) -> dict[str, str]:
    return {"description_width": width}
