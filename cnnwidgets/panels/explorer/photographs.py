"""The picture of an Explorer: a sample, a file of this machine, or an upload."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import ipywidgets as widgets
import numpy as np

from cnnwidgets import pictures, samples
from cnnwidgets.errors import BadPicture
from cnnwidgets.explain.overlays.held_picture import HeldPicture, as_sentence
from cnnwidgets.jobs import Job, worker
from cnnwidgets.jobs.failure import Failure
from cnnwidgets.model.network import Network
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.controls.controls import in_sidebar
from cnnwidgets.pictures import cells

MOST_MEGABYTES = 8  # of an upload: a larger one never reaches Python, without any message
VIEW = 200  # pixels: the longer side of the view
THUMBNAIL = 48  # pixels: of a square on the page
OTHER = "your own"


class PhotographMenu(widgets.VBox):
    """Thumbnails of sample photographs, a path or an upload, and a view of the photograph that is open.

    Args:
        on_open: called with a photograph [H, W, 3] and the index of the picture input that it is for.
        files: whether files of this machine may be opened.
        sample: the name of the sample that is open to begin with, if it is one.
        on_point: called with the position (x, y) of a click on the view, each 0..1.
    """

    def __init__(
        self,
        on_open: Callable[[np.ndarray, int], object],
        files: bool,
        sample: str = OTHER,
        on_point: Callable[[float, float], object] | None = None,
    ) -> None:
        self._on_open = on_open
        self._updating = Updating()
        self.traceback = self._words = ""
        self._own: np.ndarray | None = None  # the last one that is not a sample
        self._shown = sample
        self._opening = OTHER  # what `show` will be called for
        names = [*([OTHER] if sample == OTHER else []), *samples.sample_names()]
        self._samples = widgets.RadioButtons(options=names, value=sample)
        self._samples.add_class("cnnw-photographs")
        self._samples.layout.width = "100%"
        self._looks = markup.markup("", display="none")
        self._path = widgets.Text(
            placeholder="path of a picture, then Enter", description="File", continuous_update=False,
            tooltip="A picture on this machine: PNG, JPEG, WEBP, GIF or BMP", **in_sidebar(),
        )  # fmt: skip
        self._path.layout.display = "" if files else "none"
        self._may_open = files
        self._upload = widgets.FileUpload(
            accept="image/*", description=f"Upload, max {MOST_MEGABYTES} MB", tooltip="A picture on your own machine",
            layout=widgets.Layout(width="auto", flex="1 1 auto"),
        )  # fmt: skip
        look = in_sidebar()
        self._which = widgets.Dropdown(description="For", tooltip="Which picture of the model is opened", **look)
        self._view = Screen(VIEW, lambda _number: None, on_point)
        self._line = markup.markup(markup.status(""))
        self._drawing: Job[None] | None = None
        title = markup.markup(markup.title("Picture"))
        super().__init__(
            [title, self._looks, self._which, self._samples, self._path, self._upload, self._view, self._line]
        )
        self._samples.observe(self._picked, "value")
        self._path.observe(self._typed, "value")
        self._upload.observe(self._uploaded, "value")

    _addresses: Mapping[str, str] = MappingProxyType({})  # of thumbnails of samples, by name

    def __repr__(self) -> str:
        return f"PhotographMenu({self._samples.value!r})"

    def show(self, net: Network, held: HeldPicture, is_new: bool = True) -> None:
        """Show this picture, or these, in the menu; one that is new and was not opened here is the user's own."""
        names = [net.inputs[i].name for i in net.picture_inputs]
        if self._which.options != tuple((name, i) for i, name in enumerate(names)):
            self._which.options = [(name, i) for i, name in enumerate(names)]
            self._which.value = 0  # else the menu of a widget made without options stays blank
        self._which.layout.display = "" if len(names) > 1 else "none"
        if is_new:
            self._shown = self._opening
            self._mark()
        if self._shown == OTHER:
            self._own = held.photos[0]
            self._show_thumbnails()
        small = [_as_viewed(photo) for photo in held.photos]
        size = cells.common([photo.shape[:2] for photo in small])
        self._view.resize(len(small) * size[1])
        self._view.show(pictures.mosaic(np.stack([cells.centered(photo, size) for photo in small]), len(small), gap=0))
        sizes = " and ".join(f"{photo.shape[1]} × {photo.shape[0]}" for photo in held.photos)
        self._words = f"{sizes} pixels. {held.note}".strip()
        self._line.value = markup.status(self._words)

    def show_position(self, position: tuple[int, int] | None, held: HeldPicture) -> None:
        """Mark a pixel (row, column) of the photograph."""
        height, width = held.photos[0].shape[:2]
        share = None if position is None else ((position[1] + 0.5) / width, (position[0] + 0.5) / height)
        self._view.over.value = "" if share is None else markup.cross(*share)

    def draw_thumbnails(self) -> None:
        """Let the worker read the samples one by one, after what is in front; their names are there already."""
        if self._drawing is None:
            self._drawing = Job(self._draw(), visible=False)
            worker().submit(self._drawing)

    def _draw(self) -> Iterator[None]:
        for name in samples.sample_names():
            sample_thumbnail(name)
            yield
        if self.comm is not None:
            self._addresses = {name: sample_thumbnail(name) for name in samples.sample_names()}
            self._show_thumbnails()

    def _show_thumbnails(self) -> None:
        own = {} if self._own is None else {OTHER: thumbnail(self._own)}
        self._looks.value = markup.thumbnails({**self._addresses, **own})

    def _mark(self) -> None:
        """Let what is shown be the one that is chosen."""
        with self._updating:
            if self._shown not in self._samples.options:
                self._samples.options = [OTHER, *samples.sample_names()]
            self._samples.value = self._shown

    def refuse(self, failure: Failure) -> None:
        """Show why a picture was refused."""
        self.traceback = failure.traceback
        self._line.value = markup.status(markup.complaint(failure), is_error=True)

    def _picked(self, change: dict[str, str]) -> None:
        name = change["new"]
        if self._updating:
            return
        if name != OTHER:
            self._open(lambda: (samples.sample(name), ""), name)
        elif self._own is not None:
            own = self._own
            self._open(lambda: (own, ""))

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
            self._opening = sample
            self._on_open(photograph, self._which.value or 0)
            self._line.value = markup.status(f"{self._words} {as_sentence(note)}".strip())
        except Exception as error:  # a callback's traceback would be seen by nobody
            self.refuse(Failure.of(error))
        finally:
            self._opening = OTHER
            self._mark()

    def close(self) -> None:
        if self._drawing is not None:
            self._drawing.release()
        self._view.close()
        super().close()


def _as_viewed(photo: np.ndarray) -> np.ndarray:
    """A photograph as large as the view; the pixels of a tiny one stay sharp."""
    times = VIEW // max(photo.shape[:2])
    return photo.repeat(times, 0).repeat(times, 1) if times > 1 else cells.fit(photo, VIEW)


@functools.cache
def sample_thumbnail(name: str) -> str:
    """The address of a small square of a sample."""
    return thumbnail(samples.sample(name))


def thumbnail(photo: np.ndarray) -> str:
    """The address, `data:...`, of a small square from the middle of a photograph [H, W, 3]."""
    side = min(photo.shape[:2])
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    square = pictures.resize(photo[top : top + side, left : left + side], (2 * THUMBNAIL, 2 * THUMBNAIL))
    return f"data:image/jpeg;base64,{base64.b64encode(pictures.to_jpeg(square)).decode()}"


def _decoded(data: bytes) -> tuple[np.ndarray, str]:
    if len(data) > MOST_MEGABYTES * 10**6:
        size = f"{len(data) / 1e6:.0f} MB"
        raise BadPicture(f"The upload has {size}. Upload at most {MOST_MEGABYTES} MB, or the path of a file.")
    return pictures.read_picture(data)
