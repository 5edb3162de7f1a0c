"""The controls of a UnitAttributionPanel: layer, call, what the class is compared with; the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.model.outputs.output_info import find as find_output
from cnnwidgets.panels.controls.class_menu import ClassField
from cnnwidgets.panels.controls.controls import Controls, named, wide
from cnnwidgets.panels.controls.menu import Menu, SizeMenu


class UnitControls(Controls):
    """Menus of what is shared out among which units.

    Args:
        on_set: called with (name, value) when a control has changed.
        net: the network.
        layers: paths that can be chosen.
    """

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

    def __repr__(self) -> str:
        return f"UnitControls({self._inputs['layer'].value!r})"

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
