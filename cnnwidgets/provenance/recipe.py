"""The settings of a run as a value: PNG metadata, cache key and the Python that makes the same picture again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from cnnwidgets import __version__
from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.explain.recorded_targets import from_record
from cnnwidgets.pictures import read_png_metadata
from cnnwidgets.provenance.snippets import write
from cnnwidgets.provenance.verbs import VERBS

# What changes a picture, or is needed to make its file again, but is not a keyword of a verb.
FACTS = (
    "batch", "beside", "check", "columns", "colormap", "how", "jit", "onednn", "opacity", "output_position", "picture",
    "positions", "rescued", "shown", "steered", "threads", "threshold", "until", "without",
)  # fmt: skip

MAPS = ("class_activation_map", "attribution")  # the verbs whose heatmaps can be checked

# Pictures that carry their settings, and are of more than one network and a verb: why, and what to do instead.
NOT_RERUN = {
    "ComparePanel": ("shows two networks", "Open cw.ComparePanel(before, after) with both."),
    "TrainingRecorder": ("shows a moment of a training", "Train the model with cw.TrainingRecorder again."),
}

MAX_TEXT = 2**18  # characters of JSON
MAX_ITEMS = 10_000  # of one list or dict
MAX_DEPTH = 4


@dataclass(frozen=True, eq=False)
class Recipe:
    """Everything that changes a pixel of a picture; immutable, hashable, picklable.

    Args:
        verb: the function that makes the picture, one of `VERBS`.
        network: the network's name.
        fingerprint: sha256 of the network's weights, architecture and preprocessing, 64 hexadecimal digits.
        settings: the verb's settings by name, and `FACTS`; JSON values, ranges and numpy numbers. Lists become tuples.
        versions: version by package, such as `installed_versions()`.
        device: what computed it, such as "cpu".

    Raises:
        BadTarget: an unknown verb or setting, one that is missing, or a value that is not JSON or far too long.

    Example:
        >>> recipe = Recipe("feature_maps", "squeezenet", 64 * "0", {"layers": ["conv1"]}, {"keras": "3.15.1"}, "cpu")
        >>> Recipe.from_json(recipe.to_json()) == recipe
        True
    """

    verb: str
    network: str
    fingerprint: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    device: str

    def __post_init__(self) -> None:
        for name in ("verb", "network", "fingerprint", "device"):
            if not isinstance(getattr(self, name), str):
                raise BadTarget(f"A recipe's {name} must be text, got {_kind(getattr(self, name))}.")
        if self.verb not in VERBS:
            raise BadTarget(f"There is no verb {quoted(self.verb)} to write a recipe for; {nearest(self.verb, VERBS)}.")
        if not re.fullmatch("[0-9a-f]{64}", self.fingerprint):
            raise BadTarget(
                f"{quoted(self.fingerprint)} is not a fingerprint. Give the 64 digits of net.fingerprint()."
            )
        for name in ("settings", "versions"):
            if not isinstance(getattr(self, name), Mapping):
                raise BadTarget(f"A recipe's {name} must be a dict, got {_kind(getattr(self, name))}.")
            object.__setattr__(self, name, _frozen(getattr(self, name)))
        _check_names(self.verb, self.settings)
        if len(self.to_json()) > MAX_TEXT:
            raise BadTarget(f"A recipe of {len(self.to_json())} characters is too long. Keep it below {MAX_TEXT}.")

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON values, to be put into a PNG: `to_png(picture, recipe.to_dict())`."""
        values: dict[str, Any] = json.loads(self.to_json())
        return values

    def to_json(self) -> str:
        """The recipe as JSON: always the same text for the same recipe, ASCII only."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, default=dict, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Recipe:
        """The recipe that `to_dict` wrote; BadTarget for anything else."""
        known = sorted(field.name for field in fields(cls))
        verb = values.get("verb") if isinstance(values, Mapping) else None
        if isinstance(verb, str) and verb in NOT_RERUN:
            why, instead = NOT_RERUN[verb]
            raise BadTarget(f"A picture of {verb} {why}, so it cannot be rerun. {instead}")
        if not isinstance(values, Mapping) or sorted(map(str, values)) != known:
            what = (
                f"A dict of {quoted(list(values))}"
                if isinstance(values, Mapping)
                else f"A value of type {_kind(values)}"
            )
            raise BadTarget(f"{what} is not a recipe. Expected a dict of exactly: {', '.join(known)}.")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that `to_json` wrote; BadTarget for anything else."""
        try:
            if len(text) > MAX_TEXT:
                raise ValueError(f"{len(text)} characters")
            values = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise BadTarget(f"{quoted(text)} is not a recipe. Give the JSON that to_json wrote, unchanged.") from error
        return cls.from_dict(values)

    @classmethod
    def from_png(cls, source: bytes | str | Path) -> Recipe:
        """The recipe inside a saved PNG (its bytes or path).

        Raises:
            BadPicture: no PNG, a damaged one, or one without settings.
            BadTarget: settings that are no recipe.
        """
        return cls.from_dict(read_png_metadata(source))

    def key(self) -> str:
        """The sha256 of the recipe, 64 digits: another one for each change of a pixel."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def snippet(self, picture: str | Path | None = None) -> str:
        """The Python that makes the same picture without a widget, every setting written out.

        It uses `net` and `picture` as names that the reader has; a network of this package is loaded, and so is
        `picture` where its path is given. What it made is left in `pics`, `heat` or `frame`.
        """
        return write(self.verb, self.network, self.settings, None if picture is None else str(picture))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recipe) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __reduce__(self) -> tuple[Any, ...]:
        return Recipe.from_json, (self.to_json(),)  # read-only dicts cannot be pickled; their JSON can


def installed_versions() -> dict[str, str]:
    """The versions of what changes pixels: cnnwidgets, tensorflow, keras, numpy; tensorflow is not imported for it."""
    tensorflow = next((v for p in ("tensorflow", "tensorflow-cpu", "tf-nightly") if (v := _version(p))), "")
    found = {"cnnwidgets": __version__, "tensorflow": tensorflow, "keras": _version("keras"), "numpy": np.__version__}
    return {package: version or "unknown" for package, version in found.items()}


@cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _check_names(verb: str, settings: Mapping[str, Any]) -> None:
    known = (*VERBS[verb].settings, *FACTS)
    for name in settings:
        if name not in known:
            raise BadTarget(f"{verb} has no setting {quoted(name)}; {nearest(name, known, 20)}.")
    for name in VERBS[verb].required:
        if settings.get(name) is None:
            raise BadTarget(f"The recipe of {verb} lacks its {name}. Give settings[{name!r}].")
    if isinstance(settings.get("target"), Mapping):
        from_record(settings["target"])
    if "heat" in settings:
        _check_maps(settings["heat"])


def _check_maps(heat: Any) -> None:
    """Refuse what does not describe a heatmap, or several by name."""
    every = [heat] if not isinstance(heat, Mapping) or "verb" in heat else list(heat.values()) or [None]
    for one in every:
        verb = one.get("verb") if isinstance(one, Mapping) else one
        if not isinstance(verb, str) or verb not in MAPS:
            raise BadTarget(f"heat must be a map by {' or '.join(MAPS)}, got {quoted(verb)}.")
        if type(one.get("index", 0)) is not int:
            raise BadTarget(f"The index of a map must be an integer, got {quoted(one['index'])}.")
        _check_names(verb, {name: value for name, value in one.items() if name not in ("verb", "index")})


def _frozen(value: Any, depth: int = 0) -> Any:
    """A JSON value that nobody can change: dicts read-only and sorted, lists as tuples, numpy's numbers as Python's."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)  # not a subclass (an enum), whose repr is another one
    if (isinstance(value, int) and abs(value) < 2**63) or (isinstance(value, float) and np.isfinite(value)):
        return value
    if isinstance(value, (Mapping, list, tuple, range)) and len(value) <= MAX_ITEMS and depth < MAX_DEPTH:
        if not isinstance(value, Mapping):
            return tuple(_frozen(item, depth + 1) for item in value)
        if all(isinstance(key, str) for key in value):
            return MappingProxyType({key: _frozen(value[key], depth + 1) for key in sorted(value)})
    if callable(value):
        raise BadTarget(
            f"{quoted(value)} is not a value for a recipe, which holds settings and not code. "
            "Keep the function yourself to make the picture again."
        )
    shown = quoted(value) if isinstance(value, float) else f"A value of type {_kind(value)}"
    raise BadTarget(
        f"{shown} is not a value for a recipe. Give finite numbers, text, or lists and dicts of them, "
        f"at most {MAX_ITEMS} in one and {MAX_DEPTH} deep."
    )


def _kind(value: object) -> str:
    # The value itself may be nested too deep for its repr.
    return type(value).__name__
