"""A position on a photograph, as panels share it: the row and column of a pixel."""

from __future__ import annotations

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.arguments import is_list, is_whole

Pixel = tuple[int, int]  # row and column


def checked_pixel(name: str, value: object, size: tuple[int, ...]) -> Pixel | None:
    """The pixel, or `None` if none is chosen.

    Args:
        name: of the setting.
        value: what was given.
        size: (height, width) of the photograph.

    Raises:
        BadTarget: for a pixel outside.
    """
    if value is None:
        return None
    height, width = size
    if is_list(value) and len(pair := list(value)) == 2 and all(map(is_whole, pair)):
        row, column = map(int, pair)
        if 0 <= row < height and 0 <= column < width:
            return row, column
    raise BadTarget(
        f"{name} must be (row, column) of a pixel of the {height} x {width} photograph, got {quoted(value)}."
    )
