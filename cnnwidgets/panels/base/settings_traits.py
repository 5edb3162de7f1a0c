"""Traits of a panel, one for each setting of its verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import traitlets

from cnnwidgets.model.settings import Settings

PanelClass = TypeVar("PanelClass", bound=type[Any])


def settings_of(settings: type[Settings]) -> Callable[[PanelClass], PanelClass]:
    """Give a panel a trait for each recorded setting of a verb that it does not define itself, with the same default.

    The traits take anything: whether a value is allowed is for the settings' own `check`.
    """

    def with_traits(panel: PanelClass) -> PanelClass:
        for name in settings.names():
            if not isinstance(getattr(panel, name, None), traitlets.TraitType):
                setattr(panel, name, traitlets.Any(settings.defaults().get(name)))
        panel.setup_class(dict(vars(panel)))  # as the metaclass does for those in the class's body
        return panel

    return with_traits
