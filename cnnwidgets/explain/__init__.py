"""Why this output? Heatmaps of layers and of pixels, and checks of what they show.

The room can be called: `cw.explain(net, picture)` explains a prediction, to be kept.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cnnwidgets.keywords import guard

if TYPE_CHECKING:
    from cnnwidgets.report.explanation import Explanation


class _CallableRoom(ModuleType):
    # The import of any module of this room sets `cnnwidgets.explain` to the room, over a function of that name. So that
    # `cw.explain(...)` means the same whatever was imported before, the room passes a call on to the verb, and has the
    # signature and the docstring of the verb.

    def __call__(self, *args: Any, **kwargs: Any) -> Explanation:
        """Explain one prediction: see `cnnwidgets.report.explaining.explain`."""
        return _verb()(*args, **kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(_verb())

    @property
    def __doc__(self) -> str | None:  # type: ignore[override]
        return _verb().__doc__


@functools.cache
def _verb() -> Callable[..., Explanation]:
    # Imported at the call, since that room stands above this one.
    from cnnwidgets.report import explaining

    guard(explaining, "explain", dict)  # as other public functions are
    return explaining.explain


sys.modules[__name__].__class__ = _CallableRoom
