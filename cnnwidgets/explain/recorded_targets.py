"""Targets as JSON values for recipes, and back; a mask is stored as compressed bits."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.explain.regions import Region, region
from cnnwidgets.frame import Array
from cnnwidgets.model.arguments import is_whole

FUNCTION = "a function of the output"  # stands for a target that a recipe cannot hold
MOST_PIXELS = 2**28  # of a mask


def record(target: Any) -> Any:
    """A target as a JSON value: `FUNCTION` for a function, a dict for a region, anything else unchanged."""
    if not isinstance(target, Region):
        return FUNCTION if callable(target) else target
    if target.mask is None:
        return {"class": target.target, "box": target.box}
    return {"class": target.target, "mask": pack_mask(target.mask), "size": target.mask.shape}


def from_record(value: Any) -> Any:
    """The target that `record` wrote.

    Raises:
        BadTarget: for a function, which a recipe cannot hold, and for a region that is damaged.
    """
    if value == FUNCTION:
        raise BadTarget("It explains a function, which is not in the recipe. Run the panel with it as target instead.")
    if not isinstance(value, Mapping):
        return value
    try:
        where = tuple(value["box"]) if "box" in value else unpack_mask(value["mask"], value["size"])
        return region(value["class"], where)
    except (KeyError, TypeError) as error:
        raise BadTarget(
            f"{quoted(dict(value))} is not a region. Expected class and box, or class, mask, size."
        ) from error


def pack_mask(mask: Array) -> str:
    """A mask [H, W] of True and False as text: base64 of its compressed bits."""
    return base64.b64encode(zlib.compress(np.packbits(mask.astype(bool)).tobytes(), 9)).decode("ascii")


def unpack_mask(text: str, size: tuple[int, int]) -> Array:
    """The mask [H, W] of a recipe or snippet, bool.

    Args:
        text: base64 of its compressed bits.
        size: (height, width).

    Example:
        >>> targets.region("road", targets.unpack_mask("eJxjYGBgAAAABAAB", (4, 8)))
    """
    is_size = isinstance(size, (tuple, list)) and len(size) == 2 and all(is_whole(n) and n > 0 for n in size)
    if not is_size or size[0] * size[1] > MOST_PIXELS:
        raise BadTarget(f"size must be the (height, width) of the mask, got {quoted(size)}.")
    count = size[0] * size[1]
    length = -(-count // 8)
    try:
        bits = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), length + 1)
    except (binascii.Error, zlib.error, TypeError, ValueError) as error:
        raise BadTarget(f"{quoted(text)} is not a mask. Copy the text of the recipe or snippet unchanged.") from error
    if len(bits) != length:
        raise BadTarget(
            f"The text is not a mask of {size[0]} x {size[1]} pixels. Give the size that it was written for."
        )
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=count).reshape(size).astype(bool)
