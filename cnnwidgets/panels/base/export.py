"""Saving and exporting: PNG, GIF, and the Python code that makes the same picture."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.panels.base import markup
from cnnwidgets.paths import checked_path
from cnnwidgets.provenance.recipe import Recipe

GIF_FPS = 8


@dataclass(frozen=True)
class Export:
    """Files of what a panel shows.

    Attributes:
        picture: returns the picture [H, W, C] as it is saved, `None` before the first one.
        earlier: returns pictures of earlier steps of the run.
        recipe: returns how the picture is made.
    """

    picture: Callable[[], np.ndarray | None]
    earlier: Callable[[], Sequence[np.ndarray]]
    recipe: Callable[[], Recipe]

    def save(self, path: str | Path) -> Path:
        """Save as PNG, with the recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        target = checked_path("path", path)
        suffix = target.suffix.lower()
        if suffix not in (".png", ".gif"):
            raise BadTarget(f"path must end in .png or .gif, got {quoted(target.name)}.")
        picture = self.picture()
        if picture is None:
            raise BadTarget("There is no picture to save yet. Press Start, or call run(), first.")
        if suffix == ".png":
            return pictures.write_file(target, pictures.to_png(picture, self.recipe().to_dict()))
        every = [*self.earlier(), pictures.to_uint8(picture)]
        return pictures.write_file(target, pictures.to_gif(every, GIF_FPS))

    def still(self) -> str | None:
        """A small PNG in base64, for notebooks without a kernel; `None` before the first picture."""
        picture = self.picture()
        return None if picture is None else base64.b64encode(pictures.to_still(picture)).decode()


class CodeBox(widgets.VBox):
    """The code under a panel, hidden at first.

    Args:
        snippet: returns the code of what is shown now.
    """

    def __init__(self, snippet: Callable[[], str]) -> None:
        self._snippet, self._text = snippet, markup.markup(width="100%")
        super().__init__([self._text], layout=widgets.Layout(margin="0", width="100%", display="none"))

    def __repr__(self) -> str:
        return f"CodeBox({'hidden' if self.is_hidden else 'shown'})"

    @property
    def is_hidden(self) -> bool:
        """Whether the code is hidden."""
        return bool(self.layout.display == "none")

    def toggle(self) -> None:
        """Show the code, or hide it."""
        if self.is_hidden:
            self._write()
        self.layout.display = "" if self.is_hidden else "none"

    def refresh(self) -> None:
        """Write the code again where it is shown."""
        if not self.is_hidden:
            self._write()

    def _write(self) -> None:
        hint = markup.status("Click the code to select it, then copy it.")
        self._text.value = hint + markup.code(self._snippet())
