"""Calls on the notebook's own thread while its kernel has nothing else to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Idle:
    """The event loop that the kernel runs on, as it is found where this is made; a script has none.

    A cell that is running holds up the loop, so what is called here never runs at the same time as a cell.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    def __bool__(self) -> bool:
        """Whether there is a loop, so that calls can wait for their turn."""
        return self._loop is not None and not self._loop.is_closed()

    def call(self, action: Callable[[], object], seconds: float = 0.0) -> None:
        """Call it when the kernel is idle, at the earliest after so many seconds; from any thread.

        Where there is no loop nothing is called.
        """
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        loop.call_soon_threadsafe(loop.call_later, seconds, action)
