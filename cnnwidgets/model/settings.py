"""The settings of a verb as a frozen dataclass: each field is the one place for a name, a default and allowed values.

A verb, its plan, the traits of its panel, recipes, snippets and reruns read the fields.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any, TypeVar

from cnnwidgets.errors import BadTarget, nearest, quoted
from cnnwidgets.model.arguments import MOST_STEPS, checked_seed, choice, number, whole_number

Check = Callable[[str, object], Any]  # (name, value) -> the value to compute with; BadTarget for any other
Kind = TypeVar("Kind", bound="Settings")


def setting(default: Any = MISSING, check: Check | None = None, *, recorded: bool = True) -> Any:
    """A field of Settings.

    Args:
        default: the verb's; a setting without one must be given.
        check: what the value may be, where that does not depend on the network.
        recorded: whether panels have it, and so recipes, snippets and reruns; else it is a verb's alone.
    """
    return field(default=default, metadata={"check": check, "recorded": recorded})


@dataclass(frozen=True, eq=False)
class Settings:
    """Base of the settings of a verb; a subclass has its fields, and a `check` that returns the plan."""

    @classmethod
    def given(cls: type[Kind], arguments: Mapping[str, Any]) -> Kind:
        """The settings among arguments by name, such as `locals()` at the start of a verb; defaults for the others."""
        return cls(**{one.name: arguments[one.name] for one in fields(cls) if one.name in arguments})

    @classmethod
    def set_on(cls: type[Kind], panel: object) -> Kind:
        """The settings that are a panel's traits now."""
        return cls.given({name: getattr(panel, name) for name in cls.names()})

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Those that are recorded, in the order in which a snippet writes them."""
        return tuple(one.name for one in fields(cls) if one.metadata.get("recorded", True))

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The default of each recorded setting that has one."""
        found = {one.name: one.default for one in fields(cls) if one.default is not MISSING}
        return {name: found[name] for name in cls.names() if name in found}

    @classmethod
    def allowed(cls, name: str) -> Any:
        """The check of a setting: its `least` and `most` are those of a control."""
        return next(one.metadata["check"] for one in fields(cls) if one.name == name)

    def checked(self: Kind) -> Kind:
        """The same, each value as its check returns it.

        Raises:
            BadTarget: for a value that its check refuses.
        """
        checks = {one.name: check for one in fields(self) if (check := one.metadata.get("check"))}
        return replace(self, **{name: check(name, getattr(self, name)) for name, check in checks.items()})

    def recorded(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.names()}


@dataclass(frozen=True)
class Whole:
    """An integer from `least` to `most`; with `optional`, or `None`."""

    least: int
    most: int | None = None
    optional: bool = False

    def __call__(self, name: str, value: object) -> int | None:
        return None if self.optional and value is None else whole_number(name, value, self.least, self.most)


@dataclass(frozen=True)
class Number:
    """A finite number from `least` (with `above`, without it) to `most`."""

    least: float
    most: float = math.inf
    above: bool = False

    def __call__(self, name: str, value: object) -> float:
        return number(name, value, self.least, self.most, above=self.above)


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    choices: tuple[str, ...]

    def __call__(self, name: str, value: object) -> str:
        return choice(name, value, self.choices)


@dataclass(frozen=True)
class Method:
    """The name of a method; the message for any other value has the nearest ones."""

    kind: str
    methods: tuple[str, ...]

    def __call__(self, _name: str, value: object) -> str:
        if isinstance(value, str) and value in self.methods:
            return value
        raise BadTarget(
            f"There is no {self.kind} method {quoted(value)}. Choose one of them ({nearest(value, self.methods)})."
        )


STEPS, SEED = Whole(1, MOST_STEPS), lambda _name, value: checked_seed(value)
