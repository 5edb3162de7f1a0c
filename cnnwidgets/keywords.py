"""Unknown keywords of public functions and constructors: a TypeError that names the nearest known keyword."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

Signatures = Mapping[str, tuple[str, ...]]  # the keywords of each public name

# How other packages call the same.
SYNONYMS = {
    "colormap": ("cmap",),
    "epsilon": ("eps",),
    "layer": ("layer_name", "penultimate_layer"),
    "layers": ("layer_names",),
    "net": ("model", "network"),
    "model": ("net", "network"),
    "opacity": ("alpha",),
    "picture": ("image", "img", "photo", "photograph"),
    "pictures": ("images", "imgs", "photos", "photographs", "folder"),
    "preprocess": ("preprocessing", "preprocess_input", "preprocessor"),
    "rate": ("learning_rate", "lr", "step_size"),
    "samples": ("n_samples", "num_samples", "masks"),
    "seed": ("random_state", "rng"),
    "size": ("image_size", "input_size", "shape"),
    "step_size": ("learning_rate", "lr", "rate"),
    "steps": ("iterations", "iters", "epochs", "n_iter"),
    "target": ("class_index", "class_name", "label", "category", "classes"),
    "classes": ("class_names", "labels", "target", "targets"),
    "unit": ("channel", "filter", "filter_index", "neuron"),
    "units": ("channel", "channels", "filter", "filters", "filter_index", "filter_indices", "neuron", "neurons"),
}
METHODS = {  # those that take settings
    "HeatmapPanel": ("check", "compare_methods"),
    "Network": ("from_file", "predict"),
    "TrainingRecorder": ("to_gif",),
}
NEAR, VERY_NEAR = 0.6, 0.8  # similarities; the second one for a keyword that other functions have
MOST_OTHERS = 3


def guard(home: ModuleType, name: str, public: Callable[[], Signatures]) -> None:
    """Let a public name refuse unknown keywords with a suggestion.

    Args:
        home: the module that the name lives in.
        name: of a function, or of a class with a constructor; values such as frames stay as they are.
        public: the keywords of all public names, for a keyword that belongs to another one.
    """
    value = getattr(home, name)
    if inspect.isfunction(value):
        setattr(home, name, _guarded(value, name, public))
    elif keywords_of(value):
        value.__init__ = _guarded(value.__init__, name, public)
        for method in METHODS.get(name, ()):
            found = vars(value)[method]
            of_class = isinstance(found, classmethod)
            guarded = _guarded(found.__func__ if of_class else found, f"{name}.{method}", public)
            setattr(value, method, classmethod(guarded) if of_class else guarded)


def guard_all(home: ModuleType, called: str, public: Callable[[], Signatures]) -> None:
    """Let the public functions of a module, which the user calls `called`, refuse unknown keywords likewise."""
    listed = getattr(home, "__all__", ())
    for name, value in list(vars(home).items()):
        if not inspect.isfunction(value) or name.startswith("_"):
            continue
        if name in listed or value.__module__ == home.__name__:
            setattr(home, name, _guarded(value, f"{called}.{name}", public))


def keywords_of(value: object) -> tuple[str, ...]:
    """The keywords of a function or of a class's own constructor; none for anything else."""
    if inspect.isclass(value):
        is_value = dataclasses.is_dataclass(value) or issubclass(value, (tuple, BaseException))
        value = None if is_value else vars(value).get("__init__")
    if not inspect.isfunction(value):
        return ()
    return tuple(name for name in inspect.signature(value).parameters if name not in ("self", "cls"))


def _guarded(function: FunctionType, name: str, public: Callable[[], Signatures]) -> Callable[..., Any]:
    known = frozenset(keywords_of(function))

    @functools.wraps(function)
    def guarded(*args: Any, **keywords: Any) -> Any:
        if not keywords.keys() <= known:
            unknown = next(keyword for keyword in keywords if keyword not in known)
            raise TypeError(refusal(name, unknown, keywords_of(function), public()))
        return function(*args, **keywords)

    return guarded


def refusal(name: str, unknown: str, known: Iterable[str], public: Signatures) -> str:
    """What is wrong with a keyword, and which one is meant.

    Example:
        >>> refusal("FilterGallery", "unit", ["net", "layer", "units"], {})
        "FilterGallery() got an unexpected keyword argument 'unit'. Did you mean 'units'?"
    """
    known = list(known)
    wrong = f"{name}() got an unexpected keyword argument {unknown!r}."
    is_known_elsewhere = any(unknown in keywords for keywords in public.values())
    synonym = next((one for one in known if unknown in SYNONYMS.get(one, ())), None)
    meant = synonym or _nearest(unknown, known, VERY_NEAR if is_known_elsewhere else NEAR)
    if meant is not None:
        return f"{wrong} Did you mean {meant!r}?"
    takes = f"{name}() takes {', '.join(known) or 'no keywords'}."
    return f"{wrong} {_belonging(unknown, public)}{takes}"


def _belonging(unknown: str, public: Signatures) -> str:
    """The sentence about functions that have this keyword, or one that is nearly the same; "" if none has."""
    meant = _nearest(unknown, {keyword for keywords in public.values() for keyword in keywords}, VERY_NEAR)
    owners = sorted((f"{name}()" for name, keywords in public.items() if meant in keywords), key=str.swapcase)
    if not owners:
        return ""
    shown = owners if len(owners) <= MOST_OTHERS else [*owners[: MOST_OTHERS - 1], "others"]
    return f"{meant!r} is a keyword of {' and '.join(filter(None, [', '.join(shown[:-1]), shown[-1]]))}. "


def _nearest(word: str, among: Iterable[str], similarity: float) -> str | None:
    return next(iter(difflib.get_close_matches(word.lower(), sorted(among), 1, similarity)), None)
