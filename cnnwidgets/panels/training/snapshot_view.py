"""What a snapshot of a training shows, with the curves under it, and the slider through all snapshots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets as widgets

from cnnwidgets.panels.base import lifecycle, markup
from cnnwidgets.panels.base.binding import Updating
from cnnwidgets.panels.base.charts import chart
from cnnwidgets.panels.base.screen import Screen
from cnnwidgets.panels.training import drawing
from cnnwidgets.quantities import plural
from cnnwidgets.training.curves import Curves
from cnnwidgets.training.snapshots import Snapshot

UNITS, SIDE = 420, 260  # CSS pixels of the units' pictures, and of what is at their side
MOST_CURVES = 4
FILM = 350  # milliseconds of one moment


class SnapshotView(widgets.HBox):
    """One snapshot, and where it is in the curves of loss and metrics."""

    def __init__(self) -> None:
        def unseen(_number: int) -> None:
            """Snapshots come far apart, so nothing waits for the page."""

        self.screen = Screen(UNITS, unseen)
        self.maps, self.heat = Screen(SIDE, unseen), Screen(SIDE, unseen)
        self.curves = markup.markup("", width="100%")
        self._title, self._heat_note = markup.markup(markup.title("What the units look for")), markup.markup("")
        titles = [markup.markup(markup.title(text)) for text in ("Feature maps", "Heatmap")]
        side = widgets.VBox(
            [titles[0], self.maps, titles[1], self.heat, self._heat_note],
            layout=widgets.Layout(flex="1 1 260px", min_width="0", max_width="300px"),
        )
        main = widgets.VBox([self._title, self.screen, self.curves], layout=widgets.Layout(max_width="100%"))
        super().__init__([main, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px"))

    def __repr__(self) -> str:
        return "SnapshotView()"

    def explain(self, units: int) -> None:
        """Show what will be seen of so many units."""
        self.screen.explain(
            f"Pictures of {units} {plural('unit', units)}, before the first batch and as they change. "
            "Call panel.fit(x, y, epochs=5) as you call model.fit, or give the recorder to your own fit as a callback."
        )
        for screen, what in ((self.maps, "feature maps"), (self.heat, "heatmap")):
            screen.explain(f"Give the recorder picture= to see the {what} of a photograph here.")

    def show(self, snapshot: Snapshot, number: int | None) -> None:
        """Show a snapshot: live with the number of its picture, for good without one."""
        if len(snapshot.pictures):
            self.screen.show(drawing.unit_tiles(snapshot), number)
            self.screen.over.value = _captions(snapshot)
        else:
            self.screen.explain(snapshot.note or "No picture of this moment.")
        for screen, picture in (
            (self.maps, drawing.unit_maps(snapshot)),
            (self.heat, drawing.heat_over_probe(snapshot)),
        ):
            if picture is not None:
                screen.show(picture, number)
        self._title.value = markup.title(f"What units of {snapshot.layer} look for")
        self._heat_note.value = markup.progress_text("; ".join(filter(None, (one.note for one in snapshot.heat))))

    def draw(self, curves: Curves, batch: int | None) -> None:
        at = None if batch is None else float(batch)
        end = max([point.batch for point in (*curves.batches, *curves.epochs)], default=0)
        charts = []
        for name in [name for name in curves.names() if not name.startswith("val_")][:MOST_CURVES]:
            lines = [
                (one, [(float(p.batch), p.logs[one]) for p in points if one in p.logs])
                for one, points in ((name, curves.batches or curves.epochs), (f"val_{name}", curves.epochs))
            ]
            charts.append(chart(lines, at, end))
        self.curves.value = "".join(charts)

    def close(self) -> None:
        if self.comm is None:
            return
        for screen in (self.screen, self.maps, self.heat):
            screen.close()
        lifecycle.close_all(self)
        super().close()


def _captions(snapshot: Snapshot) -> str:
    across = drawing.columns(snapshot)
    rows = -(-len(snapshot.units) // across)
    captions = [
        (str(unit), f"{value:.3g}", note.partition(":")[0])
        for unit, value, note in zip(snapshot.units, snapshot.values, snapshot.notes, strict=True)
    ]
    return markup.tiles(across, rows, drawing.BAND / (1 + drawing.BAND), captions, None)


class Moments(widgets.HBox):
    """A slider over the moments of a training, with the words for the one that is shown; hidden while there are none.

    Args:
        on_move: called with the index of the moment that somebody chose, or that the film has come to.
    """

    def __init__(self, on_move: Callable[[int], object]) -> None:
        self._on_move = on_move
        self._updating = Updating()
        self._words: Sequence[str] = ()
        self.slider = widgets.IntSlider(
            0, min=0, max=1, description="Training time", readout=False, tooltip="Moments of the training",
            layout=widgets.Layout(width="300px", max_width="100%"), style={"description_width": "90px"},
        )  # fmt: skip
        self.film = widgets.Play(
            value=0, min=0, max=1, interval=FILM, show_repeat=False, tooltip="Play the training as a film",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self._link = widgets.jslink((self.film, "value"), (self.slider, "value"))
        self.follow = widgets.ToggleButton(
            True, description="Follow newest", icon="forward", tooltip="Show each snapshot as it comes",
            layout=widgets.Layout(width="auto"),
        )  # fmt: skip
        self._line = markup.markup("")
        super().__init__(
            [self.follow, self.film, self.slider, self._line],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", grid_gap="0 8px", display="none"),
        )
        self.slider.observe(self._moved, "value")

    def __repr__(self) -> str:
        return f"Moments({len(self._words)} moments)"

    def offer(self, words: Sequence[str], index: int) -> None:
        """Offer moments, by what is said of each, and stand at one of them."""
        self._words = words
        self.layout.display = ""
        with self._updating:
            self.slider.max = self.film.max = max(1, len(words) - 1)
            self.slider.value = index
            self.film.value = index
        self.slider.disabled = self.film.disabled = len(words) < 2
        self._line.value = markup.progress_text(words[index])

    def _moved(self, change: dict[str, Any]) -> None:
        index = change["new"]
        if not self._updating and 0 <= index < len(self._words):
            self._on_move(index)

    def unlink(self) -> None:
        """End what the page links."""
        self._link.close()
