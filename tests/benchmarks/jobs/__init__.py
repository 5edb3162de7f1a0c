"""The jobs that are measured, each done by this package and by others.

A job is a module: `TITLE`, what one of its `UNIT`s is, `work(quick)` without the file, perhaps `per(work)` how many of
these there are, the `CONTENDERS`, ours first, and `check(work, result)`, which tells in a number what came out and
raises RowFailed where that is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Job = Callable[[], Any]  # does all of it, once

NAMES = (
    "unit_pictures", "class_pictures", "textbook", "class_maps", "other_class", "feature_maps", "dream",
    "which_units", "map_check", "concept_maps", "arithmetic", "snapshot",
)  # fmt: skip


class Contender(NamedTuple):
    """Who takes part, which of the peers must be there for it, and whether only `--all` waits for it."""

    begin: Callable[..., Job]
    peer: str = ""
    settings: Mapping[str, Any] = {}
    is_slow: bool = False


def amount(job: Any, work: Any) -> int:
    """How many of its units there are to do: the steps of all pictures, where the job does not say otherwise."""
    return job.per(work) if hasattr(job, "per") else work.count * work.steps
