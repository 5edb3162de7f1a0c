"""Patches of the strongest responses of all layers, cut out of pictures that are opened once, into a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cnnwidgets.atlas.attributes import StoredLayer
from cnnwidgets.atlas.examples.example_store import SIDE
from cnnwidgets.atlas.examples.responses import NOBODY, STRONGEST, Responses
from cnnwidgets.atlas.examples.seen_part import seen_parts
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.picture_size import fed_size
from cnnwidgets.pictures import displayable, to_uint8

SHAPE = STRONGEST, SIDE, SIDE, 3  # of the patches of a unit
BYTES = SIDE * SIDE * 3  # of a patch


def cut(
    net: Network, pictures: Sequence[Any], layers: Mapping[str, StoredLayer], responses: Responses, file: BinaryIO
) -> Iterator[None]:
    """Cut the patches of all layers, one layer's units after the other's; yields where it can be stopped.

    Each picture is opened once, and patches go to the file at once, so that memory grows neither with the pictures nor
    with the units.

    Args:
        net: the network.
        pictures: not yet read.
        layers: by their paths.
        responses: of their units.
        file: open for writing and unbuffered; what is not written in it is black.
    """
    file.truncate(responses.pictures.size * BYTES)
    parts = []
    for part in seen_parts(net, list(layers)):
        parts.append(part)
        yield
    part_of = np.repeat(np.arange(len(parts)), [stored.units * STRONGEST for stored in layers.values()])
    cells = responses.cells.reshape(-1, 2)
    wanted = list(_by_picture(responses.pictures).items())
    with ThreadPoolExecutor(1, "cnnwidgets-pictures") as reader:
        coming = [reader.submit(_shown, net, pictures[number]) for number, _ in wanted[:1]]
        for at, (_, slots) in enumerate(wanted, 1):
            shown, fed = coming.pop().result()
            coming += [reader.submit(_shown, net, pictures[number]) for number, _ in wanted[at : at + 1]]
            given = shown.height, shown.width
            boxes = [parts[part_of[slot]].square(cells[slot].tolist(), fed, given) for slot in slots]
            patches = {box: _patch(shown, box) for box in set(boxes)}  # many cells deep in a network see all of it
            for slot, box in zip(slots.tolist(), boxes, strict=True):
                file.seek(slot * BYTES)
                file.write(patches[box])
            yield


def _shown(net: Network, picture: object) -> tuple[Image.Image, tuple[int, int]]:
    """A picture at its own size, and the (height, width) that it has in the network."""
    which = net.picture_inputs[0]
    opened = net.opened(picture)[which]
    fed = fed_size(opened.shape[:2], net.inputs[which], net.checked_size(None))
    return Image.fromarray(to_uint8(displayable(opened))), fed


def patches_in(file: BinaryIO, first: int, units: int) -> NDArray[np.uint8]:
    """The patches [units, STRONGEST, SIDE, SIDE, 3] of so many units from this one on."""
    file.seek(first * STRONGEST * BYTES)
    return np.frombuffer(file.read(units * STRONGEST * BYTES), np.uint8).reshape(units, *SHAPE)


def _by_picture(pictures: NDArray[np.int32]) -> dict[int, NDArray[np.intp]]:
    """Where each picture is among the strongest: flat indices."""
    order = np.argsort(pictures, None, kind="stable")
    numbers, starts = np.unique(pictures.ravel()[order], return_index=True)
    pairs = np.split(order, starts[1:])
    return {int(number): own for number, own in zip(numbers, pairs, strict=True) if number != NOBODY}


def _patch(picture: Image.Image, box: Box) -> bytes:
    top, left, bottom, right = box
    return picture.crop((left, top, right, bottom)).resize((SIDE, SIDE), Image.Resampling.BILINEAR).tobytes()
