"""Hooks that each panel overrides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.panels.base.history import Snapshot
from cnnwidgets.panels.base.screen import Screen


class Particulars:
    """What a panel runs, how its frames are painted, and what they mean: a subclass says it."""

    screen: Screen

    def _body(self) -> Sequence[widgets.Widget]:
        """The widgets between the row of controls and the progress line."""
        return [self.screen]

    def _frames(self) -> Iterator[Any]:
        """The unstarted run; raises what its verb would raise."""
        raise NotImplementedError

    def _paint(self, frame: Any) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is shown."""
        raise NotImplementedError

    def _picture(self, frame: Any) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is saved."""
        return self._paint(frame)

    def _result(self, frame: Any) -> Any:
        """What the verb returns."""
        return frame

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """The verb and its settings, for the recipe."""
        raise NotImplementedError

    def _invitation(self) -> str:
        """What Start will do, for the empty panel."""
        return "Press Start."

    def _conclusion(self) -> str:
        """What a finished panel shows, and what to try next."""
        return "Done."

    def _note(self) -> str:
        """What has to be said of the photograph, whatever the run does with it."""
        return ""

    def _describe(self, frame: Any) -> None:
        """Update captions beside the picture."""

    def _phase(self, frame: Any) -> str:
        """What the run does now, where it is no step of the climb."""
        return ""

    def _doing(self, frame: Any) -> str:
        """What one sees while it runs."""
        return "Optimizing: each step changes the picture so that the network responds more."

    def _is_step(self, frame: Any) -> bool:
        """Whether it is a step of the climb, and not what comes after it."""
        return not frame.notes and not self._phase(frame)

    def _pixels(self, frame: Any) -> np.ndarray:
        """What is kept of a frame to look back at, uint8."""
        return pictures.to_uint8(self._picture(frame))

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of what was kept, as it is shown."""
        return pixels

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of what was kept, as it is saved."""
        return pixels

    def _describe_moment(self, moment: Snapshot) -> None:
        """Update captions beside the picture of an earlier step."""

    def _is_busy_beside(self) -> bool:
        """Whether something else runs that Stop ends too."""
        return False

    def _name(self) -> str:
        """What a saved file is called."""
        return type(self).__name__

    def _clicked(self, x: float, y: float) -> None:
        """Hear a click on the picture, each 0..1."""
