"""Classes by index, name or synonym."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.arguments import is_list
from cnnwidgets.model.outputs.output_info import OutputInfo


def checked_names(names: object) -> tuple[str, ...]:
    """The names of classes, without the line ends of the file that they were read from."""
    if is_list(names) and not isinstance(names, (set, frozenset)):
        every = tuple(names)
        if all(isinstance(name, str) for name in every):
            return tuple(str(name).strip() for name in every)
    raise BadTarget(f"class_names must be a list of names, one for each class, got {quoted(names)}.")


def index_of(
    target: object, info: OutputInfo, names: Sequence[str] | None, synonyms: Sequence[Sequence[str]] | None
) -> int:
    """The index of a class of an output, given by index, name or any synonym, in upper or lower case.

    Raises:
        BadTarget: for an unknown class, with the nearest names, or an ambiguous one, with the indices.
    """
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if 0 <= target < (info.classes or 2**31):
            return int(target)
        kind = "class" if info.is_class_scores else "value"
        raise BadTarget(f"There is no {kind} {quoted(target)}. Choose an index from 0 to {info.classes - 1}.")
    if names is None or not _are_names_of(names, info):
        raise BadTarget(f"This network has no class names, so there is no class {quoted(target)}. Give an index.")
    found = _called(target, synonyms or [[name] for name in names]) if isinstance(target, str) else []
    if len(found) == 1:
        return found[0]
    if found:
        raise BadTarget(f"{quoted(target)} is ambiguous. Give one of the indices {', '.join(map(str, found))}.")
    raise BadTarget(f"There is no class {quoted(target)}. Give an index or a name ({nearest(target, names)}).")


def name_of(index: int, info: OutputInfo, names: Sequence[str] | None) -> str:
    """The name of a class; "class 7" if it has none, "value 7 of output 'box'" if it is not a class."""
    if not info.is_class_scores:
        return info.unit_name(index)
    return names[index] if names and _are_names_of(names, info) else f"class {index}"


def _are_names_of(names: Sequence[str], info: OutputInfo) -> bool:
    """Whether names are those of an output's classes: another output may have other classes."""
    return info.is_class_scores and info.classes in (0, len(names))


def _called(name: str, names: Sequence[Sequence[str]]) -> list[int]:
    wanted = _plain(name)
    return [i for i, every in enumerate(names) if any(wanted == _plain(one) for one in every)]


@functools.lru_cache(4096)
def _plain(name: str) -> str:
    """A name as it is compared: upper and lower case, and the ways to write an accent, are alike."""
    return unicodedata.normalize("NFKC", name.strip().casefold())
