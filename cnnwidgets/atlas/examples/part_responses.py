"""Responses of the units of some layers to a few pictures, computed here or on the workers of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnwidgets.atlas.payload import Payload
from cnnwidgets.errors import BadModel, BadPicture, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas
from cnnwidgets.model.tracing.compiled import compiled
from cnnwidgets.model.tracing.cost import STEP_FLOPS, forward_flops
from cnnwidgets.paths import expanded

if TYPE_CHECKING:
    from distributed import Client

PART = 16  # pictures that are read before they go through the network, grouped by size
LARGEST_BATCH = 8
BLOCK = 8  # parts for each worker that are on their way together


@dataclass(frozen=True, eq=False)
class ReadPart:
    """Some neighboring pictures, ready for the network.

    Attributes:
        end: the index of the picture after them.
        fitted: {index: the network's inputs}.
        unreadable: {index: reason}.
    """

    end: int
    fitted: Mapping[int, Sequence[Array]]
    unreadable: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class PartResponses:
    """The responses to some neighboring pictures.

    Attributes:
        end: the index of the picture after them.
        found: {index: {path: the strongest response of each unit, its cell, and whether it is the same everywhere}}.
        unreadable: {index: reason}.
    """

    end: int
    found: Mapping[int, Mapping[str, Sequence[Array]]]
    unreadable: Mapping[int, str]


@dataclass(frozen=True, eq=False)
class PartTask:
    """Some neighboring pictures for a worker.

    Attributes:
        fingerprint: of the network.
        paths: of the layers.
        pictures: their files.
        start: the index of the first one.
    """

    fingerprint: str
    paths: tuple[str, ...]
    pictures: tuple[Any, ...]
    start: int


def read_part(net: Network, pictures: Sequence[Any], start: int) -> ReadPart:
    """Read pictures, the first of which has this index."""
    fitted, unreadable = {}, {}
    for index, picture in enumerate(pictures, start):
        try:
            fitted[index] = net.fitted(net.opened(picture))
        except BadPicture as error:
            unreadable[index] = str(error)
    return ReadPart(start + len(pictures), fitted, unreadable)


def responses_to(net: Network, paths: tuple[str, ...], part: ReadPart) -> PartResponses:
    """The responses to pictures that were read, in batches of equal size."""
    by_size: dict[Any, list[int]] = {}
    for index, arrays in part.fitted.items():
        by_size.setdefault(tuple(array.shape for array in arrays), []).append(index)
    found: dict[int, dict[str, Any]] = {}
    for indices in by_size.values():
        batch = _batch(net, part.fitted[indices[0]])
        for start in range(0, len(indices), batch):
            own = indices[start : start + batch]
            found |= zip(own, _responses(net, paths, [part.fitted[index] for index in own]), strict=True)
    return PartResponses(part.end, found, part.unreadable)


def responses_here(net: Network, paths: tuple[str, ...], pictures: Sequence[Any], done: int) -> Iterator[PartResponses]:
    """The responses to all pictures from this index on; the next ones are read while the network computes."""
    starts = range(done, len(pictures), PART)
    with ThreadPoolExecutor(1, "cnnwidgets-pictures") as reader:
        coming = [reader.submit(read_part, net, pictures[start : start + PART], start) for start in starts[:1]]
        for start in starts:
            part, after = coming.pop().result(), start + PART
            if after < len(pictures):
                coming.append(reader.submit(read_part, net, pictures[after : after + PART], after))
            yield responses_to(net, paths, part)


def responses_on_workers(
    net: Network, paths: tuple[str, ...], pictures: Sequence[Any], done: int, client: Client, payload: Payload
) -> Iterator[PartResponses]:
    """The same from workers, who read the files themselves; what they cannot read or compute is tried here."""
    from cnnwidgets.atlas import cluster, dispatch
    from cnnwidgets.atlas.worker_task import find_responses

    starts = list(range(done, len(pictures), PART))
    with cluster.network_on_workers(client, payload):
        while starts:
            length = BLOCK * max(1, len(client.nthreads()))
            block, starts = starts[:length], starts[length:]
            tasks = [
                PartTask(payload.fingerprint, paths, tuple(map(_whole_path, pictures[start : start + PART])), start)
                for start in block
            ]
            made = {task.start: result for task, result in dispatch.results(client, [tasks], find_responses)}
            for task in tasks:
                result = made[task.start]
                if isinstance(result, dispatch.TaskFailed):
                    result = responses_to(net, paths, read_part(net, task.pictures, task.start))
                yield _with_unreadable_tried(net, paths, pictures, result)


def _with_unreadable_tried(
    net: Network, paths: tuple[str, ...], pictures: Sequence[Any], result: PartResponses
) -> PartResponses:
    """With pictures that a worker could not read read here, where the files may be others' than the worker's."""
    found, unreadable = dict(result.found), dict[int, str]()
    for index in result.unreadable:
        one = responses_to(net, paths, read_part(net, [pictures[index]], index))
        found |= one.found
        unreadable |= one.unreadable
    return PartResponses(result.end, found, unreadable)


def are_files(pictures: Sequence[Any]) -> bool:
    """Whether all pictures are named by their files, so that workers can read them."""
    return all(isinstance(picture, (str, PathLike)) for picture in pictures)


def _whole_path(file: str | PathLike[str]) -> Path:
    """A path that means the same to every process of this machine, and to others with the same disk."""
    try:
        return expanded(file).absolute()
    except (OSError, ValueError):  # a name that no file can have
        return Path(file)


def _batch(net: Network, arrays: Sequence[Array]) -> int:
    which = net.picture_inputs[0]
    cost = forward_flops(net, "", Canvas(arrays[which].shape[1:], which))
    return int(np.clip(STEP_FLOPS // (cost + 1), 1, LARGEST_BATCH))


def _responses(
    net: Network, paths: tuple[str, ...], pictures: Sequence[Sequence[Array]]
) -> Iterator[dict[str, Sequence[Array]]]:
    feed = [tf.constant(np.concatenate(arrays)) for arrays in zip(*pictures, strict=True)]
    net.check_room(feed)
    found = net.traces.get(functools.partial(_graph, net, paths))(feed)
    arrays = [[tensor.numpy() for tensor in one] for one in found]
    for path, (highest, _, _) in zip(paths, arrays, strict=True):
        if not np.isfinite(highest).all():
            raise BadModel(f"The output of the layer {quoted(path)} holds NaN or infinity. {net.why_not_finite()}")
    for row in range(len(pictures)):
        yield {path: [array[row] for array in one] for path, one in zip(paths, arrays, strict=True)}


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
