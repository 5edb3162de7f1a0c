"""The share of the machine that other processes take while something is measured."""

from __future__ import annotations

import os
import resource
from pathlib import Path

_STAT = Path("/proc/stat")


def machine() -> tuple[float, float] | None:
    """(busy, all) processor seconds since the machine started; `None` where the system does not say."""
    if not _STAT.exists():
        return None
    user, nice, system, idle, waiting, *more = map(int, _STAT.read_text().split("\n", 1)[0].split()[1:9])
    busy = user + nice + system + sum(more)
    ticks = os.sysconf("SC_CLK_TCK")
    return busy / ticks, (busy + idle + waiting) / ticks


def own() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Others:
    """What others take, from now on."""

    def __init__(self) -> None:
        self._machine, self._own = machine(), own()

    def words(self) -> str:
        """Their share of all processors until now, in a sentence."""
        now = machine()
        if self._machine is None or now is None:
            return "What others took of the machine is not known here."
        busy, every = (after - before for after, before in zip(now, self._machine, strict=True))
        taken = max(0.0, busy - (own() - self._own))
        return f"Others took {taken / max(every, 1e-9):.0%} of the machine meanwhile."
