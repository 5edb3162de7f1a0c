"""The preprocessing of a network: the requested one, or the one found in its model."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from cnnwidgets.errors import BadTarget, quoted
from cnnwidgets.model.inputs.input_info import InputInfo
from cnnwidgets.model.preprocessing import kept_preprocessor
from cnnwidgets.model.preprocessing.front import SIDE, Front
from cnnwidgets.model.preprocessing.modes import MEANING, MODES, Affine, ByInput, Preprocess
from cnnwidgets.model.preprocessing.ranges import Evidence, Finding, decide, guess

Nest = Callable[[Sequence[Any]], Any]


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
    auto = [i for name, i in pictures.items() if _is_auto(wanted.get(name, "auto"))]
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


def _is_auto(wanted: object) -> bool:
    return isinstance(wanted, str) and wanted == "auto"


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
    return dict.fromkeys(auto, guess("a guess: the model cannot be followed up to its first weights"))


def _of_input(
    front: Front, which: int, model: Any, layers: Mapping[str, Any], info: InputInfo, make: Callable[..., Front]
) -> Finding:
    kept = kept_preprocessor.find(model)
    if kept is not None and not kept_preprocessor.is_used_in(front, which, kept):
        return kept_preprocessor.finding(kept, info)
    if which not in front.kernels:
        return guess("a guess: nothing in the model says")
    evidence = Evidence(front, which, info.channels, layers)
    return _of_whole_numbers(evidence, make(as_floats=False)) if info.is_whole_numbers else decide(evidence)


def _of_whole_numbers(evidence: Evidence, whole: Front) -> Finding:
    """0..255, what else would be whole; but a cast may scale whole numbers only, and these are fed as floats."""
    why = "found: its input holds whole numbers"
    expected = whole.arriving(evidence.which, evidence.palette)
    for name, also in (("none", ""), ("unit", ", which its first cast brings from 0..255 to 0..1")):
        if np.allclose(evidence.arriving(name), expected, rtol=1e-3, atol=1e-3):
            return Finding(MODES[name], why + also)
    return Finding(MODES["none"], why)
