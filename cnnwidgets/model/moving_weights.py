"""Turns between the batches of a training, which change weights, and device work, which reads them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

PATIENCE = 2.0  # seconds that a reader lets a batch go first; longer, and the two would be waiting for each other
RECENT = 3.0  # seconds after a batch for which the weights are said to be moving


class Turns:
    """Any number of readers at a time, or one batch; who waits goes before who comes later.

    A thread that reads, or changes, may begin to read again inside.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._readers: dict[int, int] = {}  # thread -> how deep it is inside `reading`
        self._trainer = 0  # the thread that runs a batch
        self._waiting_readers = self._waiting_batches = self._readers_first = 0
        self._variables: Sequence[Any] = ()  # those that the last batch changed
        self._changed_at = float("-inf")

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Read weights: no batch changes them meanwhile."""
        me = threading.get_ident()
        with self._changed:
            if me != self._trainer and me not in self._readers:
                self._wait_to_read()
            self._readers[me] = self._readers.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._readers[me] -= 1
                if not self._readers[me]:
                    del self._readers[me]
                    self._changed.notify_all()

    def _wait_to_read(self) -> None:
        deadline = time.monotonic() + PATIENCE
        self._waiting_readers += 1
        try:
            while self._trainer or (self._waiting_batches and not self._readers_first and time.monotonic() < deadline):
                self._changed.wait(PATIENCE)
        finally:
            self._waiting_readers -= 1
            self._readers_first = max(0, self._readers_first - 1)
            self._changed.notify_all()

    @contextlib.contextmanager
    def training(self, variables: Sequence[Any]) -> Iterator[None]:
        """Run a batch that changes variables: nobody reads meanwhile.

        Readers that came before it, or wait since the last batch, go first.
        """
        me = threading.get_ident()
        with self._changed:
            self._waiting_batches += 1
            try:
                while self._trainer or self._readers_first or set(self._readers) - {me}:
                    self._changed.wait()
                self._trainer, self._variables = me, variables
            finally:
                self._waiting_batches -= 1
        try:
            yield
        finally:
            with self._changed:
                self._trainer, self._readers_first = 0, self._waiting_readers
                self._variables, self._changed_at = variables, time.monotonic()
                self._changed.notify_all()

    def are_moving(self, variables: Iterable[Any]) -> bool:
        """Whether a training is changing any of these variables, as of some seconds ago."""
        if not self._trainer and time.monotonic() - self._changed_at > RECENT:
            return False
        trained = set(map(id, self._variables))
        return any(id(variable) in trained for variable in variables)


TURNS = Turns()  # one for all models: there is one device


class Batches:
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
