"""A picture on the page that frames are streamed to, and that acknowledges each one."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import ipywidgets as widgets
import PIL.Image
from ipyevents import Event

from cnnwidgets import pictures
from cnnwidgets.panels.base import lifecycle, markup

DRAGGED = 0.02  # of the picture: less is a click
DRAGGING = 50  # milliseconds between two reports of a rectangle that is being drawn
POINTING = 100  # milliseconds between two reports of where the pointer is
TALLEST = 1.5  # of its width: a taller picture is shown narrower, so that the parts below stay in view
WINDOW = 1  # frames that may be on their way to the page: a second would replace the first before it is painted


class Screen(widgets.VBox):
    """An image with a layer of HTML over it.

    Live frames travel as JPEG, the last as PNG. Two hidden numbers, linked in the page, report what has arrived: it
    copies `_sent` to `_seen`, so no JavaScript is needed.

    Args:
        width: of the picture on the page, in CSS pixels; it shrinks on narrow pages.
        on_seen: called with the number of a frame that has reached the page.
        on_click: called with the position (x, y) of a click, each 0..1 of the picture.
    """

    def __init__(
        self,
        width: int,
        on_seen: Callable[[int], object],
        on_click: Callable[[float, float], object] | None = None,
        empty: str = "",
    ) -> None:
        self._image = widgets.Image(
            format="png", layout=widgets.Layout(width="100%", height="auto", margin="0", display="none")
        )
        self.over = markup.markup("", "cnnw-over")
        self._drawn = markup.markup("", "cnnw-over")  # a rectangle that is being dragged
        self._empty = markup.markup(markup.empty(empty), "cnnw-over")
        hidden = widgets.Layout(display="none")
        self._sent, self._seen = widgets.IntText(0, layout=hidden), widgets.IntText(0, layout=hidden)
        self._link = widgets.jslink((self._sent, "value"), (self._seen, "value"))
        self._seen.observe(lambda change: on_seen(change["new"]), "value")
        self.is_empty = True
        parts: list[Any] = [self._image, self.over, self._drawn, self._empty, self._sent, self._seen]
        self._events: Event | None = None
        self._pointing: Event | None = None
        self._doubled: Event | None = None
        self._dragging: Event | None = None
        self._drag_start: tuple[float, float] | None = None
        self._is_drag_over = False  # and the click that follows it is still to come
        if on_click is not None:
            self._events = Event(source=self._image, watched_events=["click"])
            self._events.on_dom_event(lambda event: self._pressed(event, on_click))
        self._width, self._tallest = float(width), TALLEST * width
        super().__init__(
            parts, layout=widgets.Layout(width=f"{width}px", max_width="100%", height=f"{width}px", overflow="visible")
        )
        self.add_class("cnnw-stage")

    def __repr__(self) -> str:
        return f"Screen({'empty' if self.is_empty else 'a picture'})"

    def follow(self, on_move: Callable[[float, float], object], on_leave: Callable[[], object]) -> None:
        """Report where the pointer is over the picture, at most every 100 ms, and when it has left it."""

        def moved(event: dict[str, Any]) -> None:
            if event.get("type") == "mouseleave":
                on_leave()
            else:
                self._clicked(event, on_move)

        self._pointing = Event(source=self._image, watched_events=["mousemove", "mouseleave"], wait=POINTING)
        self._pointing.on_dom_event(moved)

    def watch_double_clicks(self, on_double_click: Callable[[float, float], object]) -> None:
        """Report the place (x, y) of a double click, each 0..1; the two clicks are reported before it."""
        self._doubled = Event(source=self._image, watched_events=["dblclick"])
        self._doubled.on_dom_event(lambda event: self._clicked(event, on_double_click))

    def watch_drags(self, on_drag: Callable[[tuple[float, float], tuple[float, float]], object]) -> None:
        """Draw a rectangle where the pointer is dragged over the picture, and report its two corners (x, y), 0..1."""
        watched = ["mousedown", "mousemove", "mouseup", "dragstart"]
        self._dragging = Event(source=self._image, watched_events=watched, wait=DRAGGING, prevent_default_action=True)
        self._dragging.on_dom_event(
            lambda event: self._clicked(event, lambda x, y: self._dragged(event.get("type"), (x, y), on_drag))
        )

    def _dragged(self, kind: Any, at: tuple[float, float], on_drag: Callable[..., object]) -> None:
        if kind == "mousedown":
            self._drag_start, self._is_drag_over = at, False
        start = self._drag_start
        if start is None or max(abs(at[0] - start[0]), abs(at[1] - start[1])) < DRAGGED:
            if kind == "mouseup":
                self._drag_start = None
            return
        if kind == "mousemove":
            self._drawn.value = markup.rectangle(start, at)
        elif kind == "mouseup":
            self._drag_start, self._is_drag_over, self._drawn.value = None, True, ""
            on_drag(start, at)

    def _pressed(self, event: dict[str, Any], on_click: Callable[[float, float], object]) -> None:
        """Report a click that is not the end of a drag."""
        if self._is_drag_over:
            self._is_drag_over = False
        else:
            self._clicked(event, on_click)

    def _clicked(self, event: dict[str, Any], on_click: Callable[[float, float], object]) -> None:
        # The event's own dataX is wrong while frames stream in, so the position is taken from the box on the page.
        wide, high = event.get("boundingRectWidth", 0), event.get("boundingRectHeight", 0)
        if wide > 0 and high > 0:
            inside = (min(max(event[key] / length, 0.0), 0.999999)
                      for key, length in (("relativeX", wide), ("relativeY", high)))  # fmt: skip
            on_click(*inside)

    def explain(self, text: str) -> None:
        """Show a text instead of a picture."""
        self._empty.value = markup.empty(text)
        self._empty.layout.display = ""
        self._image.layout.display = "none"
        self.over.value = ""
        self._fit(1.0)
        self.layout.height = self.layout.width
        self.is_empty = True

    def show(self, picture: Any, number: int | None = None) -> None:
        """Put a picture [H, W, C] on the page: live with the number of its frame, for good without one."""
        self.put(pictures.to_png(picture) if number is None else pictures.to_jpeg(picture), number)

    def put(self, data: bytes, number: int | None = None) -> None:
        """Put a picture that is encoded already on the page, as `show` does: a JPEG with a number, a PNG without."""
        with self._image.hold_sync():
            self._image.format = "png" if number is None else "jpeg"
            self._image.value = data
        columns, rows = PIL.Image.open(io.BytesIO(data)).size
        self._fit(rows / columns)
        if self.is_empty:
            self.is_empty = False
            self.layout.height = "auto"
            self._image.layout.display = ""
            self._empty.layout.display = "none"
        if number is not None:
            self._sent.value = number

    def resize(self, width: float) -> None:
        """Show pictures at another width, in CSS pixels."""
        self._width = width
        self.layout.width = f"{width:g}px"

    def _fit(self, ratio: float) -> None:
        """Make the screen narrower for a picture so many times as high as wide that it would be too tall."""
        is_tall = self._width * ratio > self._tallest
        (self.add_class if is_tall else self.remove_class)("cnnw-tall")
        self.layout.width = f"{self._tallest / ratio if is_tall else self._width:g}px"

    @property
    def data(self) -> bytes:
        """The picture on the page, as a file."""
        return bytes(self._image.value)

    def close(self) -> None:
        lifecycle.stop_counting(self)  # where clicks are watched, the page counts views
        for part in (self._events, self._pointing, self._doubled, self._dragging, self._link):
            if part is not None:
                part.close()
        super().close()
