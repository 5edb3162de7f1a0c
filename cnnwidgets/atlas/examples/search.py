"""Examples for every unit from the user's own pictures, which stream through the network once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples import example_store
from cnnwidgets.atlas.examples.example_store import SIDE, State
from cnnwidgets.atlas.examples.part_responses import PartResponses, are_files, responses_here, responses_on_workers
from cnnwidgets.atlas.examples.responses import NOBODY, STRONGEST, Responses
from cnnwidgets.atlas.examples.seen_part import seen_part
from cnnwidgets.atlas.payload import Payload
from cnnwidgets.errors import BadPicture
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.network import Network
from cnnwidgets.pictures import displayable, to_uint8
from cnnwidgets.pictures.reading.folders import digest_of, many_pictures, name_of

if TYPE_CHECKING:
    from distributed import Client

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
        client: of a cluster whose workers read the files and run the network; `None` for this process.
        payload: the network as data for the workers.
    """

    net: Network
    pictures: Sequence[Any]
    digest: str
    client: Client | None = None
    payload: Payload | None = None

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
            for part in self._parts(tuple(state.responses), state.done):
                self._add(state, part)
                if time.monotonic() - saved >= INTERVAL:
                    example_store.save_state(group, state, name, number)
                    saved, number = time.monotonic(), number + 1
                yield self._progress(state)
        finally:
            example_store.save_state(group, state, name, number)

    def _parts(self, paths: tuple[str, ...], done: int) -> Iterator[PartResponses]:
        if self.client is None or self.payload is None or not are_files(self.pictures):
            return responses_here(self.net, paths, self.pictures, done)
        return responses_on_workers(self.net, paths, self.pictures, done, self.client, self.payload)

    def _add(self, state: State, part: PartResponses) -> None:
        """Add the responses to the next pictures."""
        for index in sorted(part.found):
            for path, one in part.found[index].items():
                state.responses[path].add(index, *one)
        state.skipped += [
            f"{name_of(self.pictures[index], index)}: {reason}"[: example_store.LONGEST]
            for index, reason in part.unreadable.items()
        ]
        state.done = part.end

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
