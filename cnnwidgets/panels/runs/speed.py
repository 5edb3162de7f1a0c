"""How long runs take on this machine."""

from __future__ import annotations

ASSUMED = 3e10  # floating point operations a second


class Speed:
    """The floating point operations a second of this process: assumed, until a run has shown them.

    Args:
        first: seconds for the first step, which is compiled.
        overhead: seconds for each step, in addition.
        least: operations; a run with smaller steps shows their overhead, not the speed of the machine.

    Attributes:
        measured: operations a second.
    """

    def __init__(self, first: float, overhead: float = 0.0, least: float = 0.0) -> None:
        self._first, self._overhead, self.least = first, overhead, least
        self.measured = ASSUMED

    def __repr__(self) -> str:
        return f"Speed({self.measured:.1e} a second)"

    def seconds(self, operations: float, steps: int) -> float:
        """The time of a run whose steps have so many operations each."""
        return self._first + steps * (operations / self.measured + self._overhead)

    def learn(self, operations: float, pace: float | None) -> None:
        """Take over the pace of a run, seconds for each step; `None` for a run that was too short."""
        if pace and operations > self.least:
            self.measured = operations / pace
