"""A Snapshot of a network during training, and the bounded list that a recorder keeps of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from cnnwidgets.explain.heatmap import Heatmap
from cnnwidgets.frame import Array
from cnnwidgets.pictures import mosaic
from cnnwidgets.training.curves import Thinned

MOST_BYTES = 512 * 2**20  # of all snapshots together
NOTHING = np.zeros((0, 1, 1, 3), np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class Snapshot:
    """A network at one moment of its training.

    Attributes:
        epoch: completed epochs, as Keras counts them; 0 before the first.
        batch: completed batches, over all epochs; 0 before the first.
        logs: loss and metrics as `fit` reports them; empty before the first batch.
        pictures: [n, H, W, C] float32 0..1, of each unit, from the same noise in every snapshot; n is 0 where they
            could not be made, and `note` says why.
        maps: feature maps of the probe picture, float32 [h, w, units] by path; empty without one.
        heat: a Heatmap of the probe picture for each call of the layer; empty without one.
        note: "" or what could not be recorded, and why.
        layer: the path of the units' layer.
        units: the unit of each picture.
        values: [n], the activation that each picture reaches.
        notes: for each unit "" or what is wrong: "never fires: ...".
        probe: the probe pictures [H, W, C] float32 0..1, by the name of their input.
    """

    epoch: int
    batch: int
    logs: Mapping[str, float] = field(default_factory=dict)
    pictures: Array = field(default_factory=lambda: NOTHING)
    maps: Mapping[str, Array] = field(default_factory=dict)
    heat: Sequence[Heatmap] = ()
    note: str = ""
    layer: str = ""
    units: tuple[int, ...] = ()
    values: Array = field(default_factory=lambda: np.zeros(0, np.float32))
    notes: tuple[str, ...] = ()
    probe: Mapping[str, Array] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """The memory of its arrays; the probe is shared by all snapshots and not counted."""
        heat = (array for one in self.heat for array in (one.map, one.raw))
        return sum(array.nbytes for array in (self.pictures, self.values, *self.maps.values(), *heat))

    def mosaic(self) -> Array:
        """The pictures of its units as tiles of one picture, [H, W, C]."""
        return mosaic(self.pictures)

    def __repr__(self) -> str:
        logs = "".join(f", {name} {value:.4g}" for name, value in self.logs.items())
        note = f", note {self.note.partition(':')[0]!r}" if self.note else ""
        return f"Snapshot(epoch {self.epoch}, batch {self.batch}{logs}, {len(self.pictures)} pictures{note})"


class Kept(Thinned[Snapshot]):
    """Snapshots, thinned out evenly where there are more than `keep`, or where they take too much memory."""

    def is_full(self) -> bool:
        """Whether there are too many, or too large ones."""
        return super().is_full() or sum(snapshot.nbytes for snapshot in self.all()) > MOST_BYTES
