"""The picture of an Explorer: a sample, a file of this machine, or an upload."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures, samples
from cnnwidgets.errors import BadPicture
from cnnwidgets.explain.overlays.held_picture import HeldPicture, as_sentence
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.explorer.sidebar import wide
from cnnwidgets.pictures import cells

MOST_MEGABYTES = 8  # of an upload: a larger one never reaches Python, without any message
THUMBNAIL = 144  # pixels
OTHER = "your own"


class PhotographMenu(widgets.VBox):
    """Three ways to open a photograph, and a small view of the one that is open.

    Args:
        on_open: called with a photograph [H, W, 3] and the index of the picture input that it is for.
        files: whether files of this machine may be opened.
        sample: the name of the sample that is open to begin with, if it is one.
    """

    def __init__(self, on_open: Callable[[np.ndarray, int], object], files: bool, sample: str = OTHER) -> None:
        self._on_open = on_open
        self._updating = Updating()
        self.traceback = self._words = ""
        self._samples = widgets.Dropdown(
            options=[OTHER, *samples.sample_names()], value=sample, description="Picture",
            tooltip="A sample photograph", **wide(),
        )  # fmt: skip
        self._path = widgets.Text(
            placeholder="path of a picture, then Enter", description="File", continuous_update=False,
            tooltip="A picture on this machine: PNG, JPEG, WEBP, GIF or BMP", **wide(),
        )  # fmt: skip
        self._path.layout.display = "" if files else "none"
        self._may_open = files
        self._upload = widgets.FileUpload(
            accept="image/*", description=f"Upload, max {MOST_MEGABYTES} MB", tooltip="A picture on your own machine",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self._which = widgets.Dropdown(description="For", tooltip="Which picture of the model is opened", **wide())
        self._view = Screen(THUMBNAIL, lambda _number: None)
        self._line = markup.markup(markup.status(""))
        super().__init__([self._which, self._samples, self._path, self._upload, self._view, self._line])
        self._samples.observe(self._picked, "value")
        self._path.observe(self._typed, "value")
        self._upload.observe(self._uploaded, "value")

    def __repr__(self) -> str:
        return f"PhotographMenu({self._samples.value!r})"

    def show(self, net: Network, held: HeldPicture) -> None:
        """Show this picture, or these, in the menu."""
        names = [net.inputs[i].name for i in net.picture_inputs]
        if self._which.options != tuple((name, i) for i, name in enumerate(names)):
            self._which.options = [(name, i) for i, name in enumerate(names)]
        self._which.layout.display = "" if len(names) > 1 else "none"
        small = [cells.fit(photo, THUMBNAIL) for photo in held.photos]
        size = cells.common([photo.shape[:2] for photo in small])
        self._view.layout.width = f"{len(small) * size[1]}px"
        self._view.show(pictures.mosaic(np.stack([cells.centered(photo, size) for photo in small]), len(small), gap=0))
        sizes = " and ".join(f"{photo.shape[1]} × {photo.shape[0]}" for photo in held.photos)
        self._words = f"{sizes} pixels. {held.note}".strip()
        self._line.value = markup.status(self._words)

    def refuse(self, failure: Failure) -> None:
        """Show why a picture was refused."""
        self.traceback = failure.traceback
        self._line.value = markup.status(markup.complaint(failure), is_error=True)

    def _picked(self, change: dict[str, str]) -> None:
        if not self._updating and change["new"] != OTHER:
            self._open(lambda: (samples.sample(change["new"]), ""), change["new"])

    def _typed(self, change: dict[str, str]) -> None:
        path = change["new"].strip()
        if path and self._may_open:
            self._open(lambda: pictures.read_picture(path))

    def _uploaded(self, change: dict[str, Any]) -> None:
        files = change["new"]
        if not files:
            return
        data = bytes(files[0]["content"])
        self._upload.value = ()  # the bytes would travel in a saved notebook
        self._open(lambda: _decoded(data))

    def _open(self, read: Callable[[], tuple[np.ndarray, str]], sample: str = OTHER) -> None:
        try:
            photograph, note = read()
            self._on_open(photograph, self._which.value or 0)
            self._line.value = markup.status(f"{self._words} {as_sentence(note)}".strip())
        except Exception as error:  # a callback's traceback would be seen by nobody
            self.refuse(Failure.of(error))
            sample = OTHER
        with self._updating:
            self._samples.value = sample

    def close(self) -> None:
        """Take everything off the page."""
        self._view.close()
        super().close()


def _decoded(data: bytes) -> tuple[np.ndarray, str]:
    if len(data) > MOST_MEGABYTES * 10**6:
        size = f"{len(data) / 1e6:.0f} MB"
        raise BadPicture(f"The upload has {size}. Upload at most {MOST_MEGABYTES} MB, or the path of a file.")
    return pictures.read_picture(data)
