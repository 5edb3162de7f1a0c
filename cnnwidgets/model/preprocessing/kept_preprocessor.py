"""A preprocessor kept with a model, as by keras_hub: its `predict` uses it there, a call of the model does not."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from cnnwidgets.frame import Array
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.preprocessing.front import SIDE, Front
from cnnwidgets.model.preprocessing.modes import MODES, Affine, Preprocess, Scale
from cnnwidgets.model.preprocessing.ranges import Finding

_NAMES = ("preprocessor", "image_converter")
_WHY = "found: the preprocessor kept with the model makes it of 0..255"


def find(model: Any) -> Any:
    """What converts the pictures of a model, kept as its attribute; `None` where nothing is."""
    for name in _NAMES:
        kept = getattr(model, name, None)
        converter = getattr(kept, "image_converter", None) or kept
        if callable(converter):
            return converter
    return None


def is_used_in(front: Front, which: int, kept: Any) -> bool:
    """Whether the model itself calls it, so that nothing is left to do outside."""
    if front.passes(kept):
        return True
    if which not in front.kernels:
        return False
    picture = front.random_picture(which)
    with contextlib.suppress(Exception):  # whatever a function of the user's raises
        outside, inside = _converted(kept, picture[0]), front.run(which, picture)[0]
        if outside.shape == picture[0].shape and np.allclose(outside, picture[0]):
            return False  # it leaves numbers as they are, so that nothing shows
        return outside.shape == inside.shape and np.allclose(outside, inside, rtol=1e-3, atol=1e-3)
    return False


def finding(kept: Any, info: InputInfo) -> Finding:
    """What a converter does to numbers; its sizes are brought about by the network."""
    plain = _plain(kept, info.channels)
    if plain is None:
        return Finding(kept, _WHY, "what the preprocessor kept with the model makes of 0..255")
    low, high = (np.asarray(plain(np.full((1, 1, 1, info.channels), n, np.float32))).mean() for n in (0, 255))
    named = next((mode for mode in MODES.values() if _is_same(mode, plain, info.channels)), plain)
    return Finding(named, _WHY, "" if named is not plain else f"the network takes about {low:.3g}..{high:.3g}")


def _plain(kept: Any, channels: int) -> Preprocess | None:
    """Its scale and offset as a value, if that is all it does to a picture of one color."""
    try:
        scale = _numbers(getattr(kept, "scale", None), 1.0, channels)
        offset = _numbers(getattr(kept, "offset", None), 0.0, channels)
        plain = _of_numbers(scale, offset)
        color = np.linspace(40, 200, channels, dtype=np.float32)
        picture = np.broadcast_to(color, (*(getattr(kept, "image_size", None) or (SIDE, SIDE)), channels))
        given = _converted(kept, np.array(picture))
        outside = np.asarray(plain(picture[None]))[0]
        return plain if given.shape[-1] == channels and np.allclose(given, outside[:1, :1], atol=1e-3) else None
    except Exception:  # whatever a converter of the user's raises
        return None


def _numbers(given: Any, usual: float, channels: int) -> Array:
    value = np.asarray(usual if given is None else given, np.float64).ravel()
    return np.asarray(np.broadcast_to(value, (channels,)))


def _of_numbers(scale: Array, offset: Array) -> Preprocess:
    if np.ptp(scale) == 0 and np.ptp(offset) == 0:
        return Scale(float(scale[0]), float(offset[0]))
    rows = tuple(tuple(float(n) for n in row) for row in np.diag(scale))
    return Affine(rows, tuple(float(n) for n in offset))


def _converted(kept: Any, picture: Array) -> Array:
    return np.asarray(np.asarray(kept(np.asarray(picture, np.float32)[None]))[0], np.float64)


def _is_same(mode: Preprocess, plain: Preprocess, channels: int) -> bool:
    if isinstance(mode, Affine) and channels != 3:
        return False
    color = np.linspace(40, 200, channels, dtype=np.float32).reshape(1, 1, 1, channels)
    return bool(np.allclose(np.asarray(mode(color)), np.asarray(plain(color)), atol=1e-4))
