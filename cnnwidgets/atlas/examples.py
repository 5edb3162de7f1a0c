"""Examples for every unit from the user's own pictures, which stream through the network once."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.atlas import example_store
from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.example_store import SIDE, State
from cnnwidgets.atlas.responses import NOBODY, STRONGEST, Responses
from cnnwidgets.atlas.seen_part import seen_part
from cnnwidgets.errors import BadModel, BadPicture, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.cost import STEP_FLOPS, forward_flops
from cnnwidgets.pictures import displayable, to_uint8
from cnnwidgets.pictures.reading.folders import digest_of, many_pictures, name_of

PART = 16  # pictures that are read before they go through the network, grouped by size
LARGEST_BATCH = 8
INTERVAL = 10.0  # seconds between two states on disk
MEMORY = 96 * 2**20  # bytes of patches that are cut at once


@dataclass(frozen=True)
class Looked:
    """Progress of a search for examples.

    Attributes:
        done: pictures that were looked at.
        total: all of them.
        skipped: those that could not be read.
    """

    done: int
    total: int
    skipped: int


@dataclass(frozen=True, eq=False)
class ExampleSearch:
    """A checked search for examples.

    Attributes:
        net: the network.
        pictures: not yet read.
        digest: stands for the pictures.
    """

    net: Network
    pictures: Sequence[Any]
    digest: str

    @classmethod
    def checked(cls, net: Network, pictures: object) -> ExampleSearch:
        """A search in a folder, list or array of pictures.

        Raises:
            BadPicture: for a folder or list without any.
        """
        every = many_pictures(pictures)
        return cls(net, every, digest_of(every))

    def frames(self, group: Any, layers: dict[str, StoredLayer], where: str) -> Iterator[Looked]:
        """Look at all pictures that the last, interrupted call did not; yields where it can be stopped.

        Args:
            group: of the atlas, open for writing.
            layers: the array of each layer, by its path in the network.
            where: for messages.
        """
        lacking = {path: stored for path, stored in layers.items() if self._lacks(group, stored, where)}
        if not lacking:
            return
        units = {path: stored.units for path, stored in lacking.items()}
        name = f"{self.digest} {' '.join(sorted(stored.slug for stored in lacking.values()))}"
        state = example_store.last_state(group, name, units)
        if state is None:
            state = State(0, [], {path: Responses.none(count) for path, count in units.items()})
        yield from self._look(group, state, name)
        if len(state.skipped) == len(self.pictures):
            raise BadPicture(f"None of the {len(self.pictures)} pictures can be read. The first: {state.skipped[0]}")
        for paths in _parts(units):
            patches = self._patches(state, paths)
            for path in paths:
                about = {
                    "digest": self.digest,
                    "pictures": len(self.pictures) - len(state.skipped),
                    "skipped": state.skipped[: example_store.MOST_SKIPPED],
                }
                example_store.write_examples(group, lacking[path], state.responses[path], patches[path], about)
            yield self._progress(state)
        example_store.forget_states(group)

    def _lacks(self, group: Any, stored: StoredLayer, where: str) -> bool:
        there = example_store.layer_examples(group, stored, where)
        return there is None or there.attrs["digest"] != self.digest

    def _progress(self, state: State) -> Looked:
        return Looked(state.done, len(self.pictures), len(state.skipped))

    def _look(self, group: Any, state: State, name: str) -> Iterator[Looked]:
        saved, number = time.monotonic(), 0
        try:
            while state.done < len(self.pictures):
                self._add_part(state)
                if time.monotonic() - saved >= INTERVAL:
                    example_store.save_state(group, state, name, number)
                    saved, number = time.monotonic(), number + 1
                yield self._progress(state)
        finally:
            example_store.save_state(group, state, name, number)

    def _add_part(self, state: State) -> None:
        """The next pictures, through the network; the state changes only when all of them are there."""
        end = min(state.done + PART, len(self.pictures))
        fitted, skipped = {}, []
        for index in range(state.done, end):
            try:
                fitted[index] = self.net.fitted(self.net.opened(self.pictures[index]))
            except BadPicture as error:
                skipped.append(f"{name_of(self.pictures[index], index)}: {error}"[: example_store.LONGEST])
        by_size: dict[Any, list[int]] = {}
        for index, arrays in fitted.items():
            by_size.setdefault(tuple(array.shape for array in arrays), []).append(index)
        found: dict[int, dict[str, Any]] = {}
        for indices in by_size.values():
            batch = self._batch(fitted[indices[0]])
            for start in range(0, len(indices), batch):
                part = indices[start : start + batch]
                found |= dict(
                    zip(part, self._responses(tuple(state.responses), [fitted[i] for i in part]), strict=True)
                )
        for index in sorted(found):
            for path, one in found[index].items():
                state.responses[path].add(index, *one)
        state.skipped += skipped
        state.done = end

    def _batch(self, arrays: Sequence[Array]) -> int:
        which = self.net.picture_inputs[0]
        cost = forward_flops(self.net, "", Canvas(arrays[which].shape[1:], which))
        return int(np.clip(STEP_FLOPS // (cost + 1), 1, LARGEST_BATCH))

    def _responses(self, paths: tuple[str, ...], pictures: Sequence[Sequence[Array]]) -> Iterator[dict[str, Any]]:
        """For each picture and layer: the strongest response of each unit, its cell, and whether it stands out."""
        feed = [tf.constant(np.concatenate(arrays)) for arrays in zip(*pictures, strict=True)]
        self.net.check_room(feed)
        found = self.net.traces.get(functools.partial(_graph, self.net, paths))(feed)
        arrays = [[tensor.numpy() for tensor in one] for one in found]
        for path, (highest, _, _) in zip(paths, arrays, strict=True):
            if not np.isfinite(highest).all():
                raise BadModel(
                    f"The output of the layer {quoted(path)} holds NaN or infinity. {self.net.why_not_finite()}"
                )
        for row in range(len(pictures)):
            yield {path: [array[row] for array in one] for path, one in zip(paths, arrays, strict=True)}

    def _patches(self, state: State, paths: Sequence[str]) -> dict[str, NDArray[np.uint8]]:
        """[units, STRONGEST, SIDE, SIDE, 3] of each layer; each picture is read once for all of them."""
        made = {
            path: np.zeros((len(state.responses[path].values), STRONGEST, SIDE, SIDE, 3), np.uint8) for path in paths
        }
        parts = {path: seen_part(self.net, path) for path in paths}
        wanted = {path: _by_picture(state.responses[path].pictures) for path in paths}
        which = self.net.picture_inputs[0]
        for picture in sorted(set().union(*wanted.values())):
            opened = self.net.opened(self.pictures[picture])
            fed = self.net.fitted(opened)[which].shape[1:3]
            shown = Image.fromarray(to_uint8(displayable(opened[which])))
            for path in paths:
                for unit, rank in wanted[path].get(picture, ()):
                    cell = state.responses[path].cells[unit, rank].tolist()
                    box = parts[path].square(cell, fed, opened[which].shape[:2])
                    made[path][unit, rank] = _cut(shown, box)
        return made


def _by_picture(pictures: NDArray[np.int32]) -> dict[int, NDArray[Any]]:
    """The (unit, rank) pairs [n, 2] of each picture that is among the strongest."""
    order = np.argsort(pictures, None, kind="stable")
    numbers, starts = np.unique(pictures.ravel()[order], return_index=True)
    pairs = np.split(np.stack(np.unravel_index(order, pictures.shape), 1), starts[1:])
    return {int(number): own for number, own in zip(numbers, pairs, strict=True) if number != NOBODY}


def _graph(net: Network, paths: tuple[str, ...]) -> Any:
    """`f(feed)`: for each layer the strongest response [N, units], its cell [N, units, 2], and whether it is flat."""

    def run(feed: Any) -> Any:
        with net.record(paths, until=[(path, 0) for path in paths]) as recording:
            net.call(feed)
        return [_strongest(recording.activation(path)) for path in paths]

    return compiled(run).get_concrete_function([tf.TensorSpec([None, *info.fed_shape]) for info in net.inputs])


def _strongest(activation: Any) -> tuple[Any, Any, Any]:
    """The first row with the highest number, then the column in it: one argmax over all positions would take longer."""
    if activation.shape.rank != 4:  # tokens, or no positions at all, become one row
        activation = tf.reshape(activation, [tf.shape(activation)[0], 1, -1, activation.shape[-1]])
    count, height, width, units = tf.unstack(tf.shape(activation))
    along_rows = tf.reduce_max(activation, 2)  # [N, h, k]
    rows = tf.argmax(along_rows, 1, tf.int32)  # [N, k]
    where = tf.meshgrid(tf.range(count), tf.range(width), tf.range(units), indexing="ij")  # [N, w, k] each
    line = tf.gather_nd(activation, tf.stack([where[0], tf.repeat(rows[:, None], width, 1), *where[1:]], -1))
    cells = tf.stack([rows, tf.argmax(line, 1, tf.int32)], -1)
    highest, lowest = tf.reduce_max(along_rows, 1), tf.reduce_min(activation, [1, 2])
    return highest, cells, (highest <= lowest) & (height * width > 1)


def _cut(picture: Image.Image, box: Box) -> NDArray[np.uint8]:
    top, left, bottom, right = box
    return np.asarray(picture.crop((left, top, right, bottom)).resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def _parts(units: dict[str, int]) -> Iterator[list[str]]:
    """The layers, as many together as their patches fit into MEMORY."""
    part: list[str] = []
    size = 0
    for path, count in units.items():
        own = count * STRONGEST * SIDE * SIDE * 3
        if part and size + own > MEMORY:
            yield part
            part, size = [], 0
        part.append(path)
        size += own
    yield part
