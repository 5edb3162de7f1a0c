"""Marks on a picture."""

from __future__ import annotations

import numpy as np

ORANGE, BLACK = (255, 140, 0), (0, 0, 0)


def with_box(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The picture [H, W, 3], uint8, with (top, left, bottom, right) framed: orange in black, to be seen anywhere."""
    height, width = picture.shape[:2]
    line = max(1, round(max(height, width) / 200))
    drawn = picture.copy()
    for inset, color in ((-line, BLACK), (0, ORANGE), (line, None)):
        top, left, bottom, right = (
            min(max(edge + sign * inset, 0), most)
            for edge, sign, most in zip(box, (1, 1, -1, -1), (height, width, height, width), strict=True)
        )
        drawn[top:bottom, left:right] = picture[top:bottom, left:right] if color is None else color
    return drawn
