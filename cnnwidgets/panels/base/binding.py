"""How traits and controls are kept in line: a trait for each setting of a verb, and the guard against reentrancy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import traitlets

from cnnwidgets.atlas.atlas import Atlas
from cnnwidgets.errors import BadTarget, CnnWidgetsError, quoted
from cnnwidgets.model.settings import Settings

PanelClass = TypeVar("PanelClass", bound=type[Any])

if TYPE_CHECKING:
    AnyTrait = traitlets.TraitType[Any, Any]  # traitlets.Any would be read as "or None", although it need not be
else:
    AnyTrait = traitlets.Any


class Setting(AnyTrait):
    """A trait that takes any value, which the panel's checks allow or refuse with one of the package's errors.

    A refusal is shown in the status line, and raised.
    """

    allow_none = False  # so that None is checked like any other value

    def set(self, panel: Any, value: Any) -> None:
        """Set the value, with the checks that this causes."""
        try:
            super().set(panel, value)
        except CnnWidgetsError as error:
            panel.show_refusal(error)
            raise


def settings_of(settings: type[Settings]) -> Callable[[PanelClass], PanelClass]:
    """Give a panel a Setting for each recorded setting of a verb that it does not define, with the same default."""

    def with_traits(panel: PanelClass) -> PanelClass:
        for name in settings.names():
            if not isinstance(getattr(panel, name, None), traitlets.TraitType):
                setattr(panel, name, Setting(settings.defaults().get(name)))
        panel.setup_class(dict(vars(panel)))  # as the metaclass does for those in the class's body
        return panel

    return with_traits


class Updating(threading.local):
    """The reentrancy guard: whether the program itself is setting values now, on this thread.

    Traits and controls set each other's values; observers ignore a change that is made under the guard.

    Blocks nest. Each thread has its own count: while the worker's thread fills a menu, the user's clicks still count.

    Example:
        >>> updating = Updating()
        >>> with updating:
        ...     print(bool(updating))
        True
    """

    def __init__(self) -> None:
        self._depth = 0

    def __bool__(self) -> bool:
        return self._depth > 0

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_raised: object) -> None:
        self._depth -= 1


class AtlasSetting(Setting):
    """A trait that refuses anything but an atlas or `None`."""

    def __init__(self) -> None:
        super().__init__(None)

    def validate(self, _panel: Any, value: object) -> Atlas | None:
        return checked_atlas(value)


def checked_atlas(atlas: object) -> Atlas | None:
    """An atlas, or none."""
    if atlas is None or isinstance(atlas, Atlas):
        return atlas
    raise BadTarget(f"atlas must be what cw.open_atlas(path) returns, got {quoted(atlas)}.")
