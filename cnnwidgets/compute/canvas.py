"""Where a run paints: which input of the network gets the pictures, at which size, and what the others hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnnwidgets.compute.backend import tf
from cnnwidgets.compute.frame import Array
from cnnwidgets.compute.network import Network
from cnnwidgets.compute.objectives import Objective, Term
from cnnwidgets.compute.settings import whole_number
from cnnwidgets.compute.windows import Windows
from cnnwidgets.errors import BadModel, BadTarget, quoted

LARGEST_SIDE, SMALLEST_SIDE = 1024, 8


@dataclass(frozen=True, eq=False)
class Canvas:
    """Where a run paints.

    Attributes:
        shape: of the pictures, (height, width, channels); height and width are `None` where the picture to start from
            decides them, so that one graph serves all sizes (pixels only).
        which: the index of the input that they go to.
        held: tensors [1, ...] for other inputs; what is not held is mid-grey, or zero for a table.
        fed: (height, width) to which pictures are resized on their way into the network, if it takes another size.
        windows: how a picture is read part by part, if it is too large to be read at once.
    """

    shape: tuple[Any, Any, int]
    which: int = 0
    held: Mapping[int, Any] = field(default_factory=dict)
    fed: tuple[int, int] | None = None
    windows: Windows | None = None

    @property
    def structure(self) -> Canvas:
        """What a graph is traced for: what the other inputs hold are tensors in it."""
        return replace(self, held=dict.fromkeys(self.held))

    @property
    def is_open(self) -> bool:
        """Whether the picture to start from decides the size."""
        return None in self.shape

    def feed(self, net: Network, pictures: Any, held: Any) -> list[Any]:
        """What `net.call` takes for a batch of pictures."""
        if self.fed is not None:
            pictures = tf.image.resize(pictures, self.fed)
        return net.feed(pictures, self.which, held)


def canvas_for(
    net: Network,
    objective: Objective,
    size: object,
    default: int,
    held: Mapping[str, Any] | None = None,
    resize: bool = False,
) -> Canvas:
    """The canvas for a checked objective: the picture input that its first term sees.

    Args:
        net: the network.
        objective: what is climbed.
        size: what the user asked for.
        default: the side where neither user nor network says one.
        held: what other inputs get, by name.
        resize: whether a picture of another size may be resized on its way into a network of a fixed size.

    Raises:
        BadTarget: for a size that cannot be, or that a fixed network does not take.
        BadModel: for a held input that does not exist.
    """
    _checked_sides(size)
    still = _held(net, held)
    first = objective.terms[0]
    seen = net.sees(first.layer, first.call) if first.layer else net.picture_inputs
    if not seen:
        raise BadTarget(no_gradient(net, objective.terms[:1]))
    which = next((i for i in seen if i not in still), seen[0])
    still.pop(which, None)
    shape = picture_shape(net, size, default, which, resize)
    rows, columns = net.inputs[which].full_size(*shape[:2])
    return Canvas(shape, which, still, None if (rows, columns) == shape[:2] else (rows, columns))


def _held(net: Network, held: object) -> dict[int, Any]:
    """What inputs hold, by their index, as tensors [1, ...]."""
    names = [info.name for info in net.inputs]
    if held is None:
        return {}
    if not isinstance(held, Mapping):
        raise BadTarget(f"held must be a dict from input names ({', '.join(names)}) to arrays, got {quoted(held)}.")
    for name in held:
        if name not in names:
            raise BadModel(f"There is no input {quoted(name)}. The inputs of this model: {', '.join(names)}.")
    return {names.index(name): tf.constant(net.array(value, names.index(name))) for name, value in held.items()}


def canvas_around(net: Network, objective: Objective, arrays: Sequence[Array]) -> Canvas:
    """The canvas for pictures that are there, at the first picture input that every term sees.

    It is open where the network takes any size.

    Args:
        net: the network.
        objective: what is climbed, checked.
        arrays: what the inputs get, as `net.call` takes it; all but the one that is painted on hold still.

    Raises:
        BadTarget: where there is no such input.
    """
    each = [net.sees(t.layer, t.call) if t.layer else net.picture_inputs for t in objective.terms]
    for term, seen in zip(objective.terms, each, strict=True):
        if not seen:
            raise BadTarget(no_gradient(net, (term,)))
    common = [i for i in each[0] if all(i in seen for seen in each)]
    if not common:
        paths = ", ".join(t.layer or "the output" for t in objective.terms)
        raise BadTarget(f"These see different pictures: {paths}. Choose layers that see the same one.")
    which = common[0]
    held = {i: tf.constant(array) for i, array in enumerate(arrays) if i != which}
    info = net.inputs[which]
    return Canvas((*info.size, info.channels), which, held)


def picture_shape(
    net: Network, size: object, default: int, which: int = 0, resize: bool = False
) -> tuple[int, int, int]:
    """(height, width, channels) of the pictures to climb.

    Raises:
        BadTarget: for a size that cannot be, or that a fixed network does not take.
    """
    info = net.inputs[which]
    rows, columns = info.size
    sides = _checked_sides(size)
    if sides is None:
        return rows or columns or default, columns or rows or default, info.channels
    height, width = sides
    if not resize and (rows not in (None, height) or columns not in (None, width)):
        raise BadTarget(
            f"The network {quoted(net.name)} takes {rows} x {columns}, not {height} x {width}. Leave size out, or "
            "pass resize=True; rebuilt with Input((None, None, 3)) and without its Dense head it takes any size."
        )
    return height, width, info.channels


def _checked_sides(size: object) -> tuple[int, int] | None:
    """(height, width), or `None` where none was asked for."""
    if size is None:
        return None
    sides = tuple(size) if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    try:
        height, width = (whole_number("size", side, SMALLEST_SIDE, LARGEST_SIDE) for side in sides)
    except BadTarget as error:
        raise BadTarget(
            f"size must be pixels from {SMALLEST_SIDE} to {LARGEST_SIDE}, or (height, width), got {quoted(size)}."
        ) from error
    return height, width


def no_gradient(net: Network, terms: tuple[Term, ...]) -> str:
    """What to say where no gradient reaches the picture: what cuts it."""
    where = ", ".join(sorted({quoted(t.layer) if t.layer else "the output" for t in terms}))
    cut = net.first_cut()
    what = f"the layer {quoted(cut)} cuts it" if cut else "it does not depend on the picture"
    return (
        f"No gradient reaches the picture from {where}: {what} (stop_gradient, argmax, rounding or an integer cast). "
        "Choose a layer before that one, or take the cut out of the model."
    )
