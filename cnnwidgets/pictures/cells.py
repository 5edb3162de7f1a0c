"""Pictures of different sizes as cells of one: fitted, centered, and with a region marked."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnwidgets import pictures

PAPER = 0.5  # brightness where a cell is not covered by its picture

Square = tuple[float, float, float, float]  # left, top, right, bottom: shares 0..1 of a picture
Box = tuple[int, int, int, int]  # top, left, bottom, right: pixels
ORANGE, BLACK = (255, 140, 0), (0, 0, 0)


def fit(picture: np.ndarray, box: int) -> np.ndarray:
    """As large as fits into a square box."""
    height, width = picture.shape[:2]
    scale = box / max(height, width)
    return pictures.resize(picture, (max(1, round(height * scale)), max(1, round(width * scale))))


def common(sizes: list[tuple[int, ...]]) -> tuple[int, int]:
    """The (height, width) that pictures of all these sizes fit into."""
    return max(size[0] for size in sizes), max(size[1] for size in sizes)


def centered(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """In the middle of a larger one, gray around it."""
    if picture.shape[:2] == size:
        return picture
    paper = round(255 * PAPER) if picture.dtype == np.uint8 else PAPER
    cell = np.full((*size, picture.shape[-1]), paper, picture.dtype)
    height, width = picture.shape[:2]
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    cell[top : top + height, left : left + width] = picture
    return cell


def with_frame(picture: np.ndarray, square: Square) -> np.ndarray:
    """A region that is hidden from the network: a gray square, framed in black and white to be seen on any ground."""
    return _framed(picture, _pixels(picture, square), ((0, 0), (1, 255), (3, 128)))


def with_outline(picture: np.ndarray, square: Square) -> np.ndarray:
    """A part of a picture framed in black and white, to be seen on any ground; nothing is covered."""
    return _framed(picture, _pixels(picture, square), ((0, 0), (1, 255), (3, 0), (4, None)))


def with_box(picture: np.ndarray, box: Box) -> np.ndarray:
    """The picture [H, W, 3], uint8, with (top, left, bottom, right) framed: orange in black, to be seen anywhere."""
    line = max(1, round(max(picture.shape[:2]) / 200))
    return _framed(picture, box, ((-line, BLACK), (0, ORANGE), (line, None)))


def _pixels(picture: np.ndarray, square: Square) -> Box:
    height, width = picture.shape[:2]
    left, top, right, bottom = square
    return round(top * height), round(left * width), round(bottom * height), round(right * width)


def _framed(picture: np.ndarray, box: Box, layers: tuple[tuple[int, Any], ...]) -> np.ndarray:
    """A box filled layer by layer, each (pixels further in, color); `None` is the picture itself."""
    height, width = picture.shape[:2]
    drawn = picture.copy()
    for inset, color in layers:
        top, left, bottom, right = (
            min(max(edge + sign * inset, 0), most)
            for edge, sign, most in zip(box, (1, 1, -1, -1), (height, width, height, width), strict=True)
        )
        drawn[top:bottom, left:right] = picture[top:bottom, left:right] if color is None else color
    return drawn
