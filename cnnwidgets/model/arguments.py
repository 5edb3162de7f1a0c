"""Checks of settings before anything is computed: the value, or an error in one sentence."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from PIL import Image

from cnnwidgets.errors import BadPicture, BadTarget, quoted

if TYPE_CHECKING:
    from cnnwidgets.model.layers import LayerInfo

MOST_STEPS = 2048


def whole_number(name: str, value: object, least: int = 0, most: int | None = None) -> int:
    """A whole number of a range."""
    if is_whole(value) and least <= value and (most is None or value <= most):
        return int(value)
    reach = f"from {least} to {most}" if most is not None else f"of at least {least}"
    raise BadTarget(f"{name} must be an integer {reach}, got {quoted(value)}.")


def is_whole(value: object) -> TypeGuard[int]:
    """Whether this is an integer, Python's or numpy's."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def number(name: str, value: object, least: float, most: float = math.inf, *, above: bool = False) -> float:
    """A finite number of a range; with `above`, the least itself is too small."""
    if _is_number(value) and math.isfinite(value) and least <= value <= most and not (above and value == least):
        return float(value)
    reach = f"above {least:g}" if above else f"from {least:g}"
    reach = "" if least == -math.inf else f" {reach}"
    reach += "" if most == math.inf else f" {'and up ' if above else ''}to {most:g}"
    raise BadTarget(f"{name} must be a finite number{reach}, got {quoted(value)}.")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def now(name: str, value: object) -> float:
    """A number, or what a function without arguments returns now."""
    given: Any = value() if callable(value) else value
    try:
        return float(given)
    except (TypeError, ValueError):
        raise BadTarget(f"The function for the {name} must return a number, got {quoted(given)}.") from None


def choice(name: str, value: object, choices: Iterable[str]) -> str:
    """One of a few names."""
    names = tuple(choices)
    if isinstance(value, str) and value in names:
        return value
    raise BadTarget(f"{name} must be one of {', '.join(map(repr, names))}, got {quoted(value)}.")


def flag(name: str, value: object) -> bool:
    """True or False."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise BadTarget(f"{name} must be True or False, got {quoted(value)}.")


def is_list(value: object) -> TypeGuard[Iterable[Any]]:
    """Whether this holds values one by one, as lists, ranges and arrays do, and text does not."""
    is_text = isinstance(value, (str, bytes, Mapping))
    return not is_text and isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def checked_seed(seed: object) -> int:
    """The seed."""
    if is_whole(seed):
        return int(seed)
    raise BadTarget(f"seed must be an integer, got {quoted(seed)}.")


def check_unit(info: LayerInfo, one: object) -> int:
    """The unit as an int."""
    if is_whole(one) and 0 <= one < info.units:
        return int(one)
    if not info.units:
        raise BadTarget(f"The layer {quoted(info.path)} has no units. Choose another layer.")
    raise BadTarget(f"The layer {quoted(info.path)} has no unit {quoted(one)}. Its units are 0 to {info.units - 1}.")


def check_call(info: LayerInfo, call: object) -> int:
    """Which call of a layer, as an int."""
    if not info.calls:
        raise BadTarget(f"The layer {quoted(info.path)} is never called, so it has no output. Choose another layer.")
    if is_whole(call) and 0 <= call < info.calls:
        return int(call)
    raise BadTarget(f"The layer {quoted(info.path)} has no call {quoted(call)}. Its calls are 0 to {info.calls - 1}.")


def pictures_in(given: object) -> Iterator[object]:
    """The pictures of a list, or of an array [N, H, W, C]."""
    one = (str, bytes, PathLike, Mapping, Image.Image)
    if isinstance(given, one) or not isinstance(given, Iterable) or getattr(given, "ndim", 4) != 4:
        raise BadPicture(f"pictures must be a list of pictures or an array [N, H, W, C], got {quoted(given)}.")
    index = -1
    for index, picture in enumerate(given):  # noqa: B007  # read below
        yield picture
    if index < 0:
        raise BadPicture("pictures must hold at least one picture, got none.")
