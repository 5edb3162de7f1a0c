"""Many pictures optimized together, in batches of one fixed shape, so that none depends on its neighbors."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnwidgets.frame import Array, Frame
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.cost import SIDE_BY_SIDE
from cnnwidgets.model.unlocked_property import unlocked_property
from cnnwidgets.visualize.ascent import maximize
from cnnwidgets.visualize.gradient_step import Ascent
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms.objective_values import random_note

if TYPE_CHECKING:
    from cnnwidgets.visualize.dead_units.retries import LabeledUnits


@dataclass(frozen=True)
class UnitPictures:
    """Pictures of units or classes.

    Attributes:
        pictures: [n, H, W, C] float32, 0..1.
        units: the unit (or class) of each.
        values: [n], the objective that each picture reaches.
        notes: for each "" or what is wrong: "never fires: weights ~0, bias -1.8".
    """

    pictures: Array
    units: tuple[int, ...]
    values: Array
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        noted = sum(bool(note) for note in self.notes)
        return f"UnitPictures({len(self.units)} pictures {self.pictures.shape[1:]}, {noted} with a note)"


@dataclass(frozen=True, eq=False, repr=False)
class UnitsFrame(Frame):
    """A Frame of units, and what the verb would return if the run ended here.

    Attributes:
        units: the unit of each picture.
        phase: what is done after the steps of all units, such as "retrying 2 inactive units"; "" during the steps.
        smaller_batch: the batch of a second attempt after the usual one ran out of memory, which gives other bytes;
            else 0.
    """

    units: tuple[int, ...] = ()
    phase: str = ""
    smaller_batch: int = 0

    def result(self) -> UnitPictures:
        """The pictures so far."""
        return UnitPictures(self.pictures, self.units, self.values, self.notes or ("",) * len(self.units))


@dataclass(frozen=True, eq=False)
class Tiles(abc.ABC):
    """A checked request for many pictures, before it starts.

    Attributes:
        settings: those of the verb, each in its range, with `steps`, `recipe` and `seed`.
        net: the network.
        units: the unit, or class, of each picture.
        canvas: the input that is optimized.
        ascent: how they are optimized.
        batch: how many pictures are computed as one; SIDE_BY_SIDE such batches share a device call.
    """

    settings: Any
    net: Network
    units: tuple[int, ...]
    canvas: Canvas
    ascent: Ascent
    batch: int

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """The units that are optimized side by side: so many batches of one fixed length, and fewer at the end.

        The last batch is padded with its own last unit, since another shape changes pixels.
        """
        most = SIDE_BY_SIDE * self.batch
        parts = [self.units[start : start + most] for start in range(0, len(self.units), most)]
        return tuple(part + part[-1:] * (-len(part) % self.batch) for part in parts)

    @abc.abstractmethod
    def objective(self, units: Sequence[int]) -> Objective:
        """What pictures of these units maximize."""

    @unlocked_property
    def random_note(self) -> str:
        """A note on a network that draws random numbers on the way to the units; "" for any other."""
        return random_note(self.net, self.objective(self.units[:1]))

    @abc.abstractmethod
    def whole_run(self) -> Iterator[UnitsFrame]:
        """The run at this batch; its last frame carries the notes."""

    def frames(self) -> Iterator[UnitsFrame]:
        """The run; after running out of memory once more at half the batch, which every frame then shows."""
        try:
            yield from self.whole_run()
            return
        except (tf.errors.ResourceExhaustedError, MemoryError):
            if self.batch == 1:
                raise
        smaller = replace(self, batch=self.batch // 2)  # here, where what the first attempt held is free
        for frame in smaller.whole_run():
            yield replace(frame, smaller_batch=smaller.batch)


def optimize(tiles: Tiles) -> Iterator[UnitsFrame]:
    """Optimize all batches, two at a time, a step each in turn, and yield all pictures after each."""
    groups, steps, seed = tiles.groups, tiles.settings.steps, tiles.settings.seed
    runs = [
        maximize(tiles.net, tiles.objective(units), tiles.canvas, steps, tiles.ascent, seed, batch=tiles.batch)
        for units in groups
    ]
    newest: list[Frame | None] = [None] * len(runs)
    count, total = len(tiles.units), steps * len(runs)

    def frame(step: int) -> UnitsFrame:
        frames = tuple(zip(newest, map(len, groups), strict=True))

        def pictures() -> Array:
            blank = np.float32(0.5)
            shape = tiles.canvas.shape
            return np.concatenate([f.pictures if f else np.full((n, *shape), blank) for f, n in frames])[:count]

        values = np.concatenate([f.values if f else np.full(n, np.nan, np.float32) for f, n in frames])
        return UnitsFrame(pictures, step, total, values[:count], units=tiles.units)

    for step in range(total):
        newest[step % len(runs)] = next(runs[step % len(runs)])
        yield frame(step + 1)


def optimize_and_retry(tiles: Tiles, ended: Callable[[UnitsFrame], LabeledUnits]) -> Iterator[UnitsFrame]:
    """Optimize all batches, then retry some units.

    Args:
        tiles: the request.
        ended: takes the last frame of the steps and gives what follows them.

    Yields:
        UnitsFrame: those of the steps but the last, one for each step of a retry, and the last one of all.
    """
    for frame in optimize(tiles):
        if frame.step < frame.steps:
            yield frame
    ending = ended(frame)
    retries, step, total = ending.retries, frame.step, frame.steps + ending.retries.most_steps
    for attempt in retries.attempts():
        for tried in attempt:
            is_over = tried.step in retries.checks and retries.is_over(tried)
            yield UnitsFrame(
                frame.pictures, step, total, frame.values, units=tiles.units, phase=retries.phase, is_step=False
            )
            step += 1
            if is_over:
                break
    yield ending.last_frame(total)
