"""A network as a drawing: point at a layer, choose it, follow the connections by keys, open the models inside."""

from __future__ import annotations

import contextlib
from typing import Any

import ipywidgets as widgets
import traitlets
from ipyevents import Event

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.jobs import Job
from cnnwidgets.model.arguments import is_list
from cnnwidgets.model.layer_graph import flow_shapes, layer_graph
from cnnwidgets.model.layers import last_convolution, layers_with_units
from cnnwidgets.model.network import as_network
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Setting
from cnnwidgets.panels.network_map.drawing import STYLE, Drawer, shape_of
from cnnwidgets.panels.network_map.keys import Keys
from cnnwidgets.panels.network_map.scene import Item, build
from cnnwidgets.panels.network_map.thumbnails import ThumbnailFrame, thumbnails
from cnnwidgets.panels.runs.current_run import CurrentRun, Listener

SIDE = 224  # pixels: sizes are shown for pictures of this side, where a network takes any
POINTING = 100  # milliseconds between two reports of where the pointer is
HOW = "Click a layer, or use the arrow keys; Shift and an arrow goes to the neighboring branch; Enter opens a model."


class NetworkMap(widgets.VBox):
    """A network as a drawing: layers in order, branches and joins as they are, models inside as boxes that open.

    The wider a box, the larger the maps that flow out of it; the higher, the more channels (both on a logarithmic
    scale). A shared layer is drawn once, each use with its number. Pointing shows a layer's name, kind, shape and
    parameters. A click chooses; a double click on a model opens or closes it. By keys: an arrow follows the
    connections, Shift and an arrow goes to the neighboring branch, Enter opens or closes a model. Part of a name typed
    into the search, then Enter, chooses the first layer that has it.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes, for several inputs a list or dict: each layer then carries a small
            picture of the map that it excites most.
        layer: the path that is chosen at first; the last convolution if not given.

    Attributes:
        layer: the path of the chosen layer; set it to choose another.
        picture: as given; set it to show another.
        opened: the paths of the models that are open.

    Raises:
        BadTarget: for an unknown layer.
        BadPicture: for something that is not a picture.

    Example:
        >>> map_ = NetworkMap(net, "cat.jpg")
        >>> traitlets.link((map_, "layer"), (gallery, "layer"))
    """

    layer = Setting("")
    picture = Setting(None)
    opened = Setting(())

    def __init__(self, net: Any, picture: object = None, layer: str | None = None) -> None:
        self.net = as_network(net)
        self._held = None if picture is None else HeldPicture(self.net, picture)
        self._graph, self._shapes = layer_graph(self.net), flow_shapes(self.net, SIDE)
        self._is_any_size = not all(self.net.inputs[i].is_fixed for i in self.net.picture_inputs)
        self._infos = {info.path: info for info in self.net.layers}
        self._chosen = self.net.layer(layer).path if layer is not None else self._first_choice()
        self._maps: dict[str, str] = {}
        self._pointed: Item | None = None
        self._is_ready = False
        self._run: CurrentRun[ThumbnailFrame] = CurrentRun()
        super().__init__(layout=widgets.Layout(width="100%"))
        self._prefix = f"m{self.model_id[:12]}"
        self._make_parts()
        self.layer, self.picture = self._chosen, picture
        self.opened = self._around(self.layer)
        self._is_ready = True
        self._draw()
        self._show_thumbnails()
        lifecycle.replace_in_cell(self)

    def _make_parts(self) -> None:
        self.add_class("cnnw")
        self.add_class("cnnw-map")
        self._search = widgets.Text(placeholder="name, then Enter", description="Search", continuous_update=True)
        self._search.layout.width, self._search.style.description_width = "240px", "48px"
        self._search.observe(lambda _: self._mark(), "value")
        self._search.on_msg(self._search_heard)
        self._all = widgets.ToggleButton(description="Open all", tooltip="Open or close every model inside")
        self._all.layout.width = "auto"
        self._all.layout.display = "" if any(step.has_inside for step in self._graph.steps.values()) else "none"
        self._all.observe(self._open_all, "value")
        self._keys = Keys(self._prefix, f"Layers of {self.net.name}. {HOW}", self._arrow, self._enter)
        self._drawing = markup.markup("", "cnnw-map-scroll", max_height="520px", flex="0 0 auto")
        self._marks = markup.markup("", display="none")
        self._line = markup.markup(markup.status(""))
        self._clicks = Event(source=self._drawing, watched_events=["click", "dblclick"])
        self._clicks.on_dom_event(self._clicked)
        self._moves = Event(source=self._drawing, watched_events=["mousemove"], wait=POINTING)
        self._moves.on_dom_event(self._moved)
        row = widgets.HBox([self._search, self._all], layout=widgets.Layout(flex_flow="row wrap", flex="0 0 auto"))
        style = markup.markup(markup.STYLE + STYLE, display="none")
        self.children = [style, self._marks, row, self._keys.widget, self._drawing, self._line]

    @property
    def is_visible(self) -> bool:
        """Whether its small pictures are to be made before what else is computed; set it where they can wait."""
        return self._run.is_visible

    @is_visible.setter
    def is_visible(self, is_visible: bool) -> None:
        self._run.is_visible = is_visible

    def __repr__(self) -> str:
        return f"NetworkMap({self.net.name!r}, layer={self.layer!r})"

    def _first_choice(self) -> str:
        return last_convolution(self.net) if layers_with_units(self.net) else ""

    # What is drawn.

    def _draw(self) -> None:
        self._scene = build(self.net, self._graph, self._shapes, self.opened)
        self._drawing.value = Drawer(self._scene, self._prefix, self._keys.ids[0], self._maps).html()
        self._mark()

    def _mark(self) -> None:
        """Let the chosen box and those found stand out; the drawing itself stays, and with it the focus."""
        item = self._scene.of_path(self.layer) if self.layer else None
        rules = []
        found = self.found
        if self._search.value.strip():
            names = ",".join(f"#{self._prefix}-{one.index}" for one in found) or "#none"
            rules += [f".{self._prefix} .cnnw-map-flow rect, .{self._prefix} .cnnw-map-flow image{{opacity:.25}}"]
            rules += [f"{names}{{opacity:1 !important;stroke-width:2.5 !important}}"]
        if item is not None:
            accent = "var(--jp-brand-color1,#1976d2)"
            rules += [f"#{self._prefix}-{item.index}{{stroke:{accent} !important;stroke-width:3 !important;"
                      f"outline:2px solid {accent};outline-offset:1px;opacity:1 !important}}",
                      f".cnnw-map-part:has(#{self._prefix}-{item.index}){{scroll-initial-target:nearest;"
                      "scroll-snap-align:center}"]  # fmt: skip
        self.add_class(self._prefix)
        self._marks.value = f"<style>{''.join(rules)}</style>"
        self._describe(item)

    @property
    def found(self) -> tuple[Item, ...]:
        """The boxes whose path has every word of the search; all layers where it is empty."""
        words = self._search.value.casefold().split()
        return tuple(i for i in self._scene.items if i.path and all(word in i.path.casefold() for word in words))

    def _describe(self, item: Item | None) -> None:
        self._pointed = item
        search = self._search.value.strip()
        matches = f" {len(self.found)} match the search." if search else ""
        if item is None:
            self._line.value = markup.status(f"{HOW}{matches}")
            return
        chosen = " Chosen." if item.path and item.path == self.layer else ""
        self._line.value = markup.status(f"{self.sentence(item)}{chosen}{matches}")

    def sentence(self, item: Item) -> str:
        """Name, kind, shape and parameters of a box in one line."""
        at = f" at {SIDE} px" if self._is_any_size and item.kind != "input" and len(item.shape) == 3 else ""
        parts = [item.path or item.name, item.kind, shape_of(item) + at]
        info = self._infos.get(item.path)
        if info is not None and info.calls:
            parts.append(f"{info.parameters:,} parameters")
        if item.uses > 1:
            parts.append(f"used {item.uses} times")
        if item.has_inside:
            parts.append("open" if item.is_open else "closed: Enter or a double click opens it")
        return " · ".join(parts) + "."

    # Choosing.

    @traitlets.validate("layer")
    def _known(self, proposal: Any) -> str:
        layer = proposal["value"]
        return "" if isinstance(layer, str) and not layer else self.net.layer(layer).path

    @traitlets.validate("opened")
    def _known_models(self, proposal: Any) -> tuple[str, ...]:
        paths = proposal["value"]
        if not is_list(paths):
            raise BadTarget(f"opened must be a list of paths of models, got {quoted(paths)}.")
        return tuple(dict.fromkeys(self.net.layer(path).path for path in paths))

    @traitlets.observe("layer")
    def _layer_changed(self, _change: object) -> None:
        if not self._is_ready:
            return
        missing = [path for path in self._around(self.layer) if path not in self.opened]
        if missing:
            self.opened = (*self.opened, *missing)
        else:
            self._mark()

    @traitlets.observe("opened")
    def _opened_changed(self, _change: object) -> None:
        if self._is_ready:
            self._draw()

    def _around(self, path: str) -> tuple[str, ...]:
        """The paths of the models around a layer, outermost first."""
        parts = path.split("/")
        return tuple(p for i in range(1, len(parts)) if (p := "/".join(parts[:i])) in self._infos)

    def _is_layer(self, item: Item) -> bool:
        """Whether a box can be chosen: it has an output with units."""
        info = self._infos.get(item.path)
        return info is not None and bool(info.calls and info.units)

    def choose(self, item: Item) -> None:
        """Choose the layer of a box; an input or output that is not a layer is only described."""
        if not self._is_layer(item):
            self._describe(item)
            return
        with contextlib.suppress(BadTarget):  # shown; what is linked to it may refuse the layer
            self.layer = item.path

    def show_refusal(self, error: Exception) -> None:
        """Show in the line below the drawing why a setting was refused."""
        if self._is_ready:
            self._line.value = markup.status(str(error), is_error=True)

    def toggle(self, item: Item) -> None:
        """Open the model of a box, or close it."""
        if item.has_inside:
            is_open = item.path in self.opened
            kept = tuple(p for p in self.opened if p != item.path and not p.startswith(item.path + "/"))
            self.opened = kept if is_open else (*self.opened, item.path)

    def _open_all(self, change: dict[str, Any]) -> None:
        groups = dict.fromkeys(call[0] for call, step in self._graph.steps.items() if step.has_inside)
        self.opened = tuple(groups) if change["new"] else ()

    def _item_at(self, event: dict[str, Any]) -> Item | None:
        head, _, index = str(event.get("target", {}).get("id", "")).rpartition("-")
        is_ours = head == self._prefix and index.isdecimal() and int(index) < len(self._scene.items)
        return self._scene.items[int(index)] if is_ours else None

    def _clicked(self, event: dict[str, Any]) -> None:
        self._keys.expect_focus()
        item = self._item_at(event)
        if item is None:
            return
        if event.get("type") == "dblclick":
            self.toggle(item)
        else:
            self.choose(item)

    def _moved(self, event: dict[str, Any]) -> None:
        item = self._item_at(event)
        if item is not None and item is not self._pointed:
            self._describe(item)

    def _arrow(self, step: int, is_beside: bool) -> None:
        """Follow the connections from the chosen box, or go to the neighboring branch."""
        item = self._scene.of_path(self.layer)
        if item is None:
            return
        passed = {item}
        at = self._next(item, step, is_beside)
        while at is not None and at not in passed:
            if self._is_layer(at):
                self.choose(at)
                return
            passed.add(at)
            at = None if is_beside else self._next(at, step, is_beside)

    def _next(self, item: Item, step: int, is_beside: bool) -> Item | None:
        """The box that a key leads to; of several branches the first one."""
        if is_beside:
            fellows = self._scene.beside(item)
            place = fellows.index(item) + step
            return fellows[place] if 0 <= place < len(fellows) else None
        ways = (self._scene.after if step > 0 else self._scene.before)[item]
        if item.is_open:  # its own connections are those of what is inside
            ways = tuple(one for one in self._scene.items if one.path.startswith(item.path + "/"))
        return next((one for one in ways if (one.index > item.index) == (step > 0)), next(iter(ways), None))

    def _enter(self) -> None:
        item = self._scene.of_path(self.layer)
        if item is not None:
            self.toggle(item)

    def _search_heard(self, _widget: object, content: dict[str, Any], _buffers: object) -> None:
        """Enter chooses the first layer that is found, inside closed models too."""
        words = self._search.value.casefold().split()
        if content.get("event") != "submit" or not words:
            return
        every = [info.path for info in layers_with_units(self.net)]
        fitting = [path for path in every if all(word in path.casefold() for word in words)]
        if not fitting:
            self._line.value = markup.status("No layer matches. Clear the search, or type another part of a name.")
            return
        exact = self._search.value.strip()
        with contextlib.suppress(BadTarget):  # shown
            self.layer = exact if exact in fitting else fitting[0]

    # The picture.

    @traitlets.validate("picture")
    def _fitting_picture(self, proposal: Any) -> Any:
        if self._is_ready:
            picture = proposal["value"]
            self._held = None if picture is None else HeldPicture(self.net, picture)
        return proposal["value"]

    @traitlets.observe("picture")
    def _picture_changed(self, _change: object) -> None:
        if self._is_ready:
            self._show_thumbnails()

    def _show_thumbnails(self) -> None:
        if self._held is None:
            self._run.drop()
            if self._maps:
                self._maps = {}
                self._draw()
            return
        self._run.begin(thumbnails(self.net, self._held), Listener(self._show, self._finished))

    def _show(self, frame: ThumbnailFrame, _jpeg: bytes, number: int) -> None:
        self._run.acknowledge(number)
        if frame.addresses != self._maps:
            self._maps = frame.addresses
            self._draw()

    def _finished(self, job: Job[ThumbnailFrame]) -> None:
        if job.failure is not None:
            self._line.value = markup.status(markup.complaint(job.failure), is_error=True)

    def stop(self) -> None:
        """End what is computed for the small pictures."""
        self._run.stop()

    def close(self) -> None:
        """Free every widget of the map."""
        if self.comm is None:  # closed already, or refused by its constructor
            return
        self._run.drop()
        lifecycle.stop_counting(self)
        for part in (self._clicks, self._moves, self._keys):
            part.close()
        lifecycle.close_all(self)
        super().close()
