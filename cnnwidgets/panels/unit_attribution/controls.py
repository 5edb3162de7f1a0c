"""The controls of a UnitAttributionPanel: layer, call, what the class is compared with; the rest under More."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as widgets

from cnnwidgets.model.network import Network
from cnnwidgets.panels.base.controls import Controls, named, wide
from cnnwidgets.panels.base.size_menu import SizeMenu, chosen

MOST_NAMES = 2000  # that a text field completes
NONE = ""  # in a menu: None itself would show an empty one


class UnitControls(Controls):
    """Menus that say what they want by name, and show what they are told.

    Args:
        on_set: called with (name, value) when the reader has moved a control.
        net: the network.
        layers: paths that can be chosen.
    """

    def __init__(self, on_set: Callable[[str, Any], object], net: Network, layers: list[str]) -> None:
        self._net = net
        self._sizes = SizeMenu(net)
        inputs = {
            "layer": widgets.Dropdown(
                options=layers, description="Layer", layout=wide("330px"), style=named("44px"),
                tooltip="The layer whose units share the decision, from the picture to the scores",
            ),
            "call": widgets.Dropdown(
                options=[("call 0", 0)], description="Call", layout=wide("210px"), style=named("36px"),
                tooltip="Which call of a layer that is called several times",
            ),
            "against": widgets.Combobox(
                options=list(net.class_names or ())[:MOST_NAMES], description="Rather than", continuous_update=False,
                placeholder="name or index", layout=wide("290px"), style=named("84px"),
                tooltip="Explain the class rather than this one, or these, with semicolons between: "
                "the difference of their logits",
            ),
            "of": widgets.Dropdown(
                options=[("logit", "logit"), ("log-odds", "log_odds")], description="Explain", layout=wide("180px"),
                style=named("56px"), tooltip="The class's logit, or its logit compared with all other classes",
            ),
            "output": widgets.Dropdown(
                options=[("the first", NONE), *((info.name, info.name) for info in net.outputs)], description="Output",
                layout=wide("220px"), style=named("56px"), tooltip="Which output of the model is explained",
            ),
            "size": self._sizes,
        }  # fmt: skip
        super().__init__(on_set, inputs, 3, "Log-odds, output and size")
        self._inputs["output"].layout.display = "" if len(net.outputs) > 1 else "none"

    def __repr__(self) -> str:
        return f"UnitControls({self._inputs['layer'].value!r})"

    def show(self, values: Mapping[str, Any], shown_call: int, are_classes: bool) -> None:
        """Let the controls say this.

        Args:
            values: the settings.
            shown_call: the call whose units are shown, where the settings name none.
            are_classes: whether the output that is explained gives class scores.
        """
        with self._quiet:
            self._offer_calls(values["layer"])
            size = self._sizes.offer(values["size"])
        for name in ("against", "of"):
            self._inputs[name].layout.display = "" if are_classes else "none"
        output = values["output"]
        output = self._net.outputs[output].name if isinstance(output, int) else output
        call = shown_call if values["call"] is None else values["call"]
        shown = {"call": call, "against": _written(values["against"]), "output": output or NONE, "size": size}
        self._fill({**values, **shown})

    def _offer_calls(self, layer: str) -> None:
        menu, count = self._inputs["call"], self._net.layer(layer).calls
        menu.layout.display = "" if count > 1 else "none"
        options = [(self._call_name(layer, call), call) for call in range(count)] if count > 1 else [("call 0", 0)]
        if list(menu.options) != options:
            menu.options = options

    def _call_name(self, layer: str, call: int) -> str:
        seen = self._net.sees(layer, call)
        several = len(self._net.picture_inputs) > 1 and len(seen) == 1
        return f"call {call} · {self._net.inputs[seen[0]].name}" if several else f"call {call}"

    def _moved(self, name: str, value: Any) -> None:
        meaning = {"size": chosen, "against": _classes, "output": lambda text: text or None}
        super()._moved(name, meaning.get(name, lambda same: same)(value))


def _classes(text: str) -> Any:
    """A class, or several separated by semicolons, by name or index; `None` for none."""
    parts = [part.strip() for part in text.split(";") if part.strip()]
    found = [int(part) if part.isdigit() else part for part in parts]
    return found if len(found) > 1 else found[0] if found else None


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple, range)):
        return "; ".join(map(str, value))
    return "" if value is None else str(value)
