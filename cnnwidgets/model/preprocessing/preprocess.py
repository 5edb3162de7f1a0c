"""The preprocessing of a network: the requested one, or the one found in its model.

A preprocessor may be kept with a model, as by keras_hub: its `predict` uses it there, a call of the model does not.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.frame import Array
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.preprocessing.front import SIDE, Front
from cnnwidgets.model.preprocessing.modes import MEANING, MODES, Affine, ByInput, Preprocess, Scale
from cnnwidgets.model.preprocessing.ranges import Evidence, Finding, decide, guess

Nest = Callable[[Sequence[Any]], Any]
_NAMES = ("preprocessor", "image_converter")
WHOLE_NUMBERS = "found: its input holds whole numbers"
SIGNED = "the network takes -128..127, which is 0..255 less 128"
_WHY = "found: the preprocessor kept with the model makes it of 0..255"


def resolve(
    preprocess: object, model: Any, layers: Mapping[str, Any], inputs: Sequence[InputInfo], nest: Nest
) -> tuple[Preprocess, str]:
    """The preprocessing that was asked for, or found, and a sentence that says which and how sure it is.

    Args:
        preprocess: a function on 0..255, a name, "auto", or a dict of those by input name.
        model: a built Keras model.
        layers: its layers by path.
        inputs: what it takes.
        nest: gives flat inputs the structure in which the model takes them.

    Raises:
        BadTarget: for a name that is none of `none unit tf caffe torch auto`, or one that needs three channels.
    """
    pictures = {info.name: i for i, info in enumerate(inputs) if info.is_picture}
    wanted = preprocess if isinstance(preprocess, Mapping) else dict.fromkeys(pictures, preprocess)
    for name in wanted:
        if name not in pictures:
            raise BadTarget(f"No picture input is called {quoted(name)}. Name these: {', '.join(pictures)}.")
    auto = [i for name, i in pictures.items() if isinstance(one := wanted.get(name, "auto"), str) and one == "auto"]
    found = _found(auto, model, layers, inputs, nest) if auto else {}
    chosen = {
        i: found[i] if i in found else _asked_for(wanted[name], inputs[i], len(pictures))
        for name, i in pictures.items()
    }
    notes = {name: _sentence(chosen[i]) for name, i in pictures.items()}
    first = chosen[min(pictures.values())].preprocess
    if len(set(notes.values())) == 1:
        return first, next(iter(notes.values()))
    note = "; ".join(f"{quoted(name)} {words}" for name, words in notes.items())
    if all(one.preprocess == first for one in chosen.values()):
        return first, note
    return ByInput(tuple((i, one.preprocess) for i, one in chosen.items())), note


def _asked_for(wanted: Any, info: InputInfo, count: int) -> Finding:
    if callable(wanted):
        meaning = getattr(wanted, "meaning", "")
        return Finding(
            wanted, "as you asked", f"the network takes {meaning}" if meaning else "a function of your own, on 0..255"
        )
    if not isinstance(wanted, str) or wanted not in MODES:
        raise BadTarget(
            f"There is no preprocessing {quoted(wanted)}. Give a function on a 0..255 batch, or one of: "
            f"auto, {', '.join(MODES)}."
        )
    if isinstance(MODES[wanted], Affine) and info.channels != 3:
        taker = f"the input {quoted(info.name)}" if count > 1 else "this network"
        raise BadTarget(
            f"The preprocessing {wanted!r} is for 3 channels and {taker} takes {info.channels}. "
            "Choose none, unit or tf, or give a function."
        )
    return Finding(MODES[wanted], "as you asked")


def _sentence(found: Finding) -> str:
    name = next((name for name, mode in MODES.items() if mode == found.preprocess), "")
    if found.meaning or not name:
        return found.meaning if found.why == "as you asked" else f"{found.meaning} ({found.why})"
    return f"{name!r}: {MEANING[name]} ({found.why})"


def _found(
    auto: Sequence[int], model: Any, layers: Mapping[str, Any], inputs: Sequence[InputInfo], nest: Nest
) -> dict[int, Finding]:
    """What the model shows of its picture inputs."""
    for side in (None, SIDE):  # some layers must know the size beforehand
        with contextlib.suppress(Exception):  # whatever a layer raises; running the model says what it is
            make = functools.partial(Front, model, layers, inputs, nest, side=side)
            front = make()
            return {i: _of_input(front, i, model, layers, inputs[i], make) for i in auto}
    return {i: _by_type(inputs[i], "a guess: the model cannot be followed up to its first weights") for i in auto}


def _of_input(
    front: Front, which: int, model: Any, layers: Mapping[str, Any], info: InputInfo, make: Callable[..., Front]
) -> Finding:
    kept = _kept_with(model)
    if kept is not None and not _is_used_in(front, which, kept):
        return _found_in(kept, info)
    if which not in front.kernels or info.dtype == "int8":
        return _by_type(info, "a guess: nothing in the model says")
    evidence = Evidence(front, which, info.channels, layers)
    return _of_whole_numbers(evidence, make(as_floats=False)) if info.is_whole_numbers else decide(evidence)


def _by_type(info: InputInfo, why: str) -> Finding:
    """What the type of an input allows where the model says nothing else: `why` is for one of floats."""
    if info.dtype == "int8":  # which does not hold 0..255
        return replace(guess("a guess: its input holds int8"), preprocess=Scale(1.0, -128.0), meaning=SIGNED)
    return Finding(MODES["none"], WHOLE_NUMBERS) if info.is_whole_numbers else guess(why)


def _of_whole_numbers(evidence: Evidence, whole: Front) -> Finding:
    """0..255, what else would be whole; but a cast may scale whole numbers only, and these are fed as floats."""
    expected = whole.arriving(evidence.which, evidence.palette)
    for name, also in (("none", ""), ("unit", ", which its first cast brings from 0..255 to 0..1")):
        if np.allclose(evidence.arriving(name), expected, rtol=1e-3, atol=1e-3):
            return Finding(MODES[name], WHOLE_NUMBERS + also)
    return Finding(MODES["none"], WHOLE_NUMBERS)


def _kept_with(model: Any) -> Any:
    """What converts the pictures of a model, kept as its attribute; `None` where nothing is."""
    for name in _NAMES:
        kept = getattr(model, name, None)
        converter = getattr(kept, "image_converter", None) or kept
        if callable(converter):
            return converter
    return None


def _is_used_in(front: Front, which: int, kept: Any) -> bool:
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


def _found_in(kept: Any, info: InputInfo) -> Finding:
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
