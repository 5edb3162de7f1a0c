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
    """A row for each contender, ms for each `unit`; its ratio is the time of the row `ours` divided by its own."""
    header = (title, f"first, ms a {unit}", "again", "(median)", "ours is", "peak MB", "result")
    return markdown(header, {name: _contender(rounds, rows[ours]) for name, rounds in rows.items()})


def _contender(rounds: Rounds, ours: Rounds) -> list[str]:
    if isinstance(rounds, RowFailed):
        return [_reason(rounds)]
    times = [least(rounds, "first"), least(rounds, "again"), usual(rounds, "again")]
    ratio = "" if isinstance(ours, RowFailed) else f"{least(ours, 'again') / least(rounds, 'again'):.2f}"
    return [*(f"{ms:.3g}" for ms in times), ratio, f"{least(rounds, 'memory'):.0f}", f"{rounds[0]['check']:.3g}"]


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
