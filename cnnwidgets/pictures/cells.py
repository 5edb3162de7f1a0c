"""Pictures of different sizes as cells of one: fitted, centered, and with a place marked."""

from __future__ import annotations

import numpy as np

from cnnwidgets import pictures

PAPER = 0.5  # brightness where a cell is not covered by its picture

Square = tuple[float, float, float, float]  # left, top, right, bottom: shares 0..1 of a picture


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
    """A place that is hidden from the network: a gray square, framed in black and white to be seen on any ground."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (
        round(share * length) for share, length in zip(square, (width, height, width, height), strict=True)
    )
    framed = picture.copy()
    for inset, color in ((0, 0), (1, 255), (3, 128)):
        framed[top + inset : bottom - inset, left + inset : right - inset] = color
    return framed


def with_outline(picture: np.ndarray, square: Square) -> np.ndarray:
    """A part of a picture framed in black and white, to be seen on any ground; nothing is covered."""
    height, width = picture.shape[:2]
    left, top, right, bottom = (
        round(share * length) for share, length in zip(square, (width, height, width, height), strict=True)
    )
    drawn = picture.copy()
    for inset, color in ((0, 0), (1, 255), (3, 0), (4, None)):
        part = slice(top + inset, bottom - inset), slice(left + inset, right - inset)
        drawn[part] = picture[part] if color is None else color
    return drawn
