"""Responses of the units of some layers to a few pictures, computed here or on the workers of a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
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
LARGEST_BATCH = 16
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
    """The responses to some neighboring pictures; units are those of all layers, one layer after the other.

    Attributes:
        end: the index of the picture after them.
        unreadable: {index: reason}.
        pictures: [n] int32, the indices of the others, ascending.
        highest: [n, units] float32, the strongest response of each unit to each of these.
        rows: [m], the rows of `highest` with a response that may be among the strongest.
        units: [m], its unit.
        cells: [m, 2] int32, its cell on the layer's map.
    """

    end: int
    unreadable: Mapping[int, str]
    pictures: Array
    highest: Array
    rows: Array
    units: Array
    cells: Array

    @classmethod
    def of(
        cls, part: ReadPart, indices: Sequence[int], batches: Sequence[Sequence[Array]], units: int
    ) -> PartResponses:
        """Those of a part, from what `_responses` gives for its batches, whose pictures have these indices."""
        none = [
            np.zeros((0, units), np.float32),
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            np.zeros((0, 2), np.int32),
        ]
        counts = [0, *(len(batch[0]) for batch in batches)]
        highest, rows, own, cells = (
            np.concatenate([first, *more]) for first, *more in zip(none, *batches, strict=True)
        )
        rows += np.repeat(np.cumsum(counts)[:-1].astype(np.int32), [len(batch[1]) for batch in batches])
        order = np.argsort(indices)
        pictures = np.asarray(indices, np.int32)[order]
        return cls(part.end, part.unreadable, pictures, highest[order], np.argsort(order)[rows], own, cells)


@dataclass(frozen=True, eq=False)
class PartTask:
    """Some neighboring pictures for a worker.

    Attributes:
        fingerprint: of the network.
        paths: of the layers.
        pictures: their files.
        start: the index of the first one.
        worst: [units of all layers], as of `Responses.worst`.
    """

    fingerprint: str
    paths: tuple[str, ...]
    pictures: tuple[Any, ...]
    start: int
    worst: Array


def read_part(net: Network, pictures: Sequence[Any], start: int) -> ReadPart:
    """Read pictures, the first of which has this index."""
    fitted, unreadable = {}, {}
    for index, picture in enumerate(pictures, start):
        try:
            fitted[index] = net.fitted(net.opened(picture))
        except BadPicture as error:
            unreadable[index] = str(error)
    return ReadPart(start + len(pictures), fitted, unreadable)


def responses_to(net: Network, paths: tuple[str, ...], part: ReadPart, worst: Array) -> PartResponses:
    """The responses to pictures that were read, in batches of equal size.

    Args:
        net: the network.
        paths: of the layers.
        part: the pictures.
        worst: [units of all layers], what a response must exceed to be among the strongest.
    """
    by_size: dict[Any, list[int]] = {}
    for index, arrays in part.fitted.items():
        by_size.setdefault(tuple(array.shape for array in arrays), []).append(index)
    made = []
    for indices in by_size.values():
        # The first pictures are among the strongest of nearly every unit, so few of these are searched together.
        batch = min(_batch(net, part.fitted[indices[0]]), max(1, 2 ** min(part.end // PART, 8) // 2))
        for start in range(0, len(indices), batch):
            made.append(_responses(net, paths, [part.fitted[index] for index in indices[start : start + batch]], worst))
    order = [index for indices in by_size.values() for index in indices]
    return PartResponses.of(part, order, made, len(worst))


def responses_here(
    net: Network, paths: tuple[str, ...], pictures: Sequence[Any], done: int, worst: Callable[[], Array]
) -> Iterator[PartResponses]:
    """The responses to all pictures from this index on; the next ones are read while the network computes."""
    starts = range(done, len(pictures), PART)
    with ThreadPoolExecutor(1, "cnnwidgets-pictures") as reader:
        coming = [reader.submit(read_part, net, pictures[start : start + PART], start) for start in starts[:1]]
        for start in starts:
            part, after = coming.pop().result(), start + PART
            if after < len(pictures):
                coming.append(reader.submit(read_part, net, pictures[after : after + PART], after))
            yield responses_to(net, paths, part, worst())


def responses_on_workers(
    net: Network,
    paths: tuple[str, ...],
    pictures: Sequence[Any],
    done: int,
    worst: Callable[[], Array],
    client: Client,
    payload: Payload,
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
                PartTask(
                    payload.fingerprint, paths, tuple(map(_whole_path, pictures[start : start + PART])), start, worst()
                )
                for start in block
            ]
            made = {task.start: result for task, result in dispatch.results(client, [tasks], find_responses)}
            for task in tasks:
                result = made[task.start]
                if isinstance(result, dispatch.TaskFailed):
                    result = responses_to(net, paths, read_part(net, task.pictures, task.start), task.worst)
                yield _with_unreadable_tried(net, paths, pictures, result, task.worst)


def _with_unreadable_tried(
    net: Network, paths: tuple[str, ...], pictures: Sequence[Any], result: PartResponses, worst: Array
) -> PartResponses:
    """With pictures that a worker could not read read here, where the files may be others' than the worker's."""
    if not result.unreadable:
        return result
    read = [read_part(net, [pictures[index]], index) for index in result.unreadable]
    part = ReadPart(
        result.end,
        {index: arrays for one in read for index, arrays in one.fitted.items()},
        {index: reason for one in read for index, reason in one.unreadable.items()},
    )
    both = result, responses_to(net, paths, part, worst)
    indices = [index for one in both for index in one.pictures.tolist()]
    return PartResponses.of(part, indices, [[one.highest, one.rows, one.units, one.cells] for one in both], len(worst))


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
    if not net.takes_batches:
        return 1
    which = net.picture_inputs[0]
    cost = forward_flops(net, "", Canvas(arrays[which].shape[1:], which))
    return int(np.clip(STEP_FLOPS // (cost + 1), 1, LARGEST_BATCH))


def _responses(net: Network, paths: tuple[str, ...], pictures: Sequence[Sequence[Array]], worst: Array) -> list[Array]:
    """The `highest`, `rows`, `units` and `cells` of a PartResponses for some pictures of equal size."""
    feed = [tf.constant(np.concatenate(arrays)) for arrays in zip(*pictures, strict=True)]
    net.check_room(feed)
    found = net.traces.get(functools.partial(_graph, net, paths))(feed, tf.constant(worst))
    highest, *chosen = [tensor.numpy() for tensor in found]
    ends = np.cumsum([net.layer(path).units for path in paths])
    for path, own in zip(paths, np.split(highest, ends[:-1], 1), strict=True):
        if not np.isfinite(own).all():
            raise BadModel(f"The output of the layer {quoted(path)} holds NaN or infinity. {net.why_not_finite()}")
        if not own.any() and net.spoiled_weights():  # the fast ReLU of some devices makes 0 of NaN
            raise BadModel(f"The output of the layer {quoted(path)} is zero everywhere. {net.why_not_finite()}")
    return [highest, *chosen]


def _graph(net: Network, paths: tuple[str, ...]) -> Any:
    """`f(feed, worst)`: `highest`, `rows`, `units` and `cells` of a PartResponses."""

    def run(feed: Any, worst: Any) -> Any:
        with net.record(paths, until=[(path, 0) for path in paths]) as recording:
            net.call(feed)
        found, first = [], 0
        for path in paths:
            activation = recording.activation(path)
            end = first + activation.shape[-1]
            found.append(_strongest(activation, worst[first:end], first))
            first = end
        highest, *chosen = zip(*found, strict=True)
        return [tf.concat(highest, 1), *(tf.concat(one, 0) for one in chosen)]

    feed = [tf.TensorSpec([None, *info.fed_shape]) for info in net.inputs]
    return compiled(run).get_concrete_function(feed, tf.TensorSpec([None]))


def _strongest(activation: Any, worst: Any, first: int) -> tuple[Any, Any, Any, Any]:
    """What `_graph` gives for one layer, whose units are numbered from `first` on.

    Only maps with a response that may be among the strongest are searched for its cell: after some hundred pictures
    these are few, and a search of all maps would take half as long as the network itself.
    """
    if activation.shape.rank != 4:  # tokens, or no positions at all, become one row
        activation = tf.reshape(activation, [tf.shape(activation)[0], 1, -1, activation.shape[-1]])
    _, height, width, units = tf.unstack(tf.shape(activation))
    highest = tf.reduce_max(activation, [1, 2])  # [N, k]
    rows, own = tf.unstack(tf.cast(tf.where(highest > worst), tf.int32), axis=1)  # [m] each
    starts = rows * (height * width * units) + own
    maps = tf.gather(tf.reshape(activation, [-1]), starts[:, None] + tf.range(height * width) * units)  # [m, h * w]
    cell = tf.argmax(maps, 1, tf.int32)  # of several the first
    cells = tf.stack([cell // width, cell % width], 1)
    stands_out = (tf.reduce_min(maps, 1) < tf.reduce_max(maps, 1)) | (height * width == 1)
    return highest, *(tf.boolean_mask(one, stands_out) for one in (rows, own + first, cells))
