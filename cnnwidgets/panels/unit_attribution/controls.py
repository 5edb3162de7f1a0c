"""The controls of a UnitAttributionPanel, and the choice of a position on the photograph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.base import focus, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.controls.class_menu import ClassField
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import Menu, SizeMenu
from cnnwidgets.panels.unit_attribution.unit_rows_run import Place

HINT = "Click the photograph: the units with the largest shares at that position, strongest first."


class UnitControls(Controls):
    """Menus of what is shared out among which units."""

    def __init__(self, on_set: Callable[[str, Any], object], net: Network, layers: list[str]) -> None:
        self._net = net
        against = ClassField(
            net, "Rather than", "Explain the class rather than this one, or these: the difference of their logits"
        )
        against.style.description_width = "84px"
        inputs = {
            "layer": widgets.Dropdown(
                options=layers, description="Layer", layout=wide("330px"), style=named("44px"),
                tooltip="The layer whose units share the decision, from the picture to the scores",
            ),
            "call": Menu(
                [("the first", None)], description="Call", layout=wide("210px"), style=named("36px"),
                tooltip="Which call of a layer that is called several times",
            ),
            "against": against,
            "of": widgets.Dropdown(
                options=[("logit", "logit"), ("log-odds", "log_odds")], description="Explain", layout=wide("180px"),
                style=named("56px"), tooltip="The class's logit, or its logit compared with all other classes",
            ),
            "output": Menu(
                [("the first", None), *((info.name, info.name) for info in net.outputs)], description="Output",
                layout=wide("220px"), style=named("56px"), tooltip="Which output of the model is explained",
            ),
            "size": SizeMenu(net),
        }  # fmt: skip
        super().__init__(on_set, inputs, [3], "Log-odds, output and size")
        self._inputs["output"].layout.display = "" if len(net.outputs) > 1 else "none"

    def show(self, settings: Mapping[str, Any]) -> None:
        """Show these settings; what is only for classes is hidden for an output that gives other numbers."""
        index = find_output(settings["output"], self._net.outputs)
        for name in ("against", "of"):
            self._inputs[name].layout.display = "" if self._net.outputs[index].is_class_scores else "none"
        self._offer_calls(settings["layer"], settings["call"])
        output = None if settings["output"] is None else self._net.outputs[index].name
        self._fill({**settings, "output": output})

    def _offer_calls(self, layer: str, chosen: int | None) -> None:
        menu, count = self._inputs["call"], self._net.layer(layer).calls
        menu.layout.display = "" if count > 1 else "none"
        calls = [(self._call_name(layer, call), call) for call in range(count)] if count > 1 else []
        first = ("the first with a part in it", None)
        menu.offer([first, *calls] if chosen is None or calls else [first, (f"call {chosen}", chosen)], chosen)

    def _call_name(self, layer: str, call: int) -> str:
        seen = self._net.sees(layer, call)
        several = len(self._net.picture_inputs) > 1 and len(seen) == 1
        return f"call {call} · {self._net.inputs[seen[0]].name}" if several else f"call {call}"


class PlaceChoice(widgets.VBox):
    """Two numbers for the keyboard, which do what a click on the photograph does.

    Args:
        on_choose: called with (row, column), or with `None` for all positions.
    """

    def __init__(self, on_choose: Callable[[Place | None], object]) -> None:
        self._on_choose, self._updating = on_choose, Updating()
        slim, narrow = {"description_width": "16px"}, {"width": "78px"}
        self._x = widgets.BoundedIntText(
            0, description="x", tooltip="Pixels from the left", style=slim, layout=widgets.Layout(**narrow)
        )
        self._y = widgets.BoundedIntText(
            0, description="y", tooltip="Pixels from the top", style=slim, layout=widgets.Layout(**narrow)
        )
        auto = {"width": "auto"}
        self.here = widgets.Button(
            description="Units here", tooltip="The units with the largest shares at this position",
            layout=widgets.Layout(**auto),
        )  # fmt: skip
        self.everywhere = widgets.Button(
            description="All positions", tooltip="The units of the whole picture", layout=widgets.Layout(**auto)
        )
        self.here.on_click(lambda _: on_choose((self._y.value, self._x.value)))
        focus.watch(self.everywhere)
        self.everywhere.on_click(lambda _: on_choose(None))
        self._line = markup.markup(markup.progress_text(HINT))
        buttons = [self._x, self._y, self.here, self.everywhere]
        super().__init__([widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap")), self._line])

    def __repr__(self) -> str:
        return f"PlaceChoice(x={self._x.value}, y={self._y.value})"

    def show(self, place: Place | None, size: tuple[int, int], why_none: str) -> None:
        """Show a position on a photograph of (height, width); `why_none` is why there are no positions."""
        with self._updating:
            self._y.max, self._x.max = size[0] - 1, size[1] - 1
            if place is not None:
                self._y.value, self._x.value = place
        for control in (self._x, self._y, self.here):
            control.disabled = bool(why_none)
        focus.set_disabled(self.everywhere, place is None, self.here, self._y)
        self._line.value = markup.progress_text(why_none or HINT)
