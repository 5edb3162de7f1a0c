"""A class inside a part of the picture as target, for networks that predict a class at each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import is_whole

if TYPE_CHECKING:
    from cnnwidgets.model.outputs.output_info import OutputInfo

HOW = "Give a mask [H, W] of True and False at the picture's size, or a box (top, left, bottom, right) in pixels."
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False, repr=False)
class Region:
    """A class (or the channel of a map) inside a part of the picture.

    Attributes:
        target: its index or name; `None` for the class with most pixels there.
        mask: [H, W] bool; `None` where a box is given.
        box: (top, left, bottom, right) in pixels, bottom and right outside; `None` where a mask is given.
    """

    target: int | str | None
    mask: Array | None = None
    box: Box | None = None

    def __repr__(self) -> str:
        """As it is written."""
        where = self.box if self.mask is None else f"a mask of {self.mask.shape[0]} x {self.mask.shape[1]}"
        return f"region({self.target!r}, {where})"

    def on(self, size: tuple[int, int]) -> Array:
        """[H, W] float32 of a picture of this size: 1 inside the region.

        Raises:
            BadTarget: for a mask of another size, and a box that is not inside the picture.
        """
        height, width = size
        if self.mask is not None:
            if self.mask.shape != size:
                rows, columns = self.mask.shape
                raise BadTarget(f"The mask is {rows} x {columns}, but the picture is {height} x {width}. {HOW}")
            return self.mask.astype(np.float32)
        assert self.box is not None
        top, left, bottom, right = self.box
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise BadTarget(f"The box {self.box} is not inside the picture, which is {height} x {width}. {HOW}")
        inside = np.zeros(size, np.float32)
        inside[top:bottom, left:right] = 1
        return inside


def region(target: int | str | None, where: object) -> Region:
    """A class of a dense output [H, W, C] inside a part of the picture: the mean of its logit over these pixels.

    It is a target for `class_activation_map`, `attribution`, `unit_attribution` and `faithfulness`. Of an output that
    is not class scores, `target` is the index of a channel.

    Args:
        target: a class index or name; `None` for the class with most pixels in the region.
        where: a mask [H, W] of True and False at the picture's size, or a box (top, left, bottom, right) in pixels of
            the picture, bottom and right being the first ones outside.

    Raises:
        BadTarget: for a region that is empty, and what is not a mask or a box. A region that does not fit the picture
            is refused by the verb, before it computes.

    Example:
        >>> heat = class_activation_map(net, picture, target=targets.region("road", (40, 0, 64, 64)))
    """
    if callable(target) or isinstance(target, Region):
        raise BadTarget(f"A region is for a class, got {quoted(target)}. Give a class index or name, or None.")
    if isinstance(where, (tuple, list)) and len(where) == 4 and all(map(is_whole, where)):
        top, left, bottom, right = map(int, where)
        if top >= bottom or left >= right or min(top, left) < 0:
            raise BadTarget(f"The box {quoted(tuple(where))} is empty or outside the picture. {HOW}")
        return Region(target, box=(top, left, bottom, right))
    return Region(target, mask=_mask(where))


def _mask(given: object) -> Array:
    try:
        mask = np.asarray(given)
    except (TypeError, ValueError):
        mask = np.zeros(0)
    if mask.ndim != 2 or mask.dtype.kind not in "biuf" or not np.isin(mask, (0, 1)).all():
        got = f"an array of shape {list(mask.shape)}" if isinstance(given, np.ndarray) else quoted(given)
        raise BadTarget(f"The region must be a mask or a box, got {got}. {HOW}")
    if not mask.any():
        raise BadTarget(f"The region is empty: the mask holds no True. {HOW}")
    return mask.astype(bool)


def check_dense(info: OutputInfo) -> None:
    """Refuse a region for an output without rows and columns.

    Raises:
        BadTarget: with what the output is.
    """
    if len(info.shape) != 3:
        raise BadTarget(
            f"A region is for an output of the shape [H, W, C], but the output {quoted(info.name)} has the shape "
            f"{info.shape}. Give the class itself as target."
        )
