"""Examples for every unit from the user's own pictures, which stream through the network once."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples import example_store
from cnnwidgets.atlas.examples.example_store import State
from cnnwidgets.atlas.examples.part_responses import PartResponses, are_files, responses_here, responses_on_workers
from cnnwidgets.atlas.examples.patches import cut, patches_in
from cnnwidgets.atlas.examples.responses import Responses
from cnnwidgets.atlas.payload import Payload
from cnnwidgets.errors import BadPicture
from cnnwidgets.model.network import Network
from cnnwidgets.pictures.reading.folders import digest_of, many_pictures, name_of

if TYPE_CHECKING:
    from distributed import Client

INTERVAL = 10.0  # seconds between two states on disk


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
        if self._last_state(group, layers):  # of a call that was stopped while it wrote the examples
            lacking = layers
        state = self._last_state(group, lacking) or State(0, [], Responses.none(_units(lacking)))
        yield from self._look(group, state, lacking)
        if len(state.skipped) == len(self.pictures):
            raise BadPicture(f"None of the {len(self.pictures)} pictures can be read. The first: {state.skipped[0]}")
        about = {
            "digest": self.digest,
            "pictures": len(self.pictures) - len(state.skipped),
            "skipped": state.skipped[: example_store.MOST_SKIPPED],
        }
        first = 0
        with tempfile.TemporaryFile(buffering=0) as file:
            for _ in cut(self.net, self.pictures, lacking, state.responses, file):
                yield self._progress(state)
            for stored in lacking.values():
                own = state.responses.part(first, stored.units)
                example_store.write_examples(group, stored, own, patches_in(file, first, stored.units), about)
                yield self._progress(state)
                first += stored.units
        example_store.forget_states(group)

    def _lacks(self, group: Any, stored: StoredLayer, where: str) -> bool:
        there = example_store.examples_group(group, stored, where)
        return there is None or there.attrs["digest"] != self.digest

    def _progress(self, state: State) -> Looked:
        return Looked(state.done, len(self.pictures), len(state.skipped))

    def _last_state(self, group: Any, layers: dict[str, StoredLayer]) -> State | None:
        return example_store.last_state(group, self._name(layers), _units(layers))

    def _name(self, layers: dict[str, StoredLayer]) -> str:
        return f"{self.digest} {' '.join(stored.slug for stored in layers.values())}"

    def _look(self, group: Any, state: State, layers: dict[str, StoredLayer]) -> Iterator[Looked]:
        name, saved, number = self._name(layers), time.monotonic(), 0
        try:
            for part in self._parts(state, tuple(layers)):
                self._add(state, part)
                if time.monotonic() - saved >= INTERVAL:
                    example_store.save_state(group, state, name, number)
                    saved, number = time.monotonic(), number + 1
                yield self._progress(state)
        finally:
            example_store.save_state(group, state, name, number)

    def _parts(self, state: State, paths: tuple[str, ...]) -> Iterator[PartResponses]:
        given = self.net, paths, self.pictures, state.done, state.responses.worst
        if self.client is None or self.payload is None or not are_files(self.pictures):
            return responses_here(*given)
        return responses_on_workers(*given, self.client, self.payload)

    def _add(self, state: State, part: PartResponses) -> None:
        """Add the responses to the next pictures."""
        state.responses.add(part.pictures, part.highest, part.rows, part.units, part.cells)
        state.skipped += [
            f"{name_of(self.pictures[index], index)}: {reason}"[: example_store.LONGEST]
            for index, reason in part.unreadable.items()
        ]
        state.done = part.end


def _units(layers: dict[str, StoredLayer]) -> int:
    return sum(stored.units for stored in layers.values())
