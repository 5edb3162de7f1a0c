"""The benchmark's own arithmetic, and what becomes of a row that cannot be measured."""

from __future__ import annotations

import pytest

from tests.benchmarks import process, table
from tests.benchmarks.__main__ import alternating

SLOW = {"first": 9.0, "next": 4.0, "step": 3.0, "memory": 700.0, "before": 1.0, "after": 20.0}
FAST = {**SLOW, "next": 2.0, "step": 1.0}


def row_of(text, name):
    return next(line.split("|")[2:-1] for line in text.splitlines() if line.startswith(f"| {name} "))


def test_a_ratio_is_our_least_time_over_the_rows_least_time():
    text = table.gallery("work", {"ours": [FAST, SLOW], "theirs": [SLOW, SLOW]}, "ours")
    first, least, median, step, ratio, ratio_step, *_ = map(float, row_of(text, "theirs")[:6])
    assert (first, least, median, step, ratio, ratio_step) == (9, 4, 4, 3, 0.5, 0.33)
    assert float(row_of(text, "ours")[2]) == 3.0  # the median of 2 and 4


def test_a_row_that_fails_says_why_and_leaves_the_table_whole():
    text = table.gallery("work", {"ours": [FAST], "theirs": process.RowFailed("not | installed")}, "ours")
    assert row_of(text, "theirs")[0].strip() == "not / installed"
    assert len({line.count("|") for line in text.splitlines()}) == 1


def test_rows_alternate_and_a_failed_one_is_not_repeated():
    order = []

    def row(name):
        order.append(name)
        if name == "bad":
            raise process.RowFailed("no")
        return FAST

    measured = alternating({name: lambda n=name: row(n) for name in ("a", "bad", "b")}, 2)
    assert order == ["a", "bad", "b", "a", "b"]
    assert len(measured["a"]) == 2
    assert isinstance(measured["bad"], process.RowFailed)


def test_a_process_that_dies_is_told_in_one_line():
    with pytest.raises(process.RowFailed, match="No module named tests.benchmarks.nothing"):
        process.run("nothing")
