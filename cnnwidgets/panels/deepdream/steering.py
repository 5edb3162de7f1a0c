"""Settings that can change while a dream runs; the run reads them before each step."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

from cnnwidgets.model.arguments import now

Number = float | Callable[[], float]


class Steering:
    """The step size and the layers' weights of one run, as they are now.

    Args:
        step_size: a number, or a function of the user's own.
        weights: the same for each layer, by path.

    Attributes:
        was_changed: whether anything has changed since the start.
    """

    def __init__(self, step_size: Number, weights: Mapping[str, Number]) -> None:
        self._step_size = step_size
        self._weights = dict(weights)
        self.was_changed = False

    def change(self, step_size: Number, weights: Mapping[str, Number]) -> None:
        """Use other numbers from the next step; the layers stay the same."""
        self._step_size = step_size
        self._weights.update(weights)
        self.was_changed = True

    def step_size(self) -> float:
        """How far a step goes, in units of 0..1."""
        return now("step size", self._step_size)

    @property
    def weights(self) -> dict[str, float]:
        return {path: now(f"weight of {path}", weight) for path, weight in self._weights.items()}

    @property
    def layers(self) -> dict[str, Callable[[], float]]:
        """The same as functions, called before each step."""
        return {path: functools.partial(self._weight, path) for path in self._weights}

    def _weight(self, path: str) -> float:
        return now(f"weight of {path}", self._weights[path])
