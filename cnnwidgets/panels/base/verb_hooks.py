"""What a panel of a verb provides: its run, its pictures, and its sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Generic

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.panels.protocols import F
from cnnwidgets.panels.runs.history import Snapshot


class VerbHooks(Generic[F]):
    """The methods that `Panel` calls and a subclass defines; `_frames _settings _paint` have no default."""

    _are_steps_first: ClassVar[bool] = False  # whether what follows the steps of the curve are only retries

    # The run.

    def _frames(self) -> Iterator[F]:
        """The unstarted run; raises what its verb would raise."""
        raise NotImplementedError

    def _settings(self) -> tuple[str, dict[str, Any]]:
        """The verb and its settings, for the recipe."""
        raise NotImplementedError

    def _result(self, frame: F) -> Any:
        """What the verb returns."""
        return frame

    def _phase(self, frame: F) -> str | None:
        """The name of a phase whose steps are not those of the curve, if a frame belongs to one."""
        return None

    def _ended(self, frame: F) -> None:
        """Act on the last frame of a run that is done."""

    def _is_busy_beside(self) -> bool:
        """Whether something else is computed that Stop ends too."""
        return False

    # The pictures.

    def _paint(self, frame: F) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is shown."""
        raise NotImplementedError

    def _picture(self, frame: F) -> np.ndarray:
        """The picture of a frame, [H, W, C], as it is saved."""
        return self._paint(frame)

    def _pixels(self, frame: F) -> np.ndarray:
        """What is kept of a frame to look back at, uint8."""
        return pictures.to_uint8(self._picture(frame))

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of kept pixels, as it is shown."""
        return pixels

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """The picture [H, W, C] of kept pixels, as it is saved."""
        return pixels

    # The page.

    def _body(self) -> Sequence[widgets.Widget]:
        """The widgets between the buttons and the progress line."""
        raise NotImplementedError

    def _clicked(self, x: float, y: float) -> None:
        """Act on a click on the picture, each 0..1."""

    def _describe(self, frame: F) -> None:
        """Update captions next to the picture."""

    def _describe_moment(self, moment: Snapshot) -> None:
        """Update captions next to the picture of an earlier step."""

    # The sentences.

    def _invitation(self) -> str:
        """What Start will do, for the empty panel."""
        return "Press Start."

    def _doing(self, frame: F) -> str:
        """What one sees while it runs."""
        return "Optimizing: each step changes the picture so that the network responds more."

    def _conclusion(self) -> str:
        """What a finished panel shows, and what to try next."""
        return "Done."

    def _note(self) -> str:
        """A remark about the photograph, before every other sentence."""
        return ""
