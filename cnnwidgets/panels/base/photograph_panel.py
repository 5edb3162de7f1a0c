"""The base class of panels for a photograph, which is shown before the run and for comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.model.network import Network
from cnnwidgets.model.settings import Settings
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import SIDE
from cnnwidgets.panels.base.binding import Setting
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.protocols import F

LONGEST_SHOWN = 1024  # pixels: twice what the page has room for


class PhotographPanel(Panel[F]):
    """A panel of a verb that takes a picture and gives pictures.

    Besides the methods of every panel, a subclass provides `controls` and `_plan_again _photograph _side`.
    """

    picture = Setting()
    controls: widgets.VBox

    def __init__(self, net: Network, picture: object, settings: Settings) -> None:
        held = HeldPicture(net, picture, getattr(settings, "size", None))
        super().__init__(net)
        self._widen()
        self._held = held
        self._made: dict[str, Any] = {}  # the settings of the run that is shown
        traits = {"picture": picture, **settings.recorded()}
        self._setting_names = list(traits)
        self._assign(**traits)

    def _body(self) -> Sequence[widgets.Widget]:
        self._caption = markup.markup("")
        side = widgets.VBox([*self._side(), self._graph], layout=widgets.Layout(**SIDE))
        main = widgets.VBox([self.screen, self._caption], layout=widgets.Layout(flex="1 1 512px", max_width="660px"))
        main.add_class("cnnw-main-column")
        stage = widgets.HBox(
            [main, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        )
        return [self.controls, stage]

    # What a subclass provides.

    def _photograph(self) -> np.ndarray:
        """What is shown before the run."""
        return self._held.photos[0]

    def _looks_at(self) -> Any:
        """The size at which the network looks, where the verb takes one."""
        return getattr(self, "size", None)

    def _side(self) -> Sequence[widgets.Widget]:
        """The widgets next to the picture."""
        return []

    def _plan_again(self) -> None:
        """Raise what the verb would raise for the settings as they are."""
        raise NotImplementedError

    # The run and what is shown of it.

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return as_shown(pixels)

    def _rest(self) -> None:
        super()._rest()
        self._made = {}
        self._repaint()
        self._say(self._noted(self._invitation()))

    def _note(self) -> str:
        return self._held.note

    def _repaint(self) -> None:
        """Show what is chosen now, without the network."""
        with self._run.lock:
            frame = self._last
            painted = as_shown(self._photograph()) if frame is None else self._paint(frame)
            self.screen.show(painted)
            self._scrubber.rest()
            if frame is not None:
                self.result = self._result(frame)
            self._describe(frame)

    # What is changed.

    def _check(self, name: str) -> None:
        held = self._held
        try:
            if name == "picture":
                self._held = HeldPicture(self.net, self.picture, self._looks_at())
            self._plan_again()
        except Exception:
            self._held = held
            raise

    def _show_photograph(self) -> None:
        """Show the photograph: what was made belongs to another one."""
        self._run.drop()
        self.state = "idle"
        self._rest()

    def _until(self, frame: Any) -> dict[str, int]:
        """The step whose picture is shown, where that is not the run's last."""
        return {"until": frame.step} if frame is not None and frame.step < frame.steps else {}


def as_shown(picture: np.ndarray) -> np.ndarray:
    """A picture [H, W, C] as large as it is shown at most; what is saved keeps its size."""
    height, width = picture.shape[:2]
    scale = LONGEST_SHOWN / max(height, width)
    if scale >= 1:
        return picture
    return pictures.resize(picture, (max(1, round(height * scale)), max(1, round(width * scale))))
