"""The canvas of an objective: the picture input that its layers see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnnwidgets.errors import BadModel, BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.backend import tf
from cnnwidgets.model.graph import first_cut
from cnnwidgets.model.network import Network
from cnnwidgets.model.sizes.canvas import Canvas, checked_sides, picture_shape
from cnnwidgets.model.sizes.picture_size import Size
from cnnwidgets.pictures import resize as resized
from cnnwidgets.visualize.objectives import Objective
from cnnwidgets.visualize.terms.term import Term


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
        objective: what is maximized.
        size: what the user asked for.
        default: the side where neither user nor network says one.
        held: what other inputs get, by name.
        resize: whether a picture of another size may be resized on its way into a network of a fixed size.

    Raises:
        BadTarget: for a size that cannot be, or that a fixed network does not take.
        BadModel: for a held input that does not exist.
    """
    checked_sides(size)
    still = _held(net, held)
    first = objective.terms[0]
    seen = first.sees(net)
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
        objective: what is maximized, checked.
        arrays: what the inputs get, as `net.call` takes it; all but the one that is optimized are held fixed.
    """
    each = [term.sees(net) for term in objective.terms]
    for term, seen in zip(objective.terms, each, strict=True):
        if not seen:
            raise BadTarget(no_gradient(net, (term,)))
    common = [i for i in each[0] if all(i in seen for seen in each)]
    if not common:
        paths = ", ".join(term.where for term in objective.terms)
        raise BadTarget(f"These see different pictures: {paths}. Choose layers that see the same one.")
    which = common[0]
    held = {i: tf.constant(array) for i, array in enumerate(arrays) if i != which}
    info = net.inputs[which]
    return Canvas((*info.size, info.channels), which, held)


def canvas_of_photograph(net: Network, objective: Objective, picture: object, size: Size | None) -> Canvas:
    """The canvas with a photograph that pictures are compared with.

    Its aspect is kept also where a network of a fixed size gets it stretched.

    Raises:
        BadTarget, BadPicture: for what is not a picture, is too small, or is not seen by the objective.
    """
    opened, _ = net.opened_with_notes(picture)
    arrays = net.fitted(opened, size)
    net.check_room(arrays)
    canvas = canvas_around(net, objective, arrays)
    given, fed = opened[canvas.which], arrays[canvas.which].shape[1:3]
    sides = tuple(max(1, round(side * max(fed) / max(given.shape[:2]))) for side in given.shape[:2])
    is_stretched = net.inputs[canvas.which].is_fixed and sides != fed
    shown = resized(given, sides)[None] if is_stretched else arrays[canvas.which]
    return replace(
        canvas, shape=shown.shape[1:], fed=fed if is_stretched else None, photograph=tf.constant(shown, tf.float32)
    )


def no_gradient(net: Network, terms: tuple[Term, ...]) -> str:
    """What to say where no gradient reaches the picture: what cuts it."""
    where = ", ".join(sorted({term.where for term in terms}))
    cut = first_cut(net)
    what = f"the layer {quoted(cut)} cuts it" if cut else "it does not depend on the picture"
    return (
        f"No gradient reaches the picture from {where}: {what} (stop_gradient, argmax, rounding or an integer cast). "
        "Choose a layer before that one, or take the cut out of the model."
    )
