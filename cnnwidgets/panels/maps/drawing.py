"""Marks on a picture."""

from __future__ import annotations

import numpy as np

ORANGE, BLACK = (255, 140, 0), (0, 0, 0)


def with_box(picture: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """The picture [H, W, 3], uint8, with (top, left, bottom, right) framed: orange in black, to be seen anywhere."""
    top, left, bottom, right = box
    drawn = picture.copy()
    height, width = drawn.shape[:2]
    for grow, color in ((1, BLACK), (0, ORANGE)):
        t, l_ = max(0, top - grow), max(0, left - grow)
        b, r = min(height, bottom + grow) - 1, min(width, right + grow) - 1
        drawn[t, l_ : r + 1] = drawn[b, l_ : r + 1] = color
        drawn[t : b + 1, l_] = drawn[t : b + 1, r] = color
    return drawn
