"""The controls of a HeatmapPanel: what matters in one row, what it looks like in the next, the rest under More."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets

from cnnwidgets import pictures
from cnnwidgets.explain.overlays import method_guide
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.class_menu import ClassMenu
from cnnwidgets.panels.base.size_menu import SizeMenu, chosen

MOST_NAMES = 2000  # that a text field completes
CLASSES = ("second_target", "against")  # controls in which a class is typed
NONE = ""  # in a menu: None itself would show an empty one


class HeatControls(widgets.VBox):
    """Sliders and menus that say what they want by name, and show what they are told.

    Attributes:
        classes: the menu of classes, to be placed elsewhere.

    Args:
        net: the network.
        layers: paths that the slider passes, in order.
        on_set: called with (name, value) when the reader has moved a control.
    """

    def __init__(self, net: Network, layers: list[str], on_set: Callable[[str, Any], object]) -> None:
        self._on_set = on_set
        self.classes = ClassMenu(lambda index: on_set("target", index))
        every = [(method_guide.label(method), method) for method in method_guide.WORDS]
        menu, slim = widgets.Layout, {"description_width": "70px"}
        self._inputs: dict[str, Any] = {
            "layer": widgets.SelectionSlider(
                options=layers or [""], description="Layer", continuous_update=False, style=slim,
                tooltip="From the picture to the class scores", layout=menu(width="440px", max_width="100%"),
            ),
            "method": widgets.Dropdown(
                options=every, description="Method", layout=menu(width="250px"), style=slim,
                tooltip="How the evidence is computed",
            ),
            "opacity": _share("Opacity", "How much the heat covers the picture"),
            "threshold": _share("Threshold", "Heat below this share of the largest is not shown"),
            "colormap": widgets.Dropdown(
                options=list(pictures.COLORMAPS), description="Colors", layout=menu(width="190px"), style=slim,
                tooltip="Color maps that color-blind eyes can read; RdBu_r shows evidence against the class too",
            ),
            "second_method": widgets.Dropdown(
                options=[("none", NONE), *every], description="Compare method", layout=menu(width="295px"),
                style={"description_width": "120px"}, tooltip="Another method, side by side",
            ),
            "second_target": widgets.Combobox(
                options=list(net.class_names or ())[:MOST_NAMES], description="Compare class",
                placeholder="name or index", continuous_update=False, layout=menu(width="295px"),
                style={"description_width": "120px"}, tooltip="Another class, side by side on the same color scale",
            ),
            "against": widgets.Combobox(
                options=list(net.class_names or ())[:MOST_NAMES], description="Rather than",
                placeholder="name or index", continuous_update=False, layout=menu(width="295px"),
                style={"description_width": "120px"},
                tooltip="Explain the class rather than this one: the difference of their logits",
            ),
            "of": widgets.Dropdown(
                options=[("logit", "logit"), ("log-odds", "log_odds")], description="Explain", style=slim,
                layout=menu(width="190px"),
                tooltip="The class's logit, or its log-odds: the logit compared with all other classes",
            ),
            "channels": widgets.BoundedIntText(
                min=1, max=10**6, description="Channels", layout=menu(width="170px"), style=slim,
                tooltip="How many of the layer's channels Score-CAM tries, those that vary most first",
            ),
            "output": widgets.Dropdown(
                options=[("the first", NONE), *((info.name, info.name) for info in net.outputs)], description="Output",
                layout=menu(width="220px", display="" if len(net.outputs) > 1 else "none"), style=slim,
            ),
            "seed": widgets.IntText(description="Seed", layout=menu(width="150px"), style=slim),
            "size": SizeMenu(net),
            "sanity_check": widgets.Checkbox(
                description="Sanity check: shuffled weights", indent=False,
                layout=menu(width="auto", margin="2px 12px"),
                tooltip="The same map of a copy with shuffled weights: one that looks the same shows nothing learned",
            ),
        }  # fmt: skip
        self._about = markup.markup(width="100%")
        self._more = widgets.ToggleButton(
            description="More",
            icon="sliders",
            tooltip="Compare, rather than, log-odds, sanity check, seed, size",
            layout=menu(width="auto"),
        )
        first = _row(self._inputs["layer"], self._inputs["method"])
        second = _row(*(self._inputs[name] for name in ("opacity", "threshold", "colormap")), self._more)
        self._rest = _row(*list(self._inputs.values())[5:])
        self._rest.layout.display = "none"
        super().__init__([first, self._about, second, self._rest], layout=widgets.Layout(width="100%"))
        for name, widget in self._inputs.items():
            widget.observe(lambda change, name=name: self._on_set(name, _meant(name, change["new"])), "value")
        self._more.observe(self._more_pressed, "value")

    def __repr__(self) -> str:
        return f"HeatControls(layer={self._inputs['layer'].value!r}, method={self._inputs['method'].value!r})"

    def show(self, settings: dict[str, Any]) -> None:
        """Let the controls say what is set; whoever calls this does not listen meanwhile."""
        for name, widget in self._inputs.items():
            value = settings[name]
            if name in CLASSES:
                value = _written(value)
            elif name == "size":
                value = widget.offer(value)
            elif name == "output" and isinstance(value, int):
                value = widget.options[value + 1][1]
            widget.value = NONE if value is None else value
        self._inputs["channels"].layout.display = "" if "score_cam" in _methods(settings) else "none"
        self._inputs["layer"].disabled = not method_guide.is_map(settings["method"]) or not settings["layer"]
        self._about.value = markup.progress_text(method_guide.sentence(settings["method"]))

    def _more_pressed(self, change: dict[str, Any]) -> None:
        self._rest.layout.display = "" if change["new"] else "none"


def _share(name: str, hint: str) -> widgets.FloatSlider:
    return widgets.FloatSlider(
        min=0.0, max=1.0, step=0.05, description=name, tooltip=hint, readout_format=".0%",
        layout=widgets.Layout(width="250px"), style={"description_width": "70px"},
    )  # fmt: skip


def _row(*parts: widgets.Widget) -> widgets.HBox:
    return widgets.HBox(list(parts), layout=widgets.Layout(flex_flow="row wrap", align_items="center"))


def _meant(name: str, value: Any) -> Any:
    """What a control's value stands for: a class may be typed by its index, several are separated by semicolons."""
    if name == "size":
        return chosen(value)
    if name not in (*CLASSES, "second_method", "output"):
        return value
    text = value.strip()
    if name == "against" and ";" in text:
        return [_class(part.strip()) for part in text.split(";") if part.strip()]
    return _class(text) if name in CLASSES and text else text or None


def _class(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _written(value: Any) -> str:
    """A class, or several, as they are typed."""
    if isinstance(value, (list, tuple)):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)


def _methods(settings: dict[str, Any]) -> tuple[Any, Any]:
    return settings["method"], settings["second_method"]
