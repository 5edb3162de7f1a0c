"""Saving and exporting: PNG, GIF, and equivalent Python code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ipywidgets as widgets

from cnnwidgets import pictures
from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.device import device_kind
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.history import Record
from cnnwidgets.panels.base.hooks import Particulars
from cnnwidgets.paths import checked_path
from cnnwidgets.provenance import snippets
from cnnwidgets.provenance.positions import with_positions
from cnnwidgets.provenance.recipe import Recipe, installed_versions

GIF_FPS = 8


class Takeaway(Particulars):
    """Saves what a panel shows, with its recipe inside, and writes it as Python.

    Attributes:
        may_save: whether the buttons may write files where Python runs.
    """

    net: Network
    may_save = True
    _last: Any  # the frame that is shown
    _record: Record
    _code: widgets.DOMWidget  # of `markup`

    def _say(self, text: str) -> None:
        raise NotImplementedError

    def recipe_of(self) -> Recipe:
        """The recipe of what is shown: everything that changes a pixel."""
        verb, settings = self._settings()
        told, fingerprint = with_positions(settings, self.net), self.net.fingerprint()
        return Recipe(verb, self.net.name, fingerprint, told, installed_versions(), device_kind())

    def snippet(self) -> str:
        """The Python that makes the same picture without a widget."""
        verb, settings = self._settings()
        return snippets.write(verb, self.net.name, settings)

    def save(self, path: str | Path) -> Path:
        """Save the picture as PNG, its recipe inside, or the run as GIF; nothing is ever half written.

        Raises:
            BadTarget: for another suffix, or when there is nothing to save yet.
        """
        target = checked_path("path", path)
        kind = target.suffix.lower()
        if kind not in (".png", ".gif"):
            raise BadTarget(f"path must end in .png or .gif, got {quoted(target.name)}.")
        frame = self._last
        if frame is None:
            raise BadTarget("There is no picture to save yet. Press Start, or call run(), first.")
        picture = self._picture(frame)
        if kind == ".png":
            data = pictures.to_png(picture, self.recipe_of().to_dict())
        else:
            earlier = [self._picture_of_pixels(moment.pixels) for moment in self._record.snapshots]
            data = pictures.to_gif([*earlier, pictures.to_uint8(picture)], GIF_FPS)
        return pictures.write_file(target, data)

    def _save_png(self) -> None:
        self._save_here(".png")

    def _save_gif(self) -> None:
        self._save_here(".gif")

    def _save_here(self, suffix: str) -> None:
        if not self.may_save:
            raise BadTarget("Files are not saved from this page. Right-click the picture to save it.")
        path = self.save(pictures.free_path(Path.cwd(), self._name(), suffix))
        self._say(f"Saved as {path.name} in the notebook's folder.")

    def _toggle_code(self) -> None:
        hidden = self._code.layout.display == "none"
        if hidden:
            self._write_code()
        self._code.layout.display = "" if hidden else "none"

    def _write_code(self) -> None:
        hint = markup.status("Click the code to select it, then copy it.")
        self._code.value = hint + markup.code(self.snippet())
