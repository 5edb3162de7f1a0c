"""The base class of galleries: tiles that are optimized together."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import ipywidgets as widgets
import numpy as np
import traitlets

from cnnwidgets import pictures
from cnnwidgets.frame import Frame
from cnnwidgets.jobs import Cache
from cnnwidgets.model.network import Network
from cnnwidgets.model.tracing.cost import forward_flops
from cnnwidgets.panels.base import markup
from cnnwidgets.panels.base.base_panel import BUSY, SIDE
from cnnwidgets.panels.base.binding import Setting
from cnnwidgets.panels.base.panel import Panel
from cnnwidgets.panels.galleries.controls import GalleryControls
from cnnwidgets.panels.runs.history import Snapshot, Speed
from cnnwidgets.panels.runs.side_run import SideRun
from cnnwidgets.pictures.grid import banded_shape, with_bands
from cnnwidgets.quantities import spoken
from cnnwidgets.visualize.batches import Tiles, UnitPictures, UnitsFrame

SPEED = Speed(first=2.0, overhead=0.015, least=3e8)  # of this process, shared by all galleries


class TileGallery(Panel[UnitsFrame]):
    """A mosaic of tiles with captions, optimized together; choose one to optimize it at a larger size.

    A subclass provides `_planned _large` and the texts `_aim _advice _failures _watch_for`.

    Attributes:
        size, steps, seed, recipe: of the run; set one to change it, a run under way begins again.
        unit: the chosen tile's unit or class, or `None`; choosing one optimizes it at a larger size.
    """

    unit = Setting(None)

    _curve_name = "objective, mean of all tiles"
    _are_steps_first = True
    _verb: ClassVar[str]
    _word: ClassVar[str]  # what a tile stands for
    _watch_for: ClassVar[str]
    _plan: Any  # a Tiles, checked for the page that is shown

    def __init__(self, network: Network, plan: Tiles) -> None:
        super().__init__(network)
        self._plan = plan
        self._flops: dict[Any, float] = {}
        self._fingerprint_before = ""  # of the network, when the run began to compute
        self.enlarged = SideRun(self._enlarged_changed)
        self.controls: GalleryControls
        traits = plan.settings.recorded()
        self._setting_names = list(traits)
        self._assign(**traits)

    # What a gallery provides.

    def _planned(self) -> Tiles:
        """The checked request for the settings as they are."""
        raise NotImplementedError

    def _large(self, unit: int) -> tuple[str, Iterator[Frame]]:
        """The title and the unstarted run of one tile at a larger size."""
        raise NotImplementedError

    @property
    def _path(self) -> str:
        """The layer of the units, "" for the output."""
        return ""

    def _adopt(self, plan: Tiles) -> None:
        """Take a checked request for the page that is shown."""
        self._plan = plan

    @property
    def _rendered(self) -> Tiles:
        """What Start renders: all of the page, unless some of it is there already."""
        plan: Tiles = self._plan
        return plan

    def _label(self, unit: int) -> str:
        """The name of a tile."""
        return str(unit)

    def _aim(self) -> str:
        """What the pictures are optimized for."""
        raise NotImplementedError

    def _failures(self, count: int, of: int) -> str:
        """A sentence about tiles with a note."""
        raise NotImplementedError

    def _advice(self) -> str:
        """What to try next."""
        raise NotImplementedError

    def _beside(self) -> Sequence[widgets.Widget]:
        """The widgets above the enlarged tile."""
        return []

    # The run.

    def _frames(self) -> Iterator[UnitsFrame]:
        self._adopt(self._planned())
        return itertools.chain(self._note_fingerprint(), self._rendered.frames())

    def _note_fingerprint(self) -> Iterator[UnitsFrame]:
        """Make no frame: on the worker's thread, note the weights from which the first one is made."""
        if Cache.default().folder is not None:
            self._fingerprint_before = self.net.fingerprint()
        yield from ()

    def _result(self, frame: UnitsFrame) -> UnitPictures:
        return frame.result()

    def _ended(self, frame: UnitsFrame) -> None:
        SPEED.learn(self._step_cost(), self._record.pace)
        if not frame.smaller_batch:  # else these are not the bytes that the settings stand for
            self._remember(frame)

    def _step_cost(self) -> float:
        """Floating point operations of a step, where several runs take turns on the mean."""
        plan, groups = self._plan, self._rendered.groups
        key = self._path, plan.canvas.shape
        if key not in self._flops:  # kept, since it takes a while to find the graph
            self._flops = {key: forward_flops(plan.net, self._path, plan.canvas)}
        return 2 * self._flops[key] * sum(map(len, groups)) / max(1, len(groups))

    def _estimate(self) -> str:
        steps = self._plan.settings.steps * len(self._rendered.groups)
        return spoken(SPEED.seconds(self._step_cost(), steps))

    # The pictures.

    def _body(self) -> Sequence[widgets.Widget]:
        side = widgets.VBox([*self._beside(), self.enlarged, self._graph], layout=widgets.Layout(**SIDE))
        stage = widgets.HBox(
            [self.screen, side], layout=widgets.Layout(flex_flow="row wrap", margin="6px 0", grid_gap="8px 16px")
        )
        return [self.controls, stage]

    def _paint(self, frame: UnitsFrame) -> np.ndarray:
        return with_bands(frame.pictures)

    def _picture(self, frame: UnitsFrame) -> np.ndarray:
        return self._picture_of_pixels(pictures.to_uint8(frame.pictures))

    def _pixels(self, frame: UnitsFrame) -> np.ndarray:
        """The tiles themselves, [n, h, w, C]."""
        return pictures.to_uint8(frame.pictures)

    def _paint_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return with_bands(pixels)

    def _picture_of_pixels(self, pixels: np.ndarray) -> np.ndarray:
        return pictures.mosaic(pixels, pictures.columns_for(len(pixels)))

    # The texts.

    def _describe(self, frame: UnitsFrame) -> None:
        self._caption(frame, frame.values, frame.notes or ("",) * len(frame.units))

    def _describe_moment(self, moment: Snapshot) -> None:
        self._caption(self._last, moment.values, ("",) * len(self._last.units))

    def _caption(self, frame: UnitsFrame, values: np.ndarray, notes: Sequence[str]) -> None:
        captions = [
            (self._label(unit), f"{value:.3g}" if value == value else "", note)
            for unit, value, note in zip(frame.units, values, notes, strict=True)
        ]
        chosen = frame.units.index(self.unit) if self.unit in frame.units else None
        self.screen.over.value = markup.tiles(*banded_shape(len(captions)), captions, chosen)

    def _invitation(self) -> str:
        count = len(self._plan.units)
        tiles = f"{count} pictures" if count > 1 else "one picture"
        return f"Start renders {tiles} from noise, {self._aim()}. About {self._estimate()} here. {self._watch_for}"

    def _conclusion(self) -> str:
        smaller, random = self._last.smaller_batch, self._plan.random_note
        failed = sum(note not in ("", random) for note in self.result.notes)
        sentences = [
            f"Low memory: rendered {smaller} at a time; these pictures were not cached." if smaller else "",
            self._failures(failed, len(self.result.units)) if failed else "",
            f"The network is {random}." if random else "",
            self._advice(),
        ]
        return " ".join(filter(None, sentences))

    # Choosing a tile.

    def _clicked(self, x: float, y: float) -> None:
        units = self._plan.units
        index = pictures.tile_at(x, y, len(units), pictures.columns_for(len(units)))
        if index is not None:
            self._guarded(self._choose, units[index])

    def _choose(self, unit: int) -> None:
        if self.unit == unit:
            self._enlarge()
        self.unit = unit

    @traitlets.observe("unit")
    def _unit_changed(self, _change: object) -> None:
        if not self._updating and self.unit is not None:
            self._guarded(self._enlarge)

    def _enlarge(self) -> None:
        assert self.unit is not None
        self.enlarged.begin(*self._large(self.unit))
        self._show_settings()
        if self._last is None:
            return
        self._describe(self._last)
        notes = dict(zip(self._last.units, self._last.notes, strict=False))
        if notes.get(self.unit):
            self._say(f"{self._word} {self._label(self.unit)}: {notes[self.unit]}.")

    # The enlarged tile runs, pauses and stops with the gallery.

    def _enlarged_changed(self) -> None:
        self._show_state()
        if self.enlarged.traceback:
            self.traceback = self.enlarged.traceback

    def _is_busy_beside(self) -> bool:
        return self.enlarged.current.is_busy

    def _begin(self) -> None:
        super()._begin()
        self.enlarged.current.resume()

    def pause(self) -> None:
        """Hold everything after the current step."""
        super().pause()
        self.enlarged.current.pause()

    def resume(self) -> None:
        """Continue with the next step."""
        super().resume()
        self.enlarged.current.resume()

    def stop(self, timeout: float = 5.0) -> None:
        """End the run, and that of the chosen tile too, and keep the last pictures."""
        super().stop(timeout)
        self.enlarged.current.wait(timeout)

    def _stop_soon(self) -> None:
        super()._stop_soon()
        self.enlarged.current.stop()

    # Settings.

    def _check(self, name: str) -> None:
        self._adopt(self._planned())
        self._assign(**self._plan.settings.recorded())

    def _apply(self, name: str) -> None:
        """Begin again if a run is under way; otherwise show what is there already, or invite to Start."""
        self._assign(unit=None)
        self.enlarged.forget()
        again = self.state in BUSY
        self._run.drop()
        self._rest()
        if again:
            self._begin_again()
        else:
            self.state = "idle"
            self._recall()

    def _fill_controls(self) -> None:
        self.controls.show(self._plan, self.unit, self._label)

    def _settings(self) -> tuple[str, dict[str, Any]]:
        plan = self._plan
        height, width = plan.canvas.shape[:2]
        return self._verb, {
            **plan.settings.recorded(),
            "size": height if height == width else [height, width],
            "steps": self._steps_made(),
            "batch": (self._last and self._last.smaller_batch) or plan.batch,
            "columns": pictures.columns_for(len(plan.units)),
        }

    def _steps_made(self) -> int:
        """The steps of what is shown: fewer than were requested during a run, and after Stop."""
        steps: int = self._plan.settings.steps
        if self._last is None or self._last.phase:
            return steps
        return min(steps, -(-self._last.step // len(self._rendered.groups)))

    # Finished pages are kept on disk, so that turning back shows them at once.

    def _key(self, fingerprint: str) -> str:
        """The key of the pictures that Start renders, for a network with this fingerprint."""
        return self._recipe(fingerprint).key()

    def _remember(self, frame: UnitsFrame) -> None:
        cache = Cache.default()
        if cache.folder is None:
            return
        identity = self.net.identity()
        if not identity.is_complete or identity.digest != self._fingerprint_before:
            return  # tomorrow the same key may be of another network, or the weights were changed during the run
        arrays = {"pictures": frame.pictures, "values": frame.values}
        cache.put(self._key(identity.digest), arrays, {"notes": list(frame.notes)})

    def _found(self) -> tuple[UnitsFrame | None, str]:
        """What need not be rendered again, and where it comes from."""
        cache = Cache.default()
        entry = None if cache.folder is None else cache.get(self._key(self.net.fingerprint()))
        if entry is None:
            return None, ""
        plan = self._rendered
        arrays, notes = entry.arrays, tuple(entry.metadata["notes"])
        steps = plan.settings.steps * len(plan.groups)
        frame = UnitsFrame(arrays["pictures"], steps, steps, arrays["values"], notes, plan.units)
        return frame, "From the cache. Start renders it again."

    def _recall(self) -> None:
        frame, origin = self._found()
        if frame is not None:
            self._keep(frame)
            self._show_state()
            self._say(origin)

    def close(self) -> None:
        if self.comm is not None:
            self.enlarged.close()
        super().close()
