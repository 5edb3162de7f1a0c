"""Examples of an atlas in its Zarr group: strongest patches and a histogram for each unit; the state of a search."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples.responses import BINS, LEAST, STRONGEST, Responses, digest_of, from_bytes, histogram
from cnnwidgets.atlas.store import damaged
from cnnwidgets.errors import BadTarget, quoted

GROUP, STATE = "examples", "examples-state"
SIDE = 48  # pixels of a patch
UNITS = 16  # of a chunk
MOST_SKIPPED, LONGEST = 1_000, 200  # names that are kept, and characters of each


@dataclass(eq=False)
class State:
    """A search for examples, as far as it is done.

    Attributes:
        done: pictures that were looked at, in their order.
        skipped: names and reasons of those that could not be read.
        responses: of the units of all layers, one layer after the other.
    """

    done: int
    skipped: list[str]
    responses: Responses

    def to_bytes(self, digest: str) -> bytes:
        """The state of the search that this digest stands for."""
        head = json.dumps({"digest": digest, "done": self.done, "skipped": self.skipped}).encode()
        content = len(head).to_bytes(8, "little") + head + self.responses.to_bytes()
        return digest_of(content) + content


def state_from(data: bytes, digest: str, units: int) -> State | None:
    """What `to_bytes` wrote, for so many units; `None` for anything else."""
    check, content = data[:32], data[32:]
    if check != digest_of(content):
        return None
    length = int.from_bytes(content[:8], "little")
    head, body = json.loads(content[8 : 8 + length]), content[8 + length :]
    if head["digest"] != digest:
        return None
    return State(int(head["done"]), list(head["skipped"]), from_bytes(body, units)[0])


def save_state(group: Any, state: State, digest: str, number: int) -> None:
    """Write a state beside the last one, so that a kill leaves one of them whole."""
    data = np.frombuffer(state.to_bytes(digest), np.uint8)
    array = group.create_array(
        f"{STATE}-{number % 2}", shape=data.shape, chunks=data.shape, dtype="uint8", compressors=None, overwrite=True
    )
    array[:] = data


def last_state(group: Any, digest: str, units: int) -> State | None:
    """The state that got furthest, of the search that this digest stands for."""
    found = []
    for number in (0, 1):
        try:
            data = np.asarray(group[f"{STATE}-{number}"][:], np.uint8).tobytes()
            found.append(state_from(data, digest, units))
        except Exception:  # Zarr can raise anything for a file that was cut off, and json and numpy for its content
            continue
    return max((state for state in found if state), key=lambda state: state.done, default=None)


def forget_states(group: Any) -> None:
    """Delete what a finished search does not need any more."""
    for number in (0, 1):
        if f"{STATE}-{number}" in group:
            del group[f"{STATE}-{number}"]


def write_examples(
    group: Any, stored: StoredLayer, responses: Responses, patches: NDArray[np.uint8], about: dict[str, Any]
) -> None:
    """Write the examples of a layer; its attributes, which mark them as complete, come last."""
    layer = group.require_group(GROUP).create_group(stored.slug, overwrite=True)
    for name, data in _arrays(responses, patches).items():
        chunks = (min(UNITS, stored.units), *data.shape[1:])
        array = layer.create_array(name, shape=data.shape, chunks=chunks, dtype=data.dtype, compressors=None)
        array[:] = data
    layer.update_attributes(about)


def _arrays(responses: Responses, patches: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    return {
        "patches": patches,
        "values": responses.values,
        "counts": responses.counts,
        "exponents": responses.exponents,
    }


def _like(units: int) -> dict[str, tuple[tuple[int, ...], str]]:
    return {
        "patches": ((units, STRONGEST, SIDE, SIDE, 3), "uint8"),
        "values": ((units, STRONGEST), "float32"),
        "counts": ((units, BINS), "int64"),
        "exponents": ((units,), "int32"),
    }


def examples_group(group: Any, stored: StoredLayer, where: str) -> Any:
    """The group of a layer's examples, whose arrays are checked; `None` where there are none, or not yet.

    Raises:
        BadTarget: for arrays that we do not write.
    """
    if f"{GROUP}/{stored.slug}" not in group:
        return None
    try:
        layer = group[f"{GROUP}/{stored.slug}"]
        if "digest" not in layer.attrs:
            return None
        is_ours = all(_is_ours(layer[name], *like) for name, like in _like(stored.units).items())
    except Exception as error:  # Zarr can raise anything for a file that others wrote
        raise damaged(where, stored.path, f"its examples cannot be read ({type(error).__name__})") from error
    if not is_ours:
        raise damaged(where, stored.path, "its examples do not have the shape and codec of an atlas")
    return layer


def _is_ours(array: Any, shape: tuple[int, ...], dtype: str) -> bool:
    return (
        tuple(array.shape) == shape
        and tuple(array.chunks) == (min(UNITS, shape[0]), *shape[1:])
        and str(array.dtype) == dtype
        and [type(codec).__name__ for codec in array.metadata.codecs] == ["BytesCodec"]
        and not array.metadata.storage_transformers
    )


def no_examples(where: str, path: str) -> BadTarget:
    """The refusal where an atlas was rendered without pictures."""
    return BadTarget(
        f"The atlas {quoted(where)} has no examples for {quoted(path)}. "
        "Render it once more with your own pictures: cw.render_atlas(net, path, pictures=folder)."
    )


class LayerExamples:
    """Reads units whose indices ascend, all at once: a page of an atlas shows many.

    Args:
        where: the address of the atlas.
        path: of the layer.
        group: its checked arrays, from `examples_group`.
    """

    def __init__(self, where: str, path: str, group: Any) -> None:
        self._where, self._path, self._group = where, path, group

    @property
    def skipped(self) -> list[str]:
        """The pictures that could not be read, each with the reason."""
        return list(map(str, self._group.attrs.get("skipped", ())))

    def values(self, units: Sequence[int]) -> NDArray[np.float32]:
        """[units, STRONGEST], the strongest first; NaN where there is none."""
        return self._read("values", units)

    def patches(self, units: Sequence[int]) -> list[NDArray[np.uint8]]:
        """For each unit [n, h, w, 3], the strongest first."""
        counts = np.isfinite(self.values(units)).sum(1)
        return [own[:count] for own, count in zip(self._read("patches", units), counts, strict=True)]

    def histograms(self, units: Sequence[int]) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """For each unit (counts [n], edges [n + 1])."""
        exponents = np.clip(self._read("exponents", units), LEAST, -LEAST * 3).tolist()
        return list(map(histogram, self._read("counts", units), exponents))

    def _read(self, name: str, units: Sequence[int]) -> NDArray[Any]:
        array = self._group[name]
        if not units:
            return np.zeros((0, *array.shape[1:]), array.dtype)
        try:
            return np.asarray(array[units[0] : units[-1] + 1])[[unit - units[0] for unit in units]]
        except Exception as error:  # Zarr can raise anything for a file that others wrote
            raise damaged(self._where, self._path, type(error).__name__) from error
