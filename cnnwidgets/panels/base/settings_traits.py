"""Traits of a panel, one for each setting of its verb."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import traitlets

from cnnwidgets.errors import CnnWidgetsError
from cnnwidgets.model.settings import Settings

PanelClass = TypeVar("PanelClass", bound=type[Any])


class Setting(traitlets.Any):
    """A trait that takes any value, which the panel's checks allow or refuse with one of the package's errors.

    A refusal is shown in the status line, and raised.
    """

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
