"""All panels of a network in tabs, with one shared selection."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import samples
from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget
from cnnwidgets.explain import reachability
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.arguments import choice, flag
from cnnwidgets.model.network import Network, as_network
from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Setting, Updating, checked_atlas
from cnnwidgets.panels.base.cell_output import Bundle, CellOutput
from cnnwidgets.panels.base.idle import Idle
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.explorer.choice import Choice, checked_recorder, record_chosen
from cnnwidgets.panels.explorer.layer_choice import LayerChoice
from cnnwidgets.panels.explorer.photographs import OTHER, PhotographMenu
from cnnwidgets.panels.explorer.sidebar import NetworkMenu, Predictions
from cnnwidgets.panels.explorer.stage import Stage, TakenAway
from cnnwidgets.panels.explorer.status_bar import StatusBar
from cnnwidgets.panels.explorer.tabs import KINDS
from cnnwidgets.panels.galleries.filter_gallery import FilterGallery
from cnnwidgets.panels.unit_attribution.unit_attribution_panel import UnitAttributionPanel
from cnnwidgets.training.recorder import TrainingRecorder

CHOSEN = ("picture", "layer", "unit", "target", "position")
MIRRORED = ("state", "progress", "status", "frames_shown", "result")  # of the panel in front


class Explorer(Choice, widgets.VBox):
    """A network under the microscope: its layers, filters, feature maps, heatmaps, dreams and classes in one place.

    Once it is displayed, the front tab starts without a click if its first picture takes under a second: Filters,
    Feature maps, Where it looks and Which units of a small network. Pause and Stop act as always; a longer run waits
    for Start. The panel in front is made first, the others while the kernel is idle, or in a deep network when their
    tab is opened.

    Args:
        net: a Network or a bare Keras model.
        picture: anything that `load_picture` takes, for several inputs a list or dict; a sample photograph if not
            given.
        layer: the path that is chosen at first; the last one with rows and columns before the scores, if not given.
        target: a class index or name; the top class if not given.
        files: whether the user may open and save files on the machine where Python runs. Set it to False where
            strangers can reach the page.
        atlas: from `open_atlas`: pictures and examples of units that it holds are shown at once.
        recorder: a TrainingRecorder of this network: photograph, layer, unit and class that are chosen here are what
            it records next. What it records now is chosen at first.

    Attributes:
        net, picture, layer, unit, target: what is chosen, for all panels; set one to choose otherwise.
        position: the (row, column) of a pixel of the photograph, chosen by a click on it in any panel, or `None`.
        tab: the title of the tab in front.
        panel: the panel in front.
        panels: those that are made, by the title of their tab.
        state, progress, status, frames_shown, result: those of the panel in front.

    Raises:
        BadTarget, BadModel, BadPicture: for what does not exist, or does not fit the network.

    Example:
        >>> Explorer(net, "cat.jpg")
    """

    _is_built = _is_displayed = False
    tab = Setting(KINDS[0].title)
    state = traitlets.Unicode("idle")
    progress = traitlets.Float(0.0)
    status = traitlets.Unicode("")
    frames_shown = traitlets.Int(0)
    result: Any = traitlets.Any(None, allow_none=True)

    def __init__(
        self,
        net: Any,
        picture: object = None,
        layer: str | None = None,
        target: int | str | None = None,
        files: bool = True,
        atlas: Atlas | None = None,
        recorder: TrainingRecorder | None = None,
    ) -> None:
        network, self.atlas = as_network(net), checked_atlas(atlas)
        self._recorder = checked_recorder(recorder)
        if self._recorder is not None:
            picture = self._recorder.picture if picture is None else picture
            layer = self._recorder.layer if layer is None else layer
        sample = OTHER if picture is not None else samples.sample_names()[0]
        chosen = {"net": network, "picture": samples.sample(sample) if picture is None else picture}
        chosen |= {
            "layer": reachability.layer_of_interest(network) if layer is None else network.layer(layer).path,
            "target": target,
        }
        self._may_use_files = files = flag("files", files)
        super().__init__(layout=widgets.Layout(width="100%"))
        self._updating = Updating()
        with self._updating, lifecycle.MAKING_PARTS:
            for name, value in chosen.items():
                setattr(self, name, value)
            self._make_parts(network, files, sample)
        self._is_built = True
        self._show_picture()
        self._stage.show()
        if self._recorder is not None and self._recorder.picture is not self.picture:
            record_chosen(self._recorder, self, "picture")
        self._view_count = 0  # the page counts how often it shows this
        self.observe(self._counted, "_view_count")
        lifecycle.replace_in_cell(self)

    def _make_parts(self, network: Network, files: bool, sample: str) -> None:
        self.add_class("cnnw")
        self.add_class("cnnw-explorer")
        self._idle = Idle()
        self._taken_away = TakenAway(self._idle)
        self._networks = NetworkMenu(network, self._network_loaded, files)
        self._photographs = PhotographMenu(self._photograph_opened, files, sample, self._pointed)
        self._predictions = Predictions()
        self._layers = widgets.VBox([self._layer_choice()], layout=widgets.Layout(flex="1 1 290px", min_width="0"))
        self._status_bar = StatusBar()
        self._stage = Stage(self, self._front_changed, self._idle, self._taken_away, self._prepare)
        self._mirrored: Panel | None = None
        self._changing = threading.RLock()  # networks are loaded on threads of their own
        self._output = CellOutput(self)
        self.children = [markup.markup(markup.STYLE, display="none"), self._arranged(), self._status_bar]
        self.observe(self._chosen_otherwise, CHOSEN)

    def __repr__(self) -> str:
        return f"Explorer({self.net.name!r}, {self.tab!r})"

    def _repr_mimebundle_(self, **options: Any) -> Bundle:
        bundle: Bundle = super()._repr_mimebundle_(**options)
        panel = self._stage.front
        if panel is not None:
            bundle |= {key: value for key, value in panel._repr_mimebundle_().items() if key.startswith("image/")}
        return bundle

    def _ipython_display_(self) -> None:
        self._output.display()
        self._displayed()

    def _counted(self, change: dict[str, Any]) -> None:
        if change["new"]:
            self._displayed()

    def _displayed(self) -> None:
        """Now that there is a page: begin with what its reader will look at first."""
        if not self._is_displayed and self.comm is not None:
            self._is_displayed = True
            self._predictions.begin(self.net, self.held.given)
            self._photographs.draw_thumbnails()
            self._stage.displayed()

    def _arranged(self) -> widgets.HBox:
        """Sidebar and stage side by side if there is room, else one above the other."""
        parts = [self._networks, self._photographs, self._predictions]
        opened = widgets.VBox(parts, layout=widgets.Layout(flex="1 1 290px", min_width="0"))
        sidebar = widgets.HBox(
            [opened, self._layers],
            layout=widgets.Layout(
                flex="1 1 300px", flex_flow="row wrap", align_items="flex-start", align_content="flex-start"
            ),
        )
        return widgets.HBox([sidebar, self._stage], layout=widgets.Layout(flex_flow="row wrap", grid_gap="8px 16px"))

    # What is chosen.

    def _layer_choice(self) -> LayerChoice:
        """A map and a list of the layers of the network."""
        self._choice_of_layer = LayerChoice(
            self.net, self.layer, self.held.given, lambda layer: self._picked("layer", layer)
        )
        return self._choice_of_layer

    def _chosen_otherwise(self, change: dict[str, Any]) -> None:
        if self._updating:
            return
        if change["name"] == "layer":
            self._choice_of_layer.show(self.layer)
        elif change["name"] == "picture":
            self._show_picture(is_new=True)
            self._choice_of_layer.show_picture(self.held.given)
        elif change["name"] == "target":
            self._predictions.mark(self.target)
        elif change["name"] == "position":
            self._photographs.show_position(self.position, self.held)
        if self._recorder is not None:
            record_chosen(self._recorder, self, change["name"])
        self._stage.follow()

    def _show_picture(self, is_new: bool = False) -> None:
        self._photographs.show(self.net, self.held, is_new)
        self._photographs.show_position(self.position, self.held)
        self._predictions.mark(self.target)
        if self._is_displayed:
            self._predictions.begin(self.net, self.held.given)

    def _pointed(self, x: float, y: float) -> None:
        """Choose a position on the photograph; there are several next to each other in some networks."""
        if len(self.held.photos) == 1:
            height, width = self.held.photos[0].shape[:2]
            self.position = (int(y * height), int(x * width))

    def _unit_opened(self, layer: str, unit: int) -> None:
        """Choose what is chosen on the page of a unit."""
        if not self._updating and not self._stage.is_updating and (layer, unit) != (self.layer, self.unit):
            with self._stage.is_updating:
                self.layer = layer
                self.unit = unit
            self._stage.follow()

    def _picked(self, name: str, value: Any) -> None:
        if value and not self._updating:
            setattr(self, name, value)

    @traitlets.observe("net")
    def _another_network(self, change: dict[str, Any]) -> None:
        """Set from outside: choose it as the menu would."""
        if not self._updating and change["new"] is not change["old"]:
            with self._updating:
                self.net = change["old"]
            with self._changing:
                self._change_network(change["new"])

    def _change_network(self, net: Network) -> None:
        self.choose_network(net)
        old = self._choice_of_layer
        with lifecycle.MAKING_PARTS:
            made = self._layer_choice()
        self._taken_away.add(old)
        self._layers.children = [made]
        self._networks.show(net)
        self._show_picture()
        self._stage.renew()

    def _network_loaded(self, net: Network) -> None:
        try:
            with self._changing:
                if self.comm is not None and net is not self.net:
                    self._change_network(net)
        except Exception as error:  # on a thread whose traceback nobody would see
            self._networks.refuse(Failure.of(error))

    def _photograph_opened(self, photograph: np.ndarray, which: int) -> None:
        inputs = self.net.inputs
        if len(inputs) == 1:
            self.picture = photograph
            return
        given = self.held.given
        opened = (
            dict(given) if isinstance(given, dict) else {inputs[i].name: v for i, v in self.net.opened(given).items()}
        )
        self.picture = {**opened, inputs[self.net.picture_inputs[which]].name: photograph}

    # The panel in front.

    @property
    def panels(self) -> dict[str, Panel]:
        """The panels opened so far, by tab."""
        return dict(self._stage.panels)

    @property
    def panel(self) -> Panel:
        """The panel of the front tab.

        Raises:
            BadTarget: if this network has no such panel.
        """
        if self._stage.front is None:
            raise BadTarget(f"{self.tab!r} does not work with {self.net.name!r}. Choose another tab or network.")
        return self._stage.front

    @traitlets.validate("tab")
    def _known_tab(self, proposal: Any) -> str:
        return choice("tab", proposal["value"], [kind.title for kind in KINDS])

    @traitlets.observe("tab")
    def _tab_chosen(self, change: dict[str, Any]) -> None:
        self._stage.selected_index = [kind.title for kind in KINDS].index(change["new"])

    def _prepare(self, panel: Panel) -> None:
        panel.layout.max_width = "100%"
        panel.may_save, panel.shown_in = self._may_use_files, self._output
        panel.observe(lambda _: self._status_bar.show(self._stage.panels), ["state", "progress"])
        panel.screen.add_class("cnnw-main")
        if isinstance(panel, (FilterGallery, UnitAttributionPanel)):
            panel.unit_page.on_choice = self._unit_opened

    def _front_changed(self) -> None:
        self.tab = self._stage.kind.title
        if self._mirrored is not None:
            self._mirrored.unobserve(self._mirror, MIRRORED)
        self._mirrored = self._stage.front
        if self._mirrored is not None:
            self._mirrored.observe(self._mirror, MIRRORED)
            for name in MIRRORED:
                setattr(self, name, getattr(self._mirrored, name))
        self._status_bar.show(self._stage.panels)

    def _mirror(self, change: dict[str, Any]) -> None:
        setattr(self, change["name"], change["new"])

    def show_refusal(self, error: Exception) -> None:
        """Show in the status line of the panel in front why a setting was refused."""
        self.status = markup.one_line(str(error))
        if self._is_built and self._stage.front is not None:
            self._stage.front.show_refusal(error)

    def start(self) -> None:
        """Begin the run of the panel in front."""
        self.panel.start()

    def run(self) -> Any:
        """Run the panel in front to its end in this thread, and return its result."""
        return self.panel.run()

    def pause(self) -> None:
        """Hold the run of the panel in front."""
        self.panel.pause()

    def resume(self) -> None:
        """Go on with it."""
        self.panel.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the runs of all panels, and keep their last pictures."""
        for panel in self._stage.panels.values():
            panel.stop(timeout)

    def save(self, path: str | Path) -> Path:
        """Save the picture of the panel in front."""
        return self.panel.save(path)

    def snippet(self) -> str:
        """The Python that makes the picture in front without a widget."""
        return self.panel.snippet()

    def close(self) -> None:
        """Stop everything, and free every widget."""
        if self.comm is None:  # closed already
            return
        if not self._is_built:  # refused by its constructor
            super().close()
            return
        with self._changing, self._updating:  # what is being changed on another thread would be left over
            self._networks.forget()
            self._output.forget()
            lifecycle.stop_counting(self)
            super().close()  # first: the page takes all tabs away at once
            self._stage.close()
            self._taken_away.close()
            self._photographs.close()
            self._predictions.close()
            lifecycle.close_all(self)
