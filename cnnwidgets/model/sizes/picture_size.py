"""The size at which a network looks at a photograph: the one it was trained at, where that is known.

A network that takes pictures of any size still recognizes things at the size that they had in its training pictures.
Photographs are brought to that size with their aspect kept, by the longer side: on nine photographs of which the right
ImageNet class is known, both bundled networks together give it a mean probability of .59 by the longer side, .54 by
equal area, .48 by the shorter side, and .16 to the photographs as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import whole_number
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.sizes.trained_size import trained_size

Size = int | tuple[int, int] | Literal["picture"]

PICTURE: Literal["picture"] = "picture"  # as a size: the picture's own
LONGEST_SIDE = 1024  # pixels: of a picture at its own size, in a network that takes any
LARGEST = 4096  # pixels: of a requested size


class NetworkSize(NamedTuple):
    """The size at which a network looks at photographs.

    Attributes:
        size: of the longer side, or (height, width) into which they fit, or "picture"; `None` where nothing is known.
        note: which size that is, and how it is known.
    """

    size: Size | None
    note: str


def network_size(
    given: object, model: Any, inputs: Sequence[InputInfo], seen_in_training: object = None
) -> NetworkSize:
    """The size that was given for a network, or what the model shows of it.

    Args:
        given: the `size` of a Network.
        model: the Keras model.
        inputs: its picture inputs.
        seen_in_training: (height, width) of the pictures that a model was called on first, if it was trained on them.

    Raises:
        BadTarget: for a size that does not exist, or that the network does not take.
    """
    fixed = _fixed_size(inputs)
    if given is not None:
        size = checked_size(given, None, inputs)
        return NetworkSize(size, f"{_words(size)}: the size that was given for this network.")
    if fixed is not None:
        return NetworkSize(fixed, f"The network takes only {_by(fixed)} px: photographs are stretched to that.")
    if not any(map(_is_open, inputs)):
        return NetworkSize(None, "One side of the pictures is fixed: photographs are brought to it, their aspect kept.")
    if seen_in_training is not None:
        size = _short(seen_in_training)
        return NetworkSize(size, f"{_words(size)}: that of the pictures it was first called on, before it was trained.")
    known = trained_size(model)
    if known.size is not None:
        return NetworkSize(known.size, f"{_words(known.size)}: {known.why}.")
    own = f"The picture's own size, up to {LONGEST_SIDE:,} px on the longer side"
    return NetworkSize(None, f"{own}: {known.why}.")


def checked_size(size: object, own: Size | None, inputs: Sequence[InputInfo]) -> Size | None:
    """The size at which a network looks: the requested one, or its own.

    Args:
        size: the requested one; `None` for the network's own.
        own: the network's own.
        inputs: its picture inputs.
    """
    if size is None:
        return own
    sides = tuple(size) if isinstance(size, (tuple, list)) else (size,)
    try:
        if isinstance(size, (tuple, list)) and len(sides) != 2:
            raise BadTarget("one side or two")
        is_own = isinstance(size, str) and size == PICTURE
        asked: Size = PICTURE if is_own else _short(tuple(whole_number("size", s, 1, LARGEST) for s in sides))
    except BadTarget:
        raise BadTarget(
            f"size must be pixels from 1 to {LARGEST}, (height, width), or {PICTURE!r} for the picture's own size, "
            f"got {quoted(size)}."
        ) from None
    if any(map(_is_open, inputs)) or asked == _fixed_size(inputs):
        return asked
    takes = " and ".join(dict.fromkeys(_by(tuple(n or "any" for n in info.size)) for info in inputs))
    raise BadTarget(f"The network takes {takes} px, so size={quoted(size)} has no effect. Leave size out.")


def recorded_size(size: object, own: Size | None, inputs: Sequence[InputInfo]) -> Size | None:
    """The size that was used, as a recipe has it: one that means the same in a network without a size."""
    if not any(map(_is_open, inputs)):
        return None
    return checked_size(size, own, inputs) or PICTURE


def fed_size(given: tuple[int, int], info: InputInfo, size: Size | None) -> tuple[int, int]:
    """The (height, width) that a picture of a given (height, width) has when it reaches an input.

    A picture that has been brought to a size stays as it is when it is brought to it again.

    Args:
        given: of the picture.
        info: the input.
        size: a checked one, or `None` where nothing is known.
    """
    height, width = given
    rows, columns = info.size
    if rows and columns:
        return rows, columns
    if rows or columns:
        scale = rows / height if rows else (columns or 1) / width
    elif size is None or size == PICTURE:
        scale = min(1.0, LONGEST_SIDE / max(given))
    else:
        high, wide = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
        scale = min(high / height, wide / width)
    sides = (max(1, min(LARGEST, round(side * scale))) for side in given)
    return info.full_size(*sides)


def _is_open(info: InputInfo) -> bool:
    return info.size == (None, None)


def _fixed_size(inputs: Sequence[InputInfo]) -> Size | None:
    """The one size that all inputs take."""
    sizes = {info.size for info in inputs}
    return _short(sizes.pop()) if len(sizes) == 1 and inputs[0].is_fixed else None


def _short(sides: Any) -> int | tuple[int, int]:
    """One number where all sides are alike."""
    return int(sides[0]) if len(set(sides)) == 1 else (int(sides[0]), int(sides[1]))


def _by(size: Any) -> str:
    return " x ".join(map(str, size if isinstance(size, tuple) else (size, size)))


def _words(size: Size | None) -> str:
    if size == PICTURE:
        return f"The picture's own size, up to {LONGEST_SIDE:,} px on the longer side"
    return f"{size} px on the longer side" if isinstance(size, int) else f"At most {_by(size)} px, the aspect kept"
