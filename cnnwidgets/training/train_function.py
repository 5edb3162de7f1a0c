"""The train function of a model that is recorded: its batches take turns with device work on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from cnnwidgets.model.tracing.compiled import TURNS


class TrainFunction:
    """The train function of a model, which takes turns with device work.

    Args:
        function: what Keras made.
        variables: what it changes.
        put_back: called when it raises, which may be the end of the training.
    """

    def __init__(self, function: Callable[..., Any], variables: Sequence[Any], put_back: Callable[[], object]) -> None:
        self.function, self._variables, self._put_back = function, tuple(variables), put_back

    def __call__(self, *arguments: Any) -> Any:
        """Run a batch."""
        try:
            with TURNS.training(self._variables):
                return self.function(*arguments)
        except BaseException:
            self._put_back()
            raise

    def __getattr__(self, name: str) -> Any:
        """What else Keras or TensorFlow know of it."""
        return getattr(self.function, name)
