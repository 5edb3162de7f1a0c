"""What is measured of a unit on a photograph and in others, part by part, and which photographs these are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cnnwidgets import pictures, samples
from cnnwidgets.activations.feature_maps import answers, display_maps
from cnnwidgets.activations.patches_run import smaller
from cnnwidgets.activations.receptive_field import receptive_field
from cnnwidgets.activations.unit_responses import Responses, unit_responses
from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.explain.overlays.held_picture import HeldPicture
from cnnwidgets.explain.unit_effect import unit_effect
from cnnwidgets.model.arguments import pictures_in
from cnnwidgets.model.geometry.dependence import Box
from cnnwidgets.model.geometry.placement import scaled
from cnnwidgets.model.network import Network
from cnnwidgets.panels.protocols import PlainFrame

CLASSES = 4  # for and against


@dataclass(frozen=True, eq=False)
class Facts(PlainFrame):
    """What is known of a unit so far.

    Attributes:
        photograph: [H, W, 3] uint8, as it is shown.
        plane: [h, w] uint8, the unit's map on it; `None` for a layer without rows and columns.
        place: the (row, column) of its highest value.
        value: that value.
        box: what the cell there sees of the photograph as shown; `None` where that is not known.
        classes: (name, logits) of the classes that lose most and gain most without the unit.
        responses: in all photographs searched so far.
        step, steps: parts that are done, of how many.
    """

    photograph: np.ndarray
    plane: np.ndarray | None = None
    place: tuple[int, int] = (0, 0)
    value: float = 0.0
    box: Box | None = None
    classes: tuple[tuple[str, float], ...] = ()
    responses: Responses | None = None


def measure(
    net: Network, held: HeldPicture, layer: str, unit: int, call: int, count: int, photographs: Iterable[object]
) -> Iterator[Facts]:
    """The unit on one photograph, then the classes whose logits it changes, then its responses in `count` others."""
    which = (net.sees(layer, call) or net.picture_inputs)[0]
    photo = held.photos[net.picture_inputs.index(which)]
    shown = smaller(photo)
    arrays = net.arrays(held.given)
    (maps,) = answers(net, (layer,), call, arrays)
    facts = Facts(pictures.to_uint8(shown), steps=2 + count, value=float(maps[..., unit].max()))
    if maps.ndim == 3:
        plane = maps[..., unit]
        row, column = (int(i) for i in np.unravel_index(plane.argmax(), plane.shape))
        facts = replace(facts, plane=display_maps(maps[..., unit : unit + 1], "range")[0], place=(row, column))
        yield facts
        fed = (int(arrays[which].shape[1]), int(arrays[which].shape[2]))
        facts = replace(facts, box=_box(net, layer, call, fed, (row, column), shown.shape[:2]))
    facts = replace(facts, classes=_classes(net, arrays, layer, unit), step=2)
    yield facts
    if not count:
        return
    for step, responses in enumerate(unit_responses(net, photographs, layer, unit, call=call), 3):
        yield replace(facts, responses=responses, step=step)


def _box(
    net: Network, layer: str, call: int, fed: tuple[int, int], place: tuple[int, int], shown: tuple[int, ...]
) -> Box | None:
    try:
        box = receptive_field(net, layer, size=fed, call=call).box(*place)
    except CnnWidgetsError:  # too large or too small to be followed back
        return None
    return scaled(box, fed, shown) if box[2] > box[0] and box[3] > box[1] else None


def _classes(net: Network, arrays: Sequence[np.ndarray], layer: str, unit: int) -> tuple[tuple[str, float], ...]:
    """The classes that the unit changes most in this photograph, for and against, the largest change first."""
    try:
        effect = unit_effect(net, arrays, layer, unit)
    except CnnWidgetsError:  # no class scores
        return ()
    order = np.argsort(-effect, kind="stable")
    chosen = dict.fromkeys(
        [*(i for i in order[:CLASSES] if effect[i] > 0), *(i for i in order[-CLASSES:] if effect[i] < 0)]
    )
    return tuple((net.class_name(int(i)), float(effect[i])) for i in chosen)


@dataclass(frozen=True, eq=False)
class Photographs:
    """The photographs to search: samples are read one by one, where they are needed.

    Attributes:
        names: of all of them.
        given: those of the user; `None` for the samples.
    """

    names: list[str]
    given: list[np.ndarray] | None

    def __iter__(self) -> Iterator[np.ndarray]:
        yield from map(samples.sample, self.names) if self.given is None else self.given


def photographs(given: Iterable[object] | None) -> Photographs:
    """Those of the user, or else the samples.

    Raises:
        BadPicture: for something that is not a picture, or one picture instead of many.
    """
    if given is None:
        return Photographs(list(samples.sample_names()), None)
    loaded = [pictures.load_picture(one) for one in pictures_in(given)]
    return Photographs([f"picture {i}" for i in range(len(loaded))], loaded)


def sample_for(net: Network) -> Any:
    """A sample photograph, for each input that takes one."""
    photograph = samples.sample(samples.sample_names()[0])
    if len(net.inputs) == 1:
        return photograph
    return {net.inputs[i].name: photograph for i in net.picture_inputs}
