"""A list of a network's layers to choose from, with search, a filter, and indented nested layers."""

from __future__ import annotations

import contextlib
from typing import Any

import ipywidgets as widgets
import traitlets

from cnnwidgets.errors import BadTarget
from cnnwidgets.model.arguments import flag
from cnnwidgets.model.layers import LayerInfo, last_convolution, layers_with_units
from cnnwidgets.model.network import as_network
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Setting, Updating
from cnnwidgets.quantities import plural

KINDS = {
    "all layers": None,
    "convolutions": "conv",
    "activations": "activation",
    "merges": "merge",
    "poolings": "pooling",
    "normalizations": "normalization",
    "dense": "dense",
    "models": "model",
}
_MEANING = {
    "conv": "a convolution: slides small filters over its input",
    "activation": "an activation function: passes on values above a threshold",
    "pooling": "a pooling: reduces each neighborhood to one number",
    "normalization": "a normalization: brings channels to a common range",
    "dense": "a dense layer: every output sees every input",
    "merge": "a merge: joins branches",
    "input": "the input: the picture itself",
    "model": "a model inside the model",
    "other": "a layer",
}


class LayerPicker(widgets.VBox):
    """A list of the layers of a network with shapes, units and parameters.

    Args:
        net: a Network or a bare Keras model.
        layer: the path that is chosen at first; the last convolution if not given.
        is_compact: for narrow columns: names and shapes only.

    Attributes:
        layer: the path of the chosen layer; set it to choose another.

    Raises:
        BadTarget: for an unknown layer.

    Example:
        >>> picker = LayerPicker(net)
        >>> traitlets.link((picker, "layer"), (gallery, "layer"))
    """

    layer = Setting("")

    def __init__(self, net: Any, layer: str | None = None, is_compact: bool = False) -> None:
        self.net = as_network(net)
        self._is_compact = flag("is_compact", is_compact)
        self._infos = layers_with_units(self.net)
        chosen = self.net.layer(layer).path if layer is not None else self._first_choice()
        self._search = widgets.Text(
            placeholder="name, then Enter", description="Search", continuous_update=True, layout=_layout("240px")
        )
        self._kind = widgets.Dropdown(options=list(KINDS), description="Kind", layout=_layout("200px"))
        for widget in (self._search, self._kind):
            widget.style.description_width = "48px"
        self._list = widgets.Select(
            description="Layers", rows=12, layout=widgets.Layout(width="auto", max_width="760px", height="240px")
        )
        self._list.add_class("cnnw-mono")
        self._updating = Updating()
        self._line = markup.markup("")
        super().__init__(layout=widgets.Layout(width="100%", max_width="780px"))
        self.add_class("cnnw")
        style = markup.markup(markup.STYLE, display="none")
        row = widgets.HBox([self._search, self._kind], layout=widgets.Layout(flex_flow="row wrap"))
        self.children = [style, row, self._list, self._line]
        self.layer = chosen
        self._fill()
        self._search.observe(lambda _: self._fill(), "value")
        self._search.on_msg(self._search_heard)
        self._kind.observe(lambda _: self._fill(), "value")
        self._list.observe(self._chosen, "value")

    def __repr__(self) -> str:
        return f"LayerPicker({self.net.name!r}, layer={self.layer!r})"

    @property
    def shown(self) -> tuple[str, ...]:
        """The paths that the search and the kind leave."""
        words = self._search.value.casefold().split()
        kind = KINDS[self._kind.value]
        return tuple(
            info.path
            for info in self._infos
            if (kind is None or info.kind == kind) and all(w in info.path.casefold() for w in words)
        )

    def _first_choice(self) -> str:
        return last_convolution(self.net) if self._infos else ""

    @traitlets.validate("layer")
    def _known(self, proposal: Any) -> str:
        layer = proposal["value"]
        return "" if isinstance(layer, str) and not layer else self.net.layer(layer).path

    @traitlets.observe("layer")
    def _layer_changed(self, _change: object) -> None:
        self._fill()

    def _fill(self) -> None:
        """Show what search and kind leave; the chosen layer stays chosen, even where it is not among them."""
        shown = self.shown
        infos = [info for info in self._infos if info.path in shown]
        is_tree = len(infos) == len(self._infos)  # a layer without the model around it is named in full
        names = [_indented(info) if is_tree else info.path for info in infos]
        options = list(zip(_rows(names, infos, self._is_compact), shown, strict=True))
        value = self.layer if self.layer in shown else None
        with self._updating:  # new options make the list choose its first one by itself
            self._list.options = options
            self._list.value = value
        self._line.value = markup.status(self._sentence(len(shown)))

    def _sentence(self, shown: int) -> str:
        if not shown:
            return "No layer matches. Clear the search, or choose another kind."
        if not self.layer:
            return f"{shown} {plural('layer', shown)}"
        info = self.net.layer(self.layer)
        called = f", called {info.calls} times" if info.calls > 1 else ""
        units = plural("channel" if info.is_spatial else "unit", info.units)
        return (
            f"{info.path}: {_MEANING[info.kind]}. {info.units:,} {units}, output {_shape(info)}, "
            f"{info.parameters:,} {plural('parameter', info.parameters)}{called}. "
            f"{shown} of {len(self._infos)} {plural('layer', len(self._infos))} listed."
        )

    def _search_heard(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        """Enter takes the first layer that is left: JupyterLab keeps the arrow keys from the list."""
        shown = self.shown
        if content.get("event") == "submit" and shown:
            exact = self._search.value.strip()
            self._chosen({"new": exact if exact in shown else shown[0]})

    def _chosen(self, change: dict[str, Any]) -> None:
        if change["new"] is not None and not self._updating:
            with contextlib.suppress(BadTarget):  # shown; only a message from outside can name a layer not listed
                self.layer = change["new"]

    def show_refusal(self, error: Exception) -> None:
        """Show in the line below the list why a layer was refused."""
        self._line.value = markup.status(str(error), is_error=True)

    def close(self) -> None:
        """Free every widget of the picker."""
        if self.comm is None:  # closed already, or refused by its constructor
            return
        lifecycle.close_all(self)
        super().close()


def _layout(width: str) -> widgets.Layout:
    return widgets.Layout(width=width)


def _indented(info: LayerInfo) -> str:
    depth = info.path.count("/")
    return "\u2007\u2007" * depth + info.path.rsplit("/", 1)[-1]


def _rows(names: list[str], infos: list[LayerInfo], is_compact: bool) -> list[str]:
    """A line for each layer, in columns that stand under each other."""
    shapes = [_shape(info) for info in infos]
    wide, long = max(map(len, names), default=0), max(map(len, shapes), default=0)
    if is_compact:
        return [f"{name:<{wide}}  {shape:>{long}}" for name, shape in zip(names, shapes, strict=True)]
    held = [f"{info.parameters:,} parameters" if info.parameters else "" for info in infos]
    kind, most = max((len(info.kind) for info in infos), default=0), max(map(len, held), default=0)
    return [
        f"{name:<{wide}}  {info.kind:<{kind}}  {shape:>{long}}  {parameters:>{most}}"
        for name, info, shape, parameters in zip(names, infos, shapes, held, strict=True)
    ]


def _shape(info: LayerInfo) -> str:
    """As "H x W x 64": letters where the size follows the picture."""
    letters = ("C", "H", "W") if info.channel_axis == 1 else ("H", "W", "C")
    sizes = info.output_shape
    free = letters if len(sizes) == len(letters) else ("N",) * len(sizes)
    return " x ".join(letter if n is None else str(n) for n, letter in zip(sizes, free, strict=True))
