"""Measurements as Markdown tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from tests.benchmarks.process import Numbers, RowFailed

Rounds = Sequence[Numbers] | RowFailed  # what a row gave in each round, or why it could not be measured


def markdown(header: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Names to the left, numbers to the right; what a row lacks stays empty."""
    lines = [header, ["---", *["--:"] * (len(header) - 1)]]
    lines += [[name, *cells, *[""] * (len(header) - 1 - len(cells))] for name, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def least(rounds: Sequence[Numbers], name: str) -> float:
    """What the least disturbed round gave."""
    return min(numbers[name] for numbers in rounds)


def usual(rounds: Sequence[Numbers], name: str) -> float:
    """The median of the rounds."""
    return median(numbers[name] for numbers in rounds)


def job(title: str, unit: str, rows: Mapping[str, Rounds], ours: str) -> str:
    """A row for each contender, ms for each `unit`.

    The ratios are the processor time of the row `ours` divided by its own, again and the first two times together:
    processor time hardly depends on what else the machine does.
    """
    header = (title, f"first, ms a {unit}", "again", "processor", "ours is", "two", "peak MB", "result")
    return markdown(header, {name: _contender(rounds, rows[ours]) for name, rounds in rows.items()})


def _contender(rounds: Rounds, ours: Rounds) -> list[str]:
    if isinstance(rounds, RowFailed):
        return [_reason(rounds)]
    times = [f"{least(rounds, name):.3g}" for name in ("first", "again", "cpu")]
    ratios = ["", ""]
    if not isinstance(ours, RowFailed):
        ratios = [f"{least(ours, name) / least(rounds, name):.2f}" for name in ("cpu", "two_cpu")]
    return [*times, *ratios, f"{least(rounds, 'memory'):.0f}", f"{rounds[0]['check']:.3g}"]


def fresh(rows: Mapping[str, Rounds]) -> str:
    """A row for each kind of fresh process."""
    return markdown(("a fresh process", "seconds", "(median)", "peak MB"), {n: _process(r) for n, r in rows.items()})


def _process(rounds: Rounds) -> list[str]:
    if isinstance(rounds, RowFailed):
        return [_reason(rounds)]
    seconds = least(rounds, "seconds"), usual(rounds, "seconds")
    return [*(f"{s:.3g}" for s in seconds), f"{least(rounds, 'memory'):.0f}"]


def _reason(failed: RowFailed) -> str:
    return str(failed).replace("|", "/")
